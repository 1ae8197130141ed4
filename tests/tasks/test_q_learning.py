"""Q-learning against the table of the textbook, DQN's memory and target network, and Monte Carlo's table."""

import json
from typing import Any

import pytest
import torch
from torch import nn

from dlcourse.data import announced
from dlcourse.device import cpu
from dlcourse.environments import ENVIRONMENTS
from dlcourse.environments.grid import Cliff, GridWorld
from dlcourse.errors import MisfitError
from dlcourse.models.linear import LinearRegression
from dlcourse.models.policy_and_value import PolicyAndValue
from dlcourse.spec import Batch, DataSpec
from dlcourse.state_dict import pack, unpack
from dlcourse.tasks.actor_critic import ActorCritic
from dlcourse.tasks.monte_carlo import MonteCarlo, first_visits
from dlcourse.tasks.play import Games, Moves, play
from dlcourse.tasks.q_learning import QLearning
from dlcourse.tasks.replay_memory import ReplayMemory
from dlcourse.tasks.self_play import SelfPlay
from plain_sgd import plain_sgd

CLIFF, MAZE, CARTPOLE = (announced.starts(name) for name in ("cliff", "grid_world", "cartpole"))
BOARDS = announced.starts("tic_tac_toe", "match")


def table(spec: DataSpec) -> LinearRegression:
    model = LinearRegression(spec)
    model.linear.bias.requires_grad_(False)
    return model


def learner(model: nn.Module, lr: float = 0.5, kind: type = QLearning, spec: DataSpec = CLIFF, **options: Any) -> Any:
    task = kind(model, spec, cpu(), **options)
    task.start(plain_sgd(lr))
    return task


@pytest.mark.parametrize("on_policy", [False, True])
def test_a_linear_model_on_one_hot_states_is_the_table_of_the_textbook(on_policy: bool) -> None:
    """Sutton and Barto 2018, sections 6.5 and 6.6, beside it, with the moves that it makes."""
    torch.manual_seed(0)
    world, model, q, epsilon = Cliff(), table(CLIFF), torch.zeros(48, 4), 0.1
    task = learner(model, gamma=0.9, epsilon=epsilon, explore=0, replay=0, on_policy=on_policy)
    start = world.starts(1, torch.Generator())
    seen: list[Moves] = []
    learn = task.td_loss
    task.td_loss = lambda moves, *by: seen.append(moves) or learn(moves, *by)
    for _ in range(300):
        task.train_step(Batch(start, torch.zeros(1, 0)))
        state, action, reward, after, ended = (part[0] for part in seen[-1])
        best, mean = q[after.argmax()].max(), q[after.argmax()].mean()
        expected = (1 - epsilon) * best + epsilon * mean if on_policy else best
        target = reward + 0.9 * (0 if ended else expected)
        q[state.argmax(), action] += 0.5 * (target - q[state.argmax(), action])
        assert torch.allclose(model.linear.weight.T, q, atol=1e-4)
    assert q.min() < -50, "it fell over the edge"


def test_exploration_falls_along_a_line_and_chance_decides_that_often() -> None:
    torch.manual_seed(0)
    model = table(CLIFF)
    task = learner(model, epsilon=0.2, explore=100, replay=0)
    starts = Cliff().starts(50, torch.Generator())
    assert task.epsilon == 1.0
    task.train_step(Batch(starts, torch.zeros(50, 0)))
    assert task.epsilon == pytest.approx(0.6)
    for _ in range(4):
        task.train_step(Batch(starts, torch.zeros(50, 0)))
    assert task.epsilon == pytest.approx(0.2)
    model.linear.weight.data[2] += 100.0  # down, always
    many = Cliff().states(torch.full((4000,), 5))
    shares = torch.bincount(task._explore_or_exploit(many), minlength=4) / 4000
    assert shares.tolist() == pytest.approx([0.05, 0.05, 0.85, 0.05], abs=0.02)


def test_what_ends_a_game_is_worth_its_reward_and_what_cuts_it_short_is_not_the_end() -> None:
    model = table(CLIFF)
    model.linear.weight.data.fill_(-7.0)
    task = learner(model, gamma=1.0, replay=0)
    states = Cliff().states(torch.tensor([35, 35]))
    moves = Moves(states, torch.tensor([2, 2]), torch.tensor([-1.0, -1.0]), states, torch.tensor([True, False]))
    assert task.td_loss(moves, task.model, 0.0).item() == pytest.approx((6.0**2 + 1.0**2) / 2 / 2)


def test_the_target_network_is_the_model_of_some_updates_ago() -> None:
    torch.manual_seed(0)
    spec = announced.starts("cartpole")
    model = nn.Linear(4, 2)
    task = learner(model, lr=0.01, spec=spec, sync=3, replay=4, memory=50)
    before = model.weight.detach().clone()
    for update in range(1, 8):
        task.train_step(Batch(0.05 * torch.randn(5, 4), torch.zeros(5, 0)))
        if update % 3 == 0:
            before = model.weight.detach().clone()
        assert torch.equal(task._target.weight, before) and not task._target.weight.requires_grad
        assert torch.equal(model.weight, before) == (update % 3 == 0)


