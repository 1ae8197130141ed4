"""The games against those of others: gymnasium's CartPole, walks by hand and shortest ways, tic-tac-toe by enumeration."""

from collections import deque

import gymnasium
import numpy as np
import pytest
import torch

from dlcourse.environments import ENVIRONMENTS
from dlcourse.environments.cartpole import CartPole
from dlcourse.environments.environment import Environment
from dlcourse.environments.grid import Cliff, Grid, GridWorld
from dlcourse.environments.tic_tac_toe import TicTacToe, perfect_moves


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_game_names_what_its_states_have_and_answers_in_their_type(name: str) -> None:
    world: Environment = ENVIRONMENTS[name]
    states = world.starts(5, torch.Generator().manual_seed(0))
    assert states.shape == (5, len(world.features)) and states.dtype == torch.float32
    for dtype in (torch.float32, torch.float64):
        before = states.to(dtype)
        after, rewards, ended = world.step(before, torch.arange(5) % len(world.actions))
        assert after.shape == states.shape and after.dtype == rewards.dtype == dtype and ended.dtype == torch.bool
        assert torch.equal(before, states.to(dtype)), "a move changes no tensor that it was given"


def test_a_hundred_games_of_cartpole_are_those_of_gymnasium() -> None:
    """Ours in float64, as gymnasium computes; 100 games side by side."""
    rules, random, count = CartPole(), np.random.default_rng(0), 100
    theirs = [gymnasium.make("CartPole-v1", disable_env_checker=True) for _ in range(count)]
    seen = np.array([game.reset(seed=seed)[0] for seed, game in enumerate(theirs)])
    states = torch.tensor(np.array([game.unwrapped.state for game in theirs]))
    assert np.allclose(states, seen)
    going, moves = list(range(count)), 0
    # Played at random, but for a few that push to where the pole falls, which holds it up.
    while going:
        wise = (states[:, 2] + 0.3 * states[:, 3] > 0).long()
        actions = torch.where(torch.arange(count) % 20 == 0, wise, torch.tensor(random.integers(0, 2, count)))
        states, rewards, ended = rules.step(states, actions)
        moves += 1
        steps = [theirs[place].step(int(actions[place])) for place in going]
        found = np.array([theirs[place].unwrapped.state for place in going])
        assert np.allclose(states[going], found, rtol=0, atol=1e-12)
        assert [reward for _, reward, *_ in steps] == rewards[going].tolist()
        assert [terminated for _, _, terminated, *_ in steps] == ended[going].tolist()
        assert all(truncated == (moves == rules.limit) for _, _, _, truncated, _ in steps)
        going = [place for place, step in zip(going, steps, strict=True) if not (step[2] or step[3])]
    assert moves == rules.limit, "no game was long enough to be cut short, so nothing is known of that"


def walk(world: Grid, field: int, *moves: str) -> tuple[list[int], list[float], bool]:
    """The fields that the moves lead through, their rewards, and whether the last of them ended the walk."""
    states, fields, rewards, ended = world.states(torch.tensor([field])), [], [], torch.zeros(1, dtype=torch.bool)
    for move in moves:
        states, reward, ended = world.step(states, torch.tensor([world.actions.index(move)]))
        fields.append(int(states.argmax()))
        rewards.append(float(reward))
    return fields, rewards, bool(ended)


def test_over_the_edge_of_the_cliff_is_a_hundred_and_back_to_the_start() -> None:
    world = Cliff()
    start, goal = 36, 47
    assert walk(world, start, "right") == ([start], [-100.0], False)
    assert walk(world, 25, "down") == ([start], [-100.0], False)
    assert walk(world, start, "left", "down") == ([start, start], [-1.0, -1.0], False)
    along_the_edge = walk(world, start, "up", *["right"] * 11, "down")
    assert along_the_edge[0][-1] == goal and sum(along_the_edge[1]) == -13 and along_the_edge[2]


def test_walls_and_borders_of_the_maze_hold() -> None:
    world = GridWorld()
    assert walk(world, 18, "right", "right", "left", "left")[0] == [19, 19, 18, 18]  # a wall at row 2, column 2
    assert walk(world, 17, "up") == ([8], [-1.0], True)


def shortest(world: Grid) -> dict[int, int]:
    """The moves to the goal from each place, by breadth first from the goal."""
    (goal,) = world.fields("G")
    found, waiting = {goal: 0}, deque([goal])
    everywhere = torch.arange(world.size)
    leads = [
        world.step(world.states(everywhere), torch.full((world.size,), action)).states.argmax(1).tolist()
        for action in range(4)
    ]
    while waiting:
        field = waiting.popleft()
        for action in range(4):
            for before in world.places():
                if leads[action][before] == field and before not in found:
                    found[before] = found[field] + 1
                    waiting.append(before)
    return found


def test_the_shortest_way_through_the_maze_has_fourteen_moves() -> None:
    world = GridWorld()
    found = shortest(world)
    assert found[world.fields("S")[0]] == 14
    assert set(world.places()) < set(found), "one can get out from everywhere"


def after(*moves: int) -> tuple[torch.Tensor, list[float], bool]:
    world = TicTacToe()
    states, rewards, ended = torch.zeros(1, 18), [], torch.zeros(1, dtype=torch.bool)
    for move in moves:
        assert world.legal(states)[0, move] and not ended
        states, reward, ended = world.step(states, torch.tensor([move]))
        rewards.append(float(reward))
    return states, rewards, bool(ended)


@pytest.mark.parametrize("line", [(0, 1, 2), (6, 7, 8), (1, 4, 7), (0, 4, 8), (2, 4, 6)])
def test_three_in_a_row_win_for_whoever_moves(line: tuple[int, int, int]) -> None:
    others = [field for field in range(9) if field not in line]
    states, rewards, ended = after(line[0], others[0], line[1], others[1], line[2])
    assert rewards == [0, 0, 0, 0, 1] and ended
    assert states[0, 9:].nonzero()[:, 0].tolist() == sorted(line), "the winner's stones are the other's for who is next"
    assert states[0, :9].nonzero()[:, 0].tolist() == others[:2]


def test_a_full_board_without_a_row_is_a_draw() -> None:
    _, rewards, ended = after(0, 1, 2, 4, 3, 5, 7, 6, 8)
    assert rewards == [0] * 9 and ended


def test_perfect_moves_win_what_can_be_won_and_block_what_must_be_blocked() -> None:
    assert perfect_moves(torch.zeros(1, 18)).all(), "every first move is a draw"
    in_the_corner, _, _ = after(0)
    assert perfect_moves(in_the_corner)[0].nonzero()[:, 0].tolist() == [4], "only the middle holds against a corner"
    to_win, _, _ = after(0, 3, 1, 4)
    assert perfect_moves(to_win)[0].nonzero()[:, 0].tolist() == [2]
    to_block, _, _ = after(0, 8, 1)
    assert perfect_moves(to_block)[0].nonzero()[:, 0].tolist() == [2]
