"""What several drawings read out of finished runs: examples as tensors, predictions, and the line that was fitted.

N is a number of examples, O of numbers predicted for each, K of classes.
"""

import torch
from torch import Tensor

from dlcourse.errors import ConfigError
from dlcourse.lectures.finished import Finished
from dlcourse.models.feature_map import parts
from dlcourse.models.linear import LinearRegression
from dlcourse.plots import RegionPanel
from dlcourse.spec import Batch, Split
from dlcourse.tasks.classification import Classification
from dlcourse.tasks.regression import Regression

_AT_ONCE = 1000
_GRID = 150
_MOST_POINTS = 400


def examples(split: Split) -> Batch:
    """All inputs `(N, ...)` and targets of a split, in order, on the CPU."""
    batches = list(split.batches(_AT_ONCE))
    return Batch(torch.cat([batch.inputs for batch in batches]).cpu(), torch.cat([b.targets for b in batches]).cpu())


def predicted_values(run: Finished, inputs: Tensor) -> Tensor:
    """What a run predicts for inputs `(N, ...)`, `(N, O)` in the targets' own units, in float64."""
    task = run.open().task
    if not isinstance(task, Regression):
        raise ConfigError(f"lecture.runs: the figure needs a run that predicts numbers, got {run.folder}")
    with torch.no_grad():
        return task.in_units(task.predict(inputs, _AT_ONCE))


def predicted_probabilities(run: Finished, inputs: Tensor) -> Tensor:
    """The probabilities of the classes `(N, K)` that a run gives to inputs `(N, ...)`."""
    task = run.open().task
    if not isinstance(task, Classification):
        raise ConfigError(f"lecture.runs: the figure needs a run that predicts classes, got {run.folder}")
    with torch.no_grad():
        return task.probabilities(task.predict(inputs, _AT_ONCE))


def accuracy(run: Finished, batch: Batch) -> float:
    """The share of examples whose class a run predicts."""
    return float((predicted_probabilities(run, batch.inputs).argmax(1) == batch.targets).double().mean())


def mean_squared_error(run: Finished, batch: Batch) -> float:
    """Of the numbers that a run predicts, in the square of their own units."""
    return float((predicted_values(run, batch.inputs) - batch.targets.double()).square().mean())


def line(run: Finished) -> tuple[float, float]:
    """Slope and intercept that linear regression on one feature has come to, in the data's units."""
    affine = parts(run.open().task.model)[1]
    if not isinstance(affine, LinearRegression) or affine.linear.in_features != 1:
        raise ConfigError(f"lecture.runs: the figure needs linear regression on one feature, got {run.folder}")
    low, high = predicted_values(run, torch.tensor([[0.0], [1.0]])).flatten().tolist()
    return high - low, low


def region_panel(run: Finished, title: str, *, named: bool = True) -> RegionPanel:
    """Which classes a run predicts in the plane, over some of its training examples; raises ConfigError for no points."""
    data = run.data()
    if not data.spec.is_points:
        raise ConfigError(f"lecture.runs: the figure needs points in the plane, got data '{data.spec.name}'")
    train = examples(data.train)
    few = slice(_MOST_POINTS)
    margin = 0.1 * (train.inputs.amax(0) - train.inputs.amin(0))
    (low_x, low_y), (high_x, high_y) = (
        (train.inputs.amin(0) - margin).tolist(),
        (train.inputs.amax(0) + margin).tolist(),
    )
    x, y = torch.linspace(low_x, high_x, _GRID), torch.linspace(low_y, high_y, _GRID)
    grid = torch.cartesian_prod(y, x).flip(1)  # (G * G, 2), x running fastest
    probabilities = predicted_probabilities(run, grid).reshape(_GRID, _GRID, -1)
    names = (data.spec.class_names, data.spec.feature_labels[:2]) if named else ((), None)
    return RegionPanel(
        train.inputs[few].numpy(),
        train.targets[few].numpy(),
        x.numpy(),
        y.numpy(),
        probabilities.numpy(),
        title,
        *names,
    )
