"""Figures of regression: the line and its bowl, likelihood, two heads, and the degree of a polynomial.

N is a number of examples, O of outputs.
"""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from dlcourse.config.options import Count
from dlcourse.errors import ConfigError
from dlcourse.lectures.finished import Finished
from dlcourse.lectures.reading import accuracy, examples, line, mean_squared_error, predicted_values, region_panel
from dlcourse.lectures.several import required
from dlcourse.metrics.report import Report
from dlcourse.models.feature_map import parts
from dlcourse.models.linear import LinearRegression
from dlcourse.plots import BarPanel, BowlPanel, FitPanel, LineChart, Panels
from dlcourse.spec import Batch

_GRID = 201
_MOST_POINTS = 150
_INNERMOST = 0.005
"""The first ring of the bowl lies this far above its bottom."""


def fit(runs: Sequence[Finished]) -> Report:
    """Gradient descent of y = a x + b: runs of more and more epochs, which are its path, and last a closed form."""
    *path, closed = runs
    if not path:
        raise ConfigError(
            "lecture.runs: the figure needs runs of gradient descent and one of task=least_squares, got 1"
        )
    train = examples(closed.data().train)
    test = examples(closed.data().test)
    steps = torch.tensor([(0.0, 0.0), *(line(run) for run in path)], dtype=torch.float64)  # (S + 1, 2)
    best = line(closed)
    a, b = steps[-1].tolist()
    losses = [_loss_of_line(train, slope, intercept) for slope, intercept in steps.tolist()]
    bottom = _loss_of_line(train, *best)
    scalars = {
        "a": a,
        "b": b,
        "difference from least squares": max(abs(a - best[0]), abs(b - best[1])),
        "mean squared error": mean_squared_error(path[-1], test),
        "height of the last point above the bottom": losses[-1] - bottom,
        "first loss": losses[0],
        "steps of the path that go down": sum(after < before for before, after in itertools.pairwise(losses))
        / len(path),
    }
    scatter = _fit_panel(test, {"fitted line": path[-1]}, f"y = {a:.3f} x + {b:.3f}")
    return Report(scalars, pictures={"line": Panels([scatter, _bowl(train, steps, best, bottom)])})


def _loss_of_line(batch: Batch, slope: float, intercept: float) -> float:
    return float((slope * batch.inputs.double() + intercept - batch.targets.double()).square().mean())


def _bowl(batch: Batch, steps: Tensor, best: tuple[float, float], bottom: float) -> BowlPanel:
    """E(a, b), which is a quadratic form about its minimum."""
    reach = 1.15 * max(abs(best[0]), abs(best[1]))
    slopes, intercepts = (torch.linspace(center - reach, center + reach, _GRID).double() for center in best)
    x, offsets = batch.inputs.double(), torch.cartesian_prod(intercepts - best[1], slopes - best[0])
    square, cross = float(x.square().mean()), float(x.mean())
    above = square * offsets[:, 1] ** 2 + 2 * cross * offsets[:, 0] * offsets[:, 1] + offsets[:, 0] ** 2
    levels = bottom + _INNERMOST * 4.0 ** torch.arange(6)
    loss = (bottom + above).reshape(_GRID, _GRID).numpy()
    title = "E(a, b), and the path down"
    return BowlPanel(slopes.numpy(), intercepts.numpy(), loss, steps.numpy(), best, levels.numpy(), title)


def likelihood(runs: Sequence[Finished]) -> Report:
    """The same line by least squares and by maximum likelihood, whose sigma is the root of the mean squared error."""
    squares, likely = required(runs, 2, ", one with task.loss=mse and one with task.loss=nll")
    train = examples(squares.data().train)
    lines = line(squares), line(likely)
    mse = mean_squared_error(squares, train)
    sigma = likely.numbers().get("test/sigma")
    if sigma is None:
        raise ConfigError(f"lecture.runs: the second run needs task.loss=nll, got {likely.folder}")
    widths = torch.logspace(math.log10(sigma / 2), math.log10(4 * sigma), _GRID).double()
    nll = widths.log() + mse / (2 * widths**2) + 0.5 * math.log(2 * math.pi)
    scalars = {
        "largest difference of a and b": max(abs(one - other) for one, other in zip(*lines, strict=True)),
        "sigma": sigma,
        "mean squared error": mse,
        "sigma squared over mean squared error": sigma**2 / mse,
        "negative log likelihood": float(math.log(sigma) + mse / (2 * sigma**2) + 0.5 * math.log(2 * math.pi)),
    }
    panel = _fit_panel(
        train, {"both lines": likely}, f"y = {lines[1][0]:.3f} x + {lines[1][1]:.3f} +- {sigma:.3f}", sigma
    )
    curve = LineChart(
        {"negative log likelihood": (widths, nll)},
        "sigma",
        "nats for each example",
        "The best sigma: the root of the squared error",
        at_x={"learned sigma": sigma, "root of the squared error": math.sqrt(mse)},
    )
    return Report(scalars, pictures={"likelihood": Panels([panel, curve])})


