"""Figures of generalization: the gap over the number of examples, and more parameters than examples.

N is a number of examples, K of classes.
"""

import itertools
from collections.abc import Iterable, Sequence

import torch

from dlcourse.errors import ConfigError
from dlcourse.lectures.finished import Finished
from dlcourse.lectures.reading import accuracy, examples, mean_squared_error, predicted_values
from dlcourse.metrics.report import Report
from dlcourse.models.feature_map import parts
from dlcourse.models.linear import Affine
from dlcourse.plots import FitPanel, LineChart, Panels

_GRID = 400


def holdout(runs: Sequence[Finished]) -> Report:
    """Accuracy on training, validation and test examples over the number of training examples, and the gap."""
    sizes = [len(run.data().train) for run in runs]
    if sizes != sorted(set(sizes)) or len(sizes) < 2:
        raise ConfigError(f"lecture.runs: the figure needs runs on more and more examples, got {sizes}")
    found = {
        name: [accuracy(run, examples(getattr(run.data(), split))) for run in runs]
        for name, split in (("training", "train"), ("validation", "val"), ("test", "test"))
    }
    gaps = [train - test for train, test in zip(found["training"], found["test"], strict=True)]
    scalars = {
        "fewest examples": sizes[0],
        "most examples": sizes[-1],
        "steps": len(runs) - 1,
        "steps in which the gap falls": sum(after < before for before, after in itertools.pairwise(gaps)),
        "gap with the fewest": gaps[0],
        "gap with the most": gaps[-1],
        **{f"{name} accuracy with the most": values[-1] for name, values in found.items()},
    }
    lines = {name: (sizes, values) for name, values in found.items()}
    left = LineChart(lines, "training examples", "accuracy", "More examples", log_x=True, share=True)
    right = LineChart(
        {"training less test accuracy": (sizes, gaps)},
        "training examples",
        "gap",
        "The gap closes",
        log_x=True,
        share=True,
    )
    return Report(scalars, pictures={"holdout": Panels([left, right])})


def benign(runs: Sequence[Finished]) -> Report:
    """What models with more and more random features make of the same few points, a panel each."""
    counts = [_count(run) for run in runs]
    train, test = examples(runs[0].data().train), examples(runs[0].data().test)
    grid = torch.linspace(float(test.inputs.min()), float(test.inputs.max()), _GRID)[:, None]
    scalars: dict[str, float] = {"examples": len(train.targets)}
    panels = []
    for run, count in zip(runs, counts, strict=True):
        error = mean_squared_error(run, test)
        scalars[f"test error with {count} parameters"] = error
        scalars[f"training error with {count} parameters"] = mean_squared_error(run, train)
        curves = {"model": (grid[:, 0].numpy(), predicted_values(run, grid)[:, 0].numpy())}
        title = f"{count:,} parameters: test error {error:.3f}"
        panels.append(FitPanel(train.inputs[:, 0].numpy(), train.targets[:, 0].numpy(), curves, title))
    errors = [scalars[f"test error with {count} parameters"] for count in counts]
    scalars["most parameters over fewest"] = errors[-1] / errors[0]
    scalars["worst over fewest"] = max(errors) / errors[0]
    return Report(scalars, pictures={"benign": Panels(panels, columns=len(panels), width=4.2)})


def double_descent(runs: Sequence[Finished], below: float = 0.5) -> Report:
    """Test error, training error and the norm of the weights over the number of features.

    The classical regime has fewer than `below` times as many features as there are examples. Runs with equally many are
    averaged.
    """
    groups: dict[int, list[Finished]] = {}
    for run in runs:
        groups.setdefault(_count(run), []).append(run)
    counts = sorted(groups)
    number = len(runs[0].data().train)
    if counts[0] >= below * number or counts[-1] <= number:
        raise ConfigError(
            f"lecture.runs: the figure needs runs with fewer features than {below:g} times the {number} examples, and some "
            f"with more than {number}, got {counts}"
        )
    errors = [_mean(1 - run.numbers()["test/accuracy"] for run in groups[count]) for count in counts]
    training = [_mean(1 - accuracy(run, examples(run.data().train)) for run in groups[count]) for count in counts]
    norms = [_mean(map(_norm, groups[count])) for count in counts]
    classical = [error for error, count in zip(errors, counts, strict=True) if count < below * number]
    scalars = {
        "examples": number,
        "features at the peak": counts[errors.index(max(errors))],
        "error at the peak": max(errors),
        "lowest error with fewer features": min(classical),
        "features there": counts[errors.index(min(classical))],
        "most features": counts[-1],
        "error with the most features": errors[-1],
        "training error with the most features": training[-1],
        "norm at the peak over norm with the most features": max(norms) / norms[-1],
    }
    at = {"as many as examples": number}
    left = LineChart(
        {"test": (counts, errors), "training": (counts, training)},
        "random features",
        "error",
        "Down, up, and down again",
        log_x=True,
        share=True,
        at_x=at,
    )
    right = LineChart(
        {"norm of the weights": (counts, norms)},
        "random features",
        "norm",
        "Least norm",
        log_x=True,
        log_y=True,
        at_x=at,
    )
    return Report(scalars, pictures={"double_descent": Panels([left, right])})


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers)


def _count(run: Finished) -> int:
    """How many features stand before the linear model."""
    mapping = parts(run.open().task.model)[0]
    if mapping is None:
        raise ConfigError(f"lecture.runs: the figure needs runs with features=random, got {run.folder}")
    return len(mapping.names)


def _norm(run: Finished) -> float:
    affine = parts(run.open().task.model)[1]
    if not isinstance(affine, Affine):
        raise ConfigError(f"lecture.runs: the figure needs linear models, got {run.folder}")
    return float(affine.linear.weight.detach().norm())
