"""Playing games: whole ones and a move at a time are the same game, and what is over begins anew."""

import torch

from dlcourse.environments import ENVIRONMENTS
from dlcourse.environments.grid import Cliff
from dlcourse.tasks.play import RunningGames, play

CLIFF = Cliff()


def start(count: int) -> torch.Tensor:
    return CLIFF.starts(count, torch.Generator())


def along_the_edge(states: torch.Tensor) -> torch.Tensor:
    """Up from the start, right, and down at the end."""
    field = states.argmax(1)
    return torch.where(field == 36, 0, torch.where(field == 35, 2, 1))


def test_a_whole_game_ends_where_it_ends_and_has_its_return() -> None:
    second = torch.cat([start(1), CLIFF.states(torch.tensor([34]))])
    games = play(CLIFF, second, along_the_edge)
    assert games.returns.tolist() == [-13, -2] and games.lengths.tolist() == [13, 2]
    moves = games.moves()
    assert len(moves.actions) == 15 and moves.ended.sum() == 2 and moves.rewards.sum() == -15
    assert games.returns_to_go(0.5)[:3, 1].tolist() == [-1.5, -1.0, 0.0]
    assert games.returns_to_go(1.0)[0].tolist() == [-13, -2]


def test_a_game_without_end_is_cut_short_at_its_limit_and_has_not_ended() -> None:
    games = play(CLIFF, start(1), lambda states: torch.full((len(states),), 3))
    assert games.lengths.tolist() == [CLIFF.limit] and not games.ended.any()


def test_running_games_are_whole_games_one_after_the_other() -> None:
    games = RunningGames(CLIFF, torch.device("cpu"))
    rewards = []
    for step in range(26):
        moves = games.move(start(2), along_the_edge)
        rewards.append(moves.rewards)
        assert float(games.mean_return) == (-13 if step >= 12 else 0)
        assert moves.ended.tolist() == [step in (12, 25)] * 2
    assert torch.stack(rewards).sum() == -52
    assert moves.after.argmax(1).tolist() == [47, 47]
    assert games.move(start(2), along_the_edge).states.argmax(1).tolist() == [36, 36]


def test_the_limit_is_that_of_each_game_by_itself() -> None:
    games = RunningGames(CLIFF, torch.device("cpu"))
    ended = sum(int(games.move(start(1), along_the_edge).ended) for _ in range(13 * 60))
    assert CLIFF.limit < 13 * 60 and ended == 60 and float(games.mean_return) == -13


def test_a_short_batch_moves_as_many_games_as_it_has_starts_and_the_others_wait() -> None:
    games = RunningGames(CLIFF, torch.device("cpu"))
    for count in (3, 1, 3):
        moves = games.move(start(count), along_the_edge)
    assert moves.states.argmax(1).tolist() == [25, 24, 24]


def test_running_games_are_cut_short_and_begin_anew() -> None:
    games = RunningGames(CLIFF, torch.device("cpu"))
    for _ in range(CLIFF.limit):
        moves = games.move(start(1), lambda states: torch.full((len(states),), 1 if states[0, 36] == 0 else 0))
        assert not moves.ended.any(), "up, and then right until the border"
    assert float(games.mean_return) == -CLIFF.limit
    assert games.move(start(1), along_the_edge).states.argmax(1).tolist() == [36]


def test_games_that_were_saved_go_on_from_there() -> None:
    world, random = ENVIRONMENTS["cartpole"], torch.Generator().manual_seed(0)
    starts = world.starts(4, random)
    first, second = (RunningGames(world, torch.device("cpu")) for _ in range(2))
    for step in range(60):
        actions = torch.randint(2, (4,), generator=random)
        moves = first.move(starts, lambda states, actions=actions: actions)
        if step == 30:
            second.load_state_dict(first.state_dict())
        elif step > 30:
            again = second.move(starts, lambda states, actions=actions: actions)
            assert all(torch.equal(*pair) for pair in zip(moves, again, strict=True))
    assert first.mean_return == second.mean_return > 0