def two_heads(runs: Sequence[Finished]) -> Report:
    """A model of several outputs: the error is the sum of the outputs' errors, and so is its gradient."""
    descent, closed, heads = required(
        runs, 3, ", linear regression by descent, the same by task=least_squares, one of two outputs"
    )
    batch = examples(heads.data().test)
    if batch.targets.shape[1] != 2:
        raise ConfigError(f"lecture.runs: the third run needs two outputs, got {batch.targets.shape[1]}")
    errors = (predicted_values(heads, batch.inputs) - batch.targets.double()).square().mean(0)  # (O,)
    together = 2 * heads.numbers()["test/mse"]
    scalars = {
        "R^2 by gradient descent": descent.numbers()["test/r2"],
        "R^2 by least squares": closed.numbers()["test/r2"],
        "difference in R^2": abs(descent.numbers()["test/r2"] - closed.numbers()["test/r2"]),
        "E1": float(errors[0]),
        "E2": float(errors[1]),
        "E": together,
        "E less E1 and E2": abs(together - float(errors.sum())),
        "largest gap between the gradients": _gradient_gap(heads, batch),
    }
    weights = {"gradient descent": _coefficients(descent), "least squares": _coefficients(closed)}
    names = closed.data().spec.feature_labels
    left = BarPanel(weights, names, "change for one standard deviation", "Diabetes: the weights of both")
    heights = {"test error": [scalars["E1"], scalars["E2"], scalars["E"]]}
    right = BarPanel(
        heights, ("E1, next value", "E2, the one after", "E = E1 + E2"), "squared error", "Two heads, one error"
    )
    return Report(scalars, pictures={"two_heads": Panels([left, right])})


def _coefficients(run: Finished) -> list[float]:
    """Of linear regression on standardized features, in the targets' units."""
    task = run.open().task
    affine = parts(task.model)[1]
    if not isinstance(affine, LinearRegression):
        raise ConfigError(f"lecture.runs: the figure needs linear regression, got {run.folder}")
    return [weight * float(task.model.get_buffer("target_std")[0]) for weight in affine.linear.weight[0].tolist()]


def _gradient_gap(run: Finished, batch: Batch) -> float:
    """Between the gradient of E1 + E2 and the sum of those of E1 and E2, relative to the largest entry, in float64."""
    model = run.open().task.model.double()
    try:
        gradients = []
        for chosen in ([0, 1], [0], [1]):
            model.zero_grad()
            error = (model(batch.inputs.double()) - batch.targets.double())[:, chosen].square().mean(0).sum()
            torch.autograd.backward(error)
            parameters = [parameter for parameter in model.parameters() if parameter.grad is not None]
            gradients.append(torch.cat([torch.as_tensor(p.grad).flatten().clone() for p in parameters]))
    finally:
        model.zero_grad()
        model.float()
    return float((gradients[0] - gradients[1] - gradients[2]).abs().max() / gradients[0].abs().max())


def polynomial(runs: Sequence[Finished], shown: tuple[Count, ...] = (1, 3, 12)) -> Report:
    """Polynomials of rising degree on few points, then a linear classifier without and with products of the features."""
    *degrees, flat, bent = runs
    options = [int(run.config.features.options["degree"]) for run in degrees]
    if len(set(options)) != len(options) or not set(shown) <= set(options):
        raise ConfigError(f"lecture.runs: the figure needs a run for each degree, {shown} among them, got {options}")
    train, test = examples(degrees[0].data().train), examples(degrees[0].data().test)
    errors = {
        "training": [mean_squared_error(run, train) for run in degrees],
        "test": [mean_squared_error(run, test) for run in degrees],
    }
    lowest = min(errors["test"])
    scalars = {
        "examples": len(train.targets),
        "best degree": options[errors["test"].index(lowest)],
        "least test error": lowest,
        "test error of the highest degree": errors["test"][-1],
        "highest over best": errors["test"][-1] / lowest,
        "training error of the highest degree": errors["training"][-1],
        "accuracy of a straight line": accuracy(flat, examples(flat.data().test)),
        "accuracy with products": accuracy(bent, examples(bent.data().test)),
    }
    lines = {name: (options, values) for name, values in errors.items()}
    chart = LineChart(lines, "degree", "mean squared error", "Error over the degree", log_y=True)
    fits = [
        _fit_panel(train, {"polynomial": degrees[options.index(degree)]}, f"degree {degree}", truth=test)
        for degree in shown
    ]
    regions = [region_panel(run, title) for run, title in ((flat, "without products"), (bent, "with products"))]
    return Report(scalars, pictures={"polynomial": Panels([chart, *fits], 2), "boundary": Panels(regions)})


def _fit_panel(
    batch: Batch, runs: dict[str, Finished], title: str, sigma: float = 0.0, truth: Batch | None = None
) -> FitPanel:
    """Some of the points with what runs predict over the width of them, or of `truth`, and twice sigma to each side."""
    over = batch if truth is None else truth
    grid = torch.linspace(float(over.inputs.min()), float(over.inputs.max()), _GRID)[:, None]
    curves = {name: predicted_values(run, grid)[:, 0].numpy() for name, run in runs.items()}
    x, few = grid[:, 0].numpy(), slice(_MOST_POINTS)
    between = {}
    if sigma:
        middle = next(iter(curves.values()))
        between = {"twice sigma to each side": (x, middle - 2 * sigma, middle + 2 * sigma)}
    drawn = {name: (x, heights) for name, heights in curves.items()}
    return FitPanel(batch.inputs[few, 0].numpy(), batch.targets[few, 0].numpy(), drawn, title, between=between)
