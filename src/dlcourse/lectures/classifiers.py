"""Figures of classifiers: logistic regression, principal components before softmax, deep against wide networks.

N is a number of examples, K of classes, S of points on a scale.
"""

from collections.abc import Sequence

import numpy as np
import torch

from dlcourse.errors import ConfigError
from dlcourse.lectures.finished import Finished
from dlcourse.lectures.reading import accuracy, examples, predicted_probabilities, region_panel
from dlcourse.lectures.several import required
from dlcourse.metrics.report import Report
from dlcourse.models.feature_map import parts
from dlcourse.models.linear import LogisticRegression
from dlcourse.models.principal_components import PrincipalComponents
from dlcourse.plots import FitPanel, ImageGrid, LineChart, Panels, Picture, RegionPanel

_MOST_POINTS = 150
_GRID = 201
_VARIANCE = 0.95
_SHOWN = 15


def logistic(runs: Sequence[Finished]) -> Report:
    """P(y | x) of two classes in the plane, the line f(x) = 0, and the sigmoid, beside scikit-learn's solution."""
    (run,) = required(runs, 1, " of logistic regression on points in the plane")
    model = run.open().task.model
    if not isinstance(model, LogisticRegression) or not run.data().spec.is_points:
        raise ConfigError(
            f"lecture.runs: the figure needs logistic regression on points in the plane, got {run.folder}"
        )
    weights, bias = model.linear.weight[0].detach().double(), float(model.linear.bias.detach())
    train, test = examples(run.data().train), examples(run.data().test)
    reference = _scikit_learn(train.inputs.numpy(), train.targets.numpy())
    found = np.append(weights.numpy(), bias)
    along = torch.linspace(-2, 2, _GRID).double()[:, None] * torch.stack([-weights[1], weights[0]]) / weights.norm()
    boundary = (along - bias * weights / weights.square().sum()).float()  # the points of the plane with f = 0
    on_line = predicted_probabilities(run, boundary)[:, 1]
    scalars = {
        "largest difference from scikit-learn": float(np.abs(found - reference).max()),
        "largest coefficient": float(np.abs(found).max()),
        "farthest from one half on the boundary": float((on_line - 0.5).abs().max()),
        "test accuracy": accuracy(run, test),
    }
    regions = region_panel(run, "P(y | x), and the line f(x) = 0")
    heights = (test.inputs.double() @ weights + bias).numpy()
    scale = np.linspace(heights.min(), heights.max(), _GRID)
    curve = {"sigmoid(f)": (scale, 1 / (1 + np.exp(-scale)))}
    few = slice(_MOST_POINTS)
    sigmoid = FitPanel(
        heights[few], test.targets[few].double().numpy(), curve, "P is the sigmoid of f", ("f(x)", "P(y = 1)")
    )
    return Report(scalars, pictures={"logistic": Panels([regions, sigmoid])})


def _scikit_learn(inputs: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Coefficients and intercept of LogisticRegression with C = 1."""
    from sklearn.linear_model import LogisticRegression as Reference

    reference = Reference(tol=1e-8, max_iter=1000).fit(inputs, classes)
    return np.append(reference.coef_[0], reference.intercept_)


def pca(runs: Sequence[Finished]) -> Report:
    """Accuracy over the number of principal components, the variance that they explain, and the first of them."""
    *reduced, whole = runs
    maps = [parts(run.open().task.model)[0] for run in reduced]
    fitted = [mapping for mapping in maps if isinstance(mapping, PrincipalComponents)]
    if not reduced or len(fitted) != len(reduced):
        raise ConfigError("lecture.runs: the figure needs runs with features=pca, and one without as the last")
    counts = [len(mapping.names) for mapping in fitted]
    largest = fitted[counts.index(max(counts))]
    explained = largest.explained_variance_ratio.double().cumsum(0)
    enough = int((explained < _VARIANCE).sum()) + 1
    reached = [run.numbers()["test/accuracy"] for run in reduced]
    everything = whole.numbers()["test/accuracy"]
    scalars = {
        "inputs": whole.data().spec.num_features,
        "components for 95 % of the variance": enough if enough <= len(explained) else float("nan"),
        "accuracy with all inputs": everything,
        **{f"accuracy with {count} components": value for count, value in zip(counts, reached, strict=True)},
        **{f"loss of accuracy with {count}": everything - value for count, value in zip(counts, reached, strict=True)},
    }
    left = LineChart(
        {"test accuracy": (counts, reached)},
        "components",
        "test accuracy",
        "Softmax regression on a few components",
        log_x=True,
        share=True,
        at_y={"all inputs": everything},
    )
    right = LineChart(
        {"explained variance": (np.arange(1, len(explained) + 1), explained.numpy())},
        "components",
        "share of the variance",
        "Variance explained",
        share=True,
        at_x={f"95 % in {enough}": enough},
    )
    return Report(scalars, pictures={"pca": Panels([left, right]), **_components(largest, whole)})


def _components(fitted: PrincipalComponents, run: Finished) -> dict[str, Picture]:
    """The first components as images, if the inputs are such: gray is 0."""
    spec = run.data().spec
    if not spec.is_image:
        return {}
    few = fitted.components[:_SHOWN].reshape(-1, *spec.input_shape)
    scaled = 0.5 + 0.5 * few / few.abs().amax((1, 2, 3), keepdim=True)
    shares = [f"{share:.1%}" for share in fitted.explained_variance_ratio[:_SHOWN].tolist()]
    return {
        "components": ImageGrid(scaled.numpy(), shares, title="The first components, with their shares of the variance")
    }


def deep_wide(runs: Sequence[Finished]) -> Report:
    """What networks of more and more layers make of the same points, and under them those of one layer that grows.

    Both rows begin with the smallest.
    """
    scalars: dict[str, float] = {}
    deep: list[RegionPanel] = []
    wide: list[RegionPanel] = []
    for run in runs:
        hidden = run.config.model.options.get("hidden")
        if not hidden or run.config.model.options.get("bias", True):
            raise ConfigError(f"lecture.runs: the figure needs perceptrons without biases, got {run.folder}")
        weights, reached = int(run.numbers()["parameters"]), run.numbers()["test/accuracy"]
        name = "-".join(map(str, [2, *hidden, 1]))
        scalars |= {f"weights of {name}": weights, f"accuracy of {name}": reached}
        panel = region_panel(run, f"{name}: {weights} weights, {reached:.1%}", named=False)
        if len(hidden) > 1 or not deep:
            deep.append(panel)
        if len(hidden) == 1:
            wide.append(panel)
    return Report(scalars, pictures={"deep_wide": Panels([*deep, *wide], columns=len(deep), width=3.4, height=3.1)})
