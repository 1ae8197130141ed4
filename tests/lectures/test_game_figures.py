"""Figures of games, from stand-in runs: what they say of a player is what that player does."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dlcourse.environments.grid import Cliff, GridWorld
from dlcourse.errors import ConfigError
from dlcourse.lectures.finished import Finished
from dlcourse.lectures.games import best_returns, cartpole, cliff, self_play
from lab import Lab

TABLE = ("model=linreg", "task=q_learning", "task.replay=0", "freeze=[linear.bias]", "optimizer=sgd", "report=light")


@pytest.fixture
def finished(lab: Lab) -> Callable[..., Finished]:
    def make(*words: str) -> Finished:
        run = lab.train(*words, "trainer.epochs=2", "trainer.batch_size=4")
        return Finished(" ".join(words), lab.folder / Path(str(run)))

    return make


def test_the_best_returns_are_those_of_the_shortest_ways() -> None:
    values = best_returns(Cliff())
    assert values[36] == -13 and values[24] == -12 and values[47] == 0 and values[0] == -14
    maze = best_returns(GridWorld())
    assert maze[18] == -14 and maze[17] == -1
    assert torch.isfinite(maze[torch.tensor(GridWorld().places())]).all()


@pytest.mark.slow
def test_walks_that_were_hardly_trained_are_no_shortest_ways(finished: Callable[..., Finished]) -> None:
    """The bands of the figure hold nothing that a player without training reaches, too."""
    by_the_cliff = finished("data=cliff", "data.size=8", *TABLE)
    in_the_maze = finished("data=grid_world", "data.size=8", *TABLE)
    report = cliff([by_the_cliff, by_the_cliff, in_the_maze, in_the_maze])
    assert report.scalars["Q-learning return"] < -17
    assert report.scalars["maze Q-learning detour"] > 5
    assert set(report.pictures) == {"cliff", "maze"} and len(report.pictures["maze"].walks) == 2


def test_moves_of_whole_games_and_of_games_move_by_move_are_counted_alike(finished: Callable[..., Finished]) -> None:
    words = ("data=cartpole", "data.size=8", "data.held_out=3", "report=light", "model.hidden=[4]")
    games = finished(*words, "model=mlp", "task=policy_gradient", "trainer.log_every=1")
    moves = finished(*words, "model=policy_and_value")
    report = cartpole([games, moves])
    lines = report.pictures["cartpole"].lines
    assert [list(line[0]) for name, line in lines.items() if name == "actor-critic"] == [[0.008, 0.016]]
    records = [json.loads(line) for line in (games.folder / "metrics.jsonl").read_text().splitlines()]
    played = sum(4 * record["train/return"] for record in records if "train/return" in record)
    assert 1000 * lines["REINFORCE"][0][-1] == pytest.approx(played)
    assert report.scalars["REINFORCE return"] < 475 and report.scalars["REINFORCE moves"] == float("inf")


def test_a_network_that_has_hardly_played_loses_and_other_runs_are_refused(finished: Callable[..., Finished]) -> None:
    run = finished("data=tic_tac_toe", "data.size=8", "model=mlp", "model.hidden=[4]", "report=light")
    report = self_play([run])
    assert report.scalars["test/lost_to_perfect"] > 0.1 and report.scalars["test/won_first"] < 0.95
    assert next(iter(report.pictures)) == "boards" and report.scalars["games"] == 16
    other = finished("data=digits", "data.subset=60", "model=softmax", "report=light")
    with pytest.raises(ConfigError, match=r"lecture\.runs: the figure needs a run of task=self_play, got task=classif"):
        self_play([other])
    with pytest.raises(ConfigError, match=r"lecture\.runs: the figure needs a walk on a grid, got task=classification"):
        cliff([other] * 4)
