"""The coefficients told of a linear model give its outputs, whatever stands before and behind it."""

from collections import OrderedDict

import pytest
import torch
from torch import nn

from dlcourse.data.split import TensorSplit
from dlcourse.device import cpu
from dlcourse.metrics.report import Report
from dlcourse.models.features import Polynomial, Standardize
from dlcourse.models.linear import LinearRegression, LogisticRegression, SoftmaxRegression
from dlcourse.spec import Data, DataSpec
from dlcourse.tasks.classification import Classification
from dlcourse.tasks.coefficients import Coefficients
from dlcourse.tasks.regression import Regression
from dlcourse.training.evaluate import evaluate

TABLE = DataSpec("table", (3,), 2, "class", ("no", "yes"), feature_names=("age", "height", "dose"))
PRICES = DataSpec("prices", (3,), 1, "value", feature_names=("age", "height", "dose"))


def inputs() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(60, 3) * torch.tensor([1.0, 20.0, 0.1]) + torch.tensor([40.0, 170.0, 0.0])


def behind(kind, model_class, spec: DataSpec) -> nn.Module:
    """The linear model behind a fitted feature map, with weights that are not zero."""
    features = None if kind is None else kind(spec)
    model = model_class(spec if features is None else features.spec(spec))
    nn.init.normal_(model.linear.weight)
    nn.init.normal_(model.linear.bias)
    if features is None:
        return model
    features.fit(inputs())
    return nn.Sequential(OrderedDict(features=features, model=model))


@pytest.mark.parametrize("kind", [None, Standardize, Polynomial])
def test_they_multiply_the_features_as_they_are(kind) -> None:
    model = behind(kind, LogisticRegression, TABLE)
    found = Coefficients.of(model, TABLE)
    raw = inputs().double()
    raw = raw if kind is None else model.features.expand(raw)
    expected = model(inputs()).detach().double()
    scale = expected.abs().max()
    assert float((raw @ found.weights.T + found.intercepts - expected).abs().max() / scale) < 1e-3
    assert (found.per_deviation is None) == (kind is None)
    if kind is not None:
        torch.testing.assert_close(found.per_deviation, model.model.linear.weight.detach().double())
    assert found.features[:3] == TABLE.feature_names


@pytest.mark.parametrize("standardize", [True, False])
def test_of_a_regression_they_are_in_the_units_of_the_targets(standardize: bool) -> None:
    model = behind(Standardize, LinearRegression, PRICES)
    targets = 1000 + 50 * torch.randn(60, 1)
    split = TensorSplit(inputs(), targets)
    task = Regression(model, PRICES, cpu(), standardize=standardize)
    task.prepare(Data(PRICES, split, split, split))
    report = evaluate(task, split, 20, full=True)
    told = report.details["coefficients"]
    predicted = inputs().double() @ torch.tensor(told["weights"]).double().T + torch.tensor(told["intercepts"])
    assert float((predicted - targets).square().mean()) == pytest.approx(report.scalars["mse"], rel=1e-3)
    assert [row[1] for row in report.tables["coefficients"]] == ["feature", "age", "height", "dose", "intercept"]
    text = "\n".join(report.lines)
    assert "per standard deviation" in text and f"{told['weights'][0][1]:.4g}" in text


def test_each_class_has_its_column() -> None:
    spec = DataSpec("three", (3,), 3, "class", ("a", "b", "c"), feature_names=("age", "height", "dose"))
    split = TensorSplit(inputs(), torch.arange(60) % 3)
    report = evaluate(Classification(behind(Standardize, SoftmaxRegression, spec), spec, cpu()), split, 20, full=True)
    heading = next(line for line in report.lines if line.startswith("coefficients"))
    assert heading == "coefficients: change of each class's logit with one standard deviation more of a feature"
    row = report.lines[report.lines.index(heading) + 2].split()
    assert row == [
        "age",
        *(f"{weights[0]:.4g}" for weights in report.details["coefficients"]["per_standard_deviation"]),
    ]


def test_of_many_features_the_largest_are_shown_and_all_are_in_the_table() -> None:
    spec = DataSpec("wide", (200,), 2, "class", ("no", "yes"))
    model = LogisticRegression(spec)
    with torch.no_grad():
        model.linear.weight[0] = torch.arange(200.0)
    report = Report({})
    Coefficients.of(model, spec).add_to(report, ["yes"], "the log-odds of 'yes'")
    assert report.lines[0].endswith("; the 30 largest of 200") and report.lines[2].split() == ["x200", "199"]
    assert len(report.lines) == 1 + 1 + 30 + 1 and len(report.tables["coefficients"]) == 202


def test_other_models_and_images_have_none() -> None:
    assert Coefficients.of(nn.Sequential(nn.Linear(3, 2)), TABLE) is None
    image = DataSpec("image", (1, 3, 3), 2, "class", ("no", "yes"))
    assert Coefficients.of(SoftmaxRegression(image), image) is None
    large = DataSpec("large", (6000,), 2, "class", ("no", "yes"))
    assert Coefficients.of(LogisticRegression(large), large) is None
