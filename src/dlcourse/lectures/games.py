"""Figures of reinforcement learning: tables of values on maps, return curves on CartPole, tic-tac-toe by self-play.

F is a number of fields.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch

from dlcourse.environments import ENVIRONMENTS
from dlcourse.environments.grid import Grid
from dlcourse.errors import ConfigError
from dlcourse.lectures.finished import Finished
from dlcourse.lectures.several import evaluated, required
from dlcourse.metrics.report import Report
from dlcourse.plots import GridWalk, GridWalks, LineChart
from dlcourse.tasks.play import play
from dlcourse.tasks.reinforcement import Reinforcement
from dlcourse.training.evaluate import evaluate

_THOUSAND = 1000


def cliff(runs: Sequence[Finished]) -> Report:
    """Two players by the cliff, off and on policy, and two in the maze, by Q-learning and by Monte Carlo.

    `... return` is that of the greedy walk from the start, `... in training` the mean return in the second half of training,
    `... detour` how many moves more than the fewest a greedy walk takes, a mean over the fields of the maze.
    """
    off, on, temporal, whole = required(runs, 4)
    names = {"Q-learning": off, "on-policy": on, "maze Q-learning": temporal, "maze Monte Carlo": whole}
    scalars: dict[str, float] = {}
    walks: dict[str, GridWalk] = {}
    for name, run in names.items():
        task, world = _player(run, "a walk on a grid")
        if not isinstance(world, Grid):
            raise ConfigError(f"lecture.runs: the figure needs walks on a grid, got data={run.config.data.name}")
        walk: Any = evaluate(task, run.data().test, 100, full=True).pictures["values"]
        walks[name] = dataclasses.replace(walk, title=f"{name[0].upper()}{name[1:]}: {len(walk.way) - 1} moves from S")
        scalars[f"{name} return"] = _return_from_start(task, world)
        scalars[f"{name} in training"] = _late_mean(run, "train/return")
        scalars[f"{name} detour"] = _detour(task, world)
    maps = list(walks.values())
    return Report(scalars, pictures={"cliff": GridWalks(maps[:2]), "maze": GridWalks(maps[2:], columns=2)})


def cartpole(runs: Sequence[Finished]) -> Report:
    """The mean return on validation against the moves made in training, by task; `... moves` is when 475 was reached first.

    `... return` is that on the test set.
    """
    scalars: dict[str, float] = {}
    lines = {}
    for run in runs:
        name = _TASKS.get(run.config.task.name, run.config.task.name)
        _, returns = run.series("val/return")
        moves = _moves_made(run, len(returns))
        lines[name] = ([made / _THOUSAND for made in moves], returns)
        solved = [made for made, value in zip(moves, returns, strict=True) if value >= _SOLVED]
        scalars |= {
            f"{name} return": run.numbers()["test/return"],
            f"{name} moves": solved[0] if solved else float("inf"),
        }
    chart = LineChart(
        lines,
        "moves made in training, in thousands",
        "return of greedy play",
        at_y={"solved: 475": _SOLVED},
        log_x=True,
    )
    return Report(scalars, pictures={"cartpole": chart})


_TASKS = {"q_learning": "DQN", "policy_gradient": "REINFORCE", "actor_critic": "actor-critic"}
_SOLVED = 475.0


def self_play(runs: Sequence[Finished]) -> Report:
    """What the evaluation of a run of self-play shows, and how often it won and lost after each epoch."""
    (run,) = required(runs, 1)
    report = evaluated(runs)
    if "test/lost_to_perfect" not in report.scalars:
        raise ConfigError(f"lecture.runs: the figure needs a run of task=self_play, got task={run.config.task.name}")
    shown = {
        "won, going first, random": "val/won_first",
        "won, second, random": "val/won_second",
        "lost to random": "val/lost_to_random",
        "lost to perfect play": "val/lost_to_perfect",
    }
    curves = {name: run.series(number) for name, number in shown.items()}
    report.pictures["epochs"] = LineChart(curves, "epoch", "share of 500 or 1,000 games", share=True)
    report.scalars["games"] = float(run.config.data.options["size"] * run.config.trainer.epochs)
    return report


def _late_mean(run: Finished, number: str) -> float:
    """The mean of a logged number over the second half of the epochs."""
    epochs, values = run.series(number)
    late = [value for epoch, value in zip(epochs, values, strict=True) if epoch > epochs[-1] / 2]
    return sum(late) / len(late)


def _player(run: Finished, needed: str) -> tuple[Reinforcement, Any]:
    """The task of a run that plays a game, and the game; raises ConfigError."""
    opened = run.open()
    if not isinstance(opened.task, Reinforcement):
        raise ConfigError(f"lecture.runs: the figure needs {needed}, got task={opened.config.task.name}")
    return opened.task, ENVIRONMENTS[opened.spec.environment]


@torch.no_grad()
def _return_from_start(task: Reinforcement, world: Grid) -> float:
    start = world.states(torch.tensor(world.fields("S")))
    return float(play(world, start, task.greedy).returns)


@torch.no_grad()
def _detour(task: Reinforcement, world: Grid) -> float:
    """How much more the greedy walks from all fields cost than the shortest, a mean over the places to begin in."""
    places = torch.tensor(world.places())
    returns = play(world, world.states(places), task.greedy).returns
    return float((best_returns(world)[places] - returns).mean())


def best_returns(world: Grid) -> torch.Tensor:
    """The most that a walk from each field can earn, `(F,)`, by value iteration; -inf where no way leads out."""
    (goal,) = world.fields("G")
    fields = torch.arange(world.size)
    values = torch.full((world.size,), -torch.inf)
    values[goal] = 0.0
    steps = [world.step(world.states(fields), torch.full_like(fields, action)) for action in range(len(world.actions))]
    for _ in range(world.size):
        hoped = torch.stack([step.rewards + values[step.states.argmax(1)] for step in steps]).amax(0)
        values = torch.where(fields == goal, 0.0, hoped)
    return values


def _moves_made(run: Finished, epochs: int) -> list[float]:
    """The moves made in training by the end of each epoch: a move for each start, or all of the games from there."""
    size = float(run.config.data.options["size"])
    if run.config.task.name not in ("policy_gradient", "monte_carlo"):
        return [size * (epoch + 1) for epoch in range(epochs)]
    at, returns = run.series("train/return")  # as long as a game of CartPole, which earns 1 a move
    made, total = [], 0.0
    for epoch in range(1, epochs + 1):
        of_epoch = [value for where, value in zip(at, returns, strict=True) if where == epoch]
        total += size * sum(of_epoch) / len(of_epoch)
        made.append(total)
    return made
