"""Optimizers compared: their learning curves on the same data, and their paths past a saddle point."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dlcourse.config.options import Count
from dlcourse.config.registry import Choice
from dlcourse.errors import ConfigError
from dlcourse.lectures.finished import Finished
from dlcourse.lectures.several import numbers_of
from dlcourse.metrics.report import Report
from dlcourse.optim.optimizers import OPTIMIZERS
from dlcourse.plots import Descent, LineChart

_START = (-1.4, 0.001)
_LR = {"sgd": 0.05, "momentum": 0.05, "adagrad": 0.05, "adadelta": 1.0, "rmsprop": 0.05, "adam": 0.05, "adamw": 0.05}
"""Learning rates on the surface; Adadelta measures its steps in units of its own."""
_POINTS = {"saddle": (0.12, -0.12, 0.0), "minimum": (0.0, -1.0, -0.25), "minimum ": (0.0, 1.0, -0.25)}


def optimizers(runs: Sequence[Finished], steps: Count = 100) -> Report:
    """The training loss of runs with different optimizers, and where `steps` steps of each lead near a saddle point.

    The surface is x^2 / 2 + y^4 / 4 - y^2 / 2: a saddle at (0, 0) of height 0, and minima of height -1/4 at (0, 1) and
    (0, -1). All start beside the ridge that leads down to the saddle.
    """
    names = [run.config.optimizer.name for run in runs]
    if not runs or len(set(names)) < len(names):
        raise ConfigError(
            f"lecture.runs: the figure needs runs with different optimizers, got {', '.join(names) or 'none'}"
        )
    paths = {name: _path(run.config.optimizer, steps) for name, run in zip(names, runs, strict=True)}
    heights = {f"{name} height": float(path[-1, 2]) for name, path in paths.items()}
    accuracies = {f"{name} accuracy": run.numbers()["test/accuracy"] for name, run in zip(names, runs, strict=True)}
    lowest = {"lowest accuracy": min(accuracies.values())}
    lines = {name: run.metrics.series("train/loss") for name, run in zip(names, runs, strict=True)}
    chart = LineChart(lines, "step", "training loss", "Handwritten digits", log_y=True)
    x, y = torch.linspace(-1.6, 1.0, 90), torch.linspace(-1.45, 1.45, 90)
    surface = _surface(*torch.meshgrid(x, y, indexing="ij"))
    title = f"A saddle point: {steps} steps from the same start"
    shown = {name: path.numpy() for name, path in paths.items()}
    picture = Descent(chart, x.numpy(), y.numpy(), surface.numpy(), shown, title, _POINTS)
    return Report(numbers_of(runs) | accuracies | lowest | heights, pictures={"optimizers": picture})


def _surface(x: Tensor, y: Tensor) -> Tensor:
    return x**2 / 2 + y**4 / 4 - y**2 / 2


def _path(chosen: Choice, steps: int) -> Tensor:
    """The places `(steps + 1, 3)` that an optimizer of the runs goes through, x, y and the height there."""
    point = nn.ParameterList([torch.tensor(_START)])
    options = {**chosen.options, "lr": _LR[chosen.name], "weight_decay": 0.0}
    optimizer = OPTIMIZERS.build(Choice(chosen.name, options))(point)
    path = [torch.tensor(_START)]
    for _ in range(steps):
        (point[0].grad,) = torch.autograd.grad(_surface(*point[0]), point[0])
        optimizer.step()
        path.append(point[0].detach().clone())
    places = torch.stack(path)  # (steps + 1, 2)
    return torch.cat([places, _surface(*places.T)[:, None]], dim=1)