def test_the_memory_keeps_the_latest_moves_and_draws_them_all() -> None:
    torch.manual_seed(0)
    memory = ReplayMemory(6, 2, torch.device("cpu"))
    for first in (0, 4, 8):
        numbers = torch.arange(first, first + 4)
        states = numbers[:, None].float().expand(-1, 2)
        memory.add(Moves(states, numbers, -numbers.float(), states + 0.5, numbers % 2 == 0))
        assert len(memory) == min(first + 4, 6)
    drawn = memory.draw(500)
    assert set(drawn.actions.tolist()) == set(range(6, 12))
    assert torch.equal(drawn.states[:, 1], drawn.actions.float()) and torch.equal(drawn.after, drawn.states + 0.5)
    assert torch.equal(drawn.rewards, -drawn.actions.float()) and torch.equal(drawn.ended, drawn.actions % 2 == 0)
    counts = torch.bincount(drawn.actions)[6:].float()
    assert (counts.max() / counts.min()) < 2


def test_monte_carlo_learns_the_return_from_the_first_visit() -> None:
    """One game through the maze by a table: each move first made in a state comes half way to what followed."""
    torch.manual_seed(1)
    model, world = table(MAZE), GridWorld()
    task = learner(model, spec=MAZE, kind=MonteCarlo, epsilon=0.7, gamma=0.9)
    played: list[Games] = []
    learn = task.loss_of
    task.loss_of = lambda games: played.append(games) or learn(games)
    task.train_step(Batch(world.states(torch.tensor([6])), torch.zeros(1, 0)))
    (games,) = played
    q, returns, total = torch.zeros(54, 4), {}, 0.0
    moves = list(zip(games.states[:, 0].argmax(1).tolist(), games.actions[:, 0].tolist(), strict=True))
    for step in range(len(moves) - 1, -1, -1):
        total = float(games.rewards[step, 0]) + 0.9 * total
        returns[moves[step]] = total  # the first visit is the last that is written
    for (field, action), value in returns.items():
        q[field, action] = 0.5 * value
    assert len(returns) < len(moves), "some move was made twice"
    assert torch.allclose(model.linear.weight.T, q, atol=1e-5)


def test_first_visits_are_counted_in_each_game_by_itself() -> None:
    world = GridWorld()
    starts = world.states(torch.tensor([0, 0]))
    games = play(world, starts, lambda states: torch.tensor([0, 3]))
    seen = first_visits(games)
    assert seen.sum(0).tolist() == [1, 1] and seen[0].all()


GAMES = {
    "dqn": lambda: learner(nn.Linear(4, 2), 0.01, spec=CARTPOLE, memory=15, replay=4, sync=3, explore=40),
    "table": lambda: learner(table(CLIFF), replay=0, explore=30, on_policy=True),
    "actor and critic": lambda: learner(PolicyAndValue(CARTPOLE, hidden=(4,)), 0.01, ActorCritic, CARTPOLE),
    "self-play": lambda: learner(nn.Linear(18, 9), 0.01, SelfPlay, BOARDS, memory=15, replay=4, sync=3, explore=40),
}


@pytest.mark.parametrize("name", GAMES)
def test_training_saved_after_any_step_and_resumed_makes_the_same_moves(name: str) -> None:
    """The state goes through what a checkpoint keeps of it: numbers and text as JSON, tensors by name."""
    torch.manual_seed(0)
    whole = GAMES[name]()
    starts = ENVIRONMENTS[whole.spec.environment].starts(90, torch.Generator().manual_seed(0)).split(3)
    saved = []
    for batch in starts:
        packed, tensors = pack(whole.state_dict())
        weights = {key: tensor.clone() for key, tensor in whole.model.state_dict().items()}
        kept = {key: tensor.clone() for key, tensor in tensors.items()}
        saved.append((json.dumps(packed), kept, weights, torch.get_rng_state()))
        whole.train_step(Batch(batch, torch.zeros(3, 0)))
    end, _ = pack(whole.state_dict())
    for step, (packed, tensors, weights, random) in enumerate(saved):
        resumed = GAMES[name]()
        resumed.model.load_state_dict(weights)
        resumed.load_state_dict(unpack(json.loads(packed), tensors))
        torch.set_rng_state(random)
        for batch in starts[step:]:
            resumed.train_step(Batch(batch, torch.zeros(3, 0)))
        pairs = zip(resumed.model.parameters(), whole.model.parameters(), strict=True)
        assert all(torch.equal(*pair) for pair in pairs), f"saved after step {step}"
        found, parts = pack(resumed.state_dict())
        assert found == end and all(torch.equal(parts[key], part) for key, part in pack(whole.state_dict())[1].items())


@pytest.mark.parametrize("kind", [QLearning, MonteCarlo])
def test_a_task_of_games_says_what_goes_with_other_data(kind: type) -> None:
    with pytest.raises(
        MisfitError, match=r"needs starts of a game, and data 'x' has classes for targets; write task=cl"
    ):
        kind(nn.Linear(3, 2), DataSpec("x", (3,), 2, "class", ("a", "b")), cpu())
