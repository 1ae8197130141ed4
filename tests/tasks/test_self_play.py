"""Self-play: both sides of one table, results against players who are known, and whole runs of every task of games."""

import pytest
import torch
from torch import nn

from dlcourse.data import announced
from dlcourse.device import cpu
from dlcourse.environments.tic_tac_toe import TicTacToe, perfect_moves
from dlcourse.spec import Batch
from dlcourse.tasks.play import Moves
from dlcourse.tasks.reinforcement import Reinforcement
from dlcourse.tasks.self_play import SelfPlay, one_of
from lab import Lab, report
from plain_sgd import plain_sgd

BOARDS = announced.starts("tic_tac_toe", "match")
EMPTY = torch.zeros(1, 18)


class Perfect(nn.Module):
    """A player who knows everything, 1 for each of the best moves; or nothing, 1 for the worst."""

    def __init__(self, sign: float = 1.0) -> None:
        super().__init__()
        self.sign = sign

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self.sign * perfect_moves(states).float()


def test_a_perfect_player_never_loses_and_the_results_are_of_both_places() -> None:
    task = SelfPlay(Perfect(), BOARDS, cpu())
    results = {
        (other, place): task.results(EMPTY, other, place)
        for other in ("random", "perfect")
        for place in ("first", "second")
    }
    assert all(len(outcomes) == 500 and outcomes.min() >= 0 for outcomes in results.values())
    assert results["perfect", "first"].max() == results["perfect", "second"].max() == 0
    won = {place: float((results["random", place] == 1).float().mean()) for place in ("first", "second")}
    assert won["first"] > 0.9 > won["second"] > 0.7
    assert torch.equal(task.results(EMPTY, "random", "first"), results["random", "first"]), "the same games again"


def test_who_plays_badly_loses_to_perfect_play() -> None:
    task = SelfPlay(Perfect(-1.0), BOARDS, cpu())
    for place in ("first", "second"):
        assert (task.results(EMPTY, "perfect", place) == -1).float().mean() > 0.8


def test_the_value_after_a_move_is_the_other_sides() -> None:
    """A move after which the other side can win at once is worth -1, although nothing is lost yet."""
    model = nn.Linear(18, 9, bias=False)
    nn.init.zeros_(model.weight)
    task = SelfPlay(model, BOARDS, cpu())
    states = torch.zeros(1, 18)
    states[0, [0, 8]], states[0, [9 + 3, 9 + 4]] = 1.0, 1.0  # own in two corners; the other threatens the middle row
    after, reward, ended = TicTacToe().step(states, torch.tensor([1]))
    task._target.weight.data[5] = torch.where(
        after[0] * (torch.arange(18) < 9) > 0, 0.5, 0.0
    )  # it sees that field 5 wins
    moves = Moves(states, torch.tensor([1]), reward, after, ended)
    assert task.td_loss(moves, task._target, 0.0).item() == pytest.approx(1 / 2)
    model.weight.data[1, [0, 8]] = -0.5  # by its own stones the model expects -1 of field 1, which is right
    assert task.td_loss(moves, task._target, 0.0).item() == pytest.approx(0.0)
    task._target.weight.data[0] = 9.0  # taken: nobody moves there, whatever it promises
    assert task.td_loss(moves, task._target, 0.0).item() == pytest.approx(0.0)


def test_nobody_puts_a_stone_where_one_is() -> None:
    torch.manual_seed(0)
    task = SelfPlay(nn.Linear(18, 9), BOARDS, cpu(), epsilon=0.5, explore=0, replay=4, memory=8)
    task.start(plain_sgd())
    for _ in range(30):
        task.train_step(Batch(EMPTY.expand(20, -1), torch.zeros(20, 0)))
        states = task._games.state_dict()["states"]
        assert set(states.unique().tolist()) <= {0.0, 1.0} and (states[:, :9] + states[:, 9:]).max() == 1
    allowed = torch.tensor([[False, True, False, True]]).expand(2000, -1)
    counts = torch.bincount(one_of(allowed), minlength=4)
    assert counts[0] == counts[2] == 0 and abs(int(counts[1]) - 1000) < 100


@pytest.mark.usefixtures("with_pictures")
@pytest.mark.parametrize(
    ("words", "pictures"),
    [
        (("data=cliff", "model=softmax", "task.replay=0"), {"values"}),
        pytest.param(
            ("data=grid_world", "model=mlp", "model.hidden=[8]", "task=policy_gradient"),
            {"values"},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ("data=cartpole", "model=policy_and_value", "model.hidden=[8]", "data.held_out=5"),
            {"game"},
            marks=pytest.mark.slow,
        ),
        pytest.param(("data=grid_world", "model=softmax", "task=monte_carlo"), {"values"}, marks=pytest.mark.slow),
        (("data=tic_tac_toe", "model=mlp", "model.hidden=[8]"), {"boards"}),
    ],
)
def test_a_run_leaves_a_report_and_its_pictures(lab: Lab, words: tuple[str, ...], pictures: set[str]) -> None:
    run = lab.train(*words, "data.size=12", "trainer.epochs=2", "trainer.batch_size=4")
    found, text = report(run), (run / "report.txt").read_text()
    assert {path.stem for path in run.glob("*.png")} == {"learning_curve", *pictures}
    if "data=tic_tac_toe" in words:
        assert found["monitor"] == "val/undefeated" and 0 <= found["test"]["undefeated"] <= 1
        assert "perfect   second" in text
    else:
        assert found["monitor"] == "val/return" and found["test"]["return"] == pytest.approx(
            sum(found["returns"]) / len(found["returns"])
        )
        assert "moves at random" in text and found["baseline"]["return"] < 500


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (
            ("task=classification", "data=cartpole"),
            "task 'classification' needs classes, and data 'cartpole' has starts of a game; write task=q_learning",
        ),
        (
            ("task=q_learning", "data=digits"),
            "task 'q_learning' needs starts of a game, and data 'digits' has classes for targets; "
            "write task=classification, or data=cartpole",
        ),
        (
            ("task=q_learning", "data=tic_tac_toe"),
            "task 'q_learning' needs starts of a game, and data 'tic_tac_toe' has starts of a game for two; "
            "write task=self_play, or data=cartpole",
        ),
        (
            ("task=self_play", "data=cliff"),
            "task 'self_play' needs starts of a game for two, and data 'cliff' has starts of a game; "
            "write task=q_learning, or data=tic_tac_toe",
        ),
        (("data=cartpole", "model=vae"), "and data 'cartpole' has starts of a game; write data=mnist or data=moons"),
        (("data=cartpole", "trainer.compile=true"), "needs a task with one loss; write trainer.compile=false"),
        (("data=cartpole", "model=logreg"), "write model=linreg or model=mlp"),
    ],
)
def test_what_does_not_go_together_is_said_in_a_line(lab: Lab, words: tuple[str, ...], answer: str) -> None:
    assert lab.attempt(*words) == 2
    assert answer in lab.err and lab.err.count("\n") == 1
    assert not (lab.folder / "outputs").exists()


def test_every_task_of_games_is_said_by_its_name_in_the_config() -> None:
    from dlcourse.tasks import TASKS

    kinds = {name: TASKS[name] for name in TASKS if isinstance(TASKS[name], type)}
    games = {name: kind for name, kind in kinds.items() if issubclass(kind, Reinforcement)}
    assert {name: kind.called for name, kind in games.items()} == {name: name for name in games}
    assert len(games) == 5
