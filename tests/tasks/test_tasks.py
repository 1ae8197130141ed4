import numpy as np
import pytest
import torch
from matplotlib.contour import ContourSet
from scipy.stats import binomtest
from sklearn import metrics
from torch import nn

from dlcourse.config.registry import Choice
from dlcourse.data.split import TensorSplit
from dlcourse.device import cpu
from dlcourse.errors import ConfigError
from dlcourse.metrics.predictions import (
    class_scores,
    confident_mistakes,
    confusion_counts,
    most_confused,
    regression_scores,
    wilson_interval,
)
from dlcourse.spec import Batch, DataSpec
from dlcourse.tasks import TASKS
from dlcourse.tasks.task import Task
from dlcourse.training.evaluate import evaluate

NAMES = ("a", "b", "c", "d")
CLASSES = DataSpec("four", (3,), 4, "class", NAMES)
VALUES = DataSpec("numbers", (3,), 2, "value")


def build(name: str, model: nn.Module, spec: DataSpec, **options: object) -> Task:
    return TASKS.build(Choice(name, options), model=model, spec=spec, device=cpu())


def test_a_full_classification_report_agrees_with_scikit_learn() -> None:
    torch.manual_seed(0)
    inputs, targets = torch.randn(203, 3), torch.randint(0, 4, (203,))
    model = nn.Linear(3, 4)
    report = evaluate(build("classification", model, CLASSES), TensorSplit(inputs, targets), 50, full=True)
    probabilities = model(inputs).softmax(1).detach().double().numpy()
    guesses = probabilities.argmax(1)
    assert report.scalars["accuracy"] == pytest.approx(metrics.accuracy_score(targets, guesses))
    expected_loss = metrics.log_loss(targets, probabilities / probabilities.sum(1, keepdims=True))
    assert report.scalars["loss"] == pytest.approx(expected_loss, rel=1e-5)
    assert report.scalars["top3"] == pytest.approx(metrics.top_k_accuracy_score(targets, probabilities, k=3))
    assert report.details["confusion_matrix"] == metrics.confusion_matrix(targets, guesses).tolist()
    precision, recall, f1, support = metrics.precision_recall_fscore_support(targets, guesses, zero_division=0)
    for index, name in enumerate(NAMES):
        expected = {"precision": precision[index], "recall": recall[index], "f1": f1[index], "support": support[index]}
        assert report.details["classes"][name] == pytest.approx(expected)
    macro = metrics.precision_recall_fscore_support(targets, guesses, average="macro", zero_division=0)
    assert list(report.details["macro"].values()) == pytest.approx(macro[:3])
    assert report.tables["confusion_matrix"][1][1:] == report.details["confusion_matrix"][0]


@pytest.mark.parametrize(("num_classes", "top_k", "shown"), [(3, 3, False), (2, 3, False), (4, 3, True), (3, 2, True)])
def test_top_k_is_told_only_where_there_are_more_classes(num_classes: int, top_k: int, shown: bool) -> None:
    spec = DataSpec("few", (3,), num_classes, "class", NAMES[:num_classes])
    torch.manual_seed(0)
    split = TensorSplit(torch.randn(20, 3), torch.arange(20) % num_classes)
    task = build("classification", nn.Linear(3, num_classes), spec, top_k=top_k)
    report = evaluate(task, split, 7, full=True)
    assert (f"top{top_k}" in report.scalars) == shown
    assert ("top-" in "\n".join([report.headline, *report.highlights, *report.lines])) == shown


class Above(nn.Module):
    """The second class where x2 is above a tenth of x1."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return (5 * (inputs[:, 1:] - 0.1 * inputs[:, :1])) * torch.tensor([-1.0, 1.0])


def test_the_boundary_has_x1_to_the_right_and_x2_upwards() -> None:
    """On data that are four times as wide as high, which a picture with its axes swapped shows otherwise."""
    spec = DataSpec("wide", (2,), 2, "class", ("below", "above"), feature_names=("width", "height"))
    points = torch.cartesian_prod(torch.linspace(-8, 8, 9), torch.linspace(-2, 2, 5))
    model = Above()
    split = TensorSplit(points, model(points).argmax(1))
    report = evaluate(build("classification", model, spec), split, 50, full=True)
    picture = report.pictures["decision_boundary"]
    assert np.array_equal(picture.points, points)
    for row, column in ((0, 0), (0, -1), (-1, 0), (-1, -1), (120, 40), (60, 150)):
        there = torch.tensor([[float(picture.grid_x[column]), float(picture.grid_y[row])]])
        assert np.allclose(picture.probabilities[row, column], model(there).softmax(1), atol=1e-5)
    (axes,) = picture.draw().axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("width", "height")
    assert axes.get_xlim() == pytest.approx((-9.6, 9.6)) and axes.get_ylim() == pytest.approx((-2.4, 2.4))
    lines = [collection for collection in axes.collections if isinstance(collection, ContourSet)]
    boundary = np.concatenate([path.vertices for line in lines for path in line.get_paths()])
    assert np.allclose(boundary[:, 1], 0.1 * boundary[:, 0], atol=1e-3) and np.ptp(boundary[:, 0]) > 15
    below, above = (np.asarray(marks.get_offsets()) for marks in axes.collections[-2:])
    assert (below[:, 1] <= 0.1 * below[:, 0]).all() and (above[:, 1] > 0.1 * above[:, 0]).all()


def test_one_logit_is_the_probability_of_the_second_class() -> None:
    spec = DataSpec("two", (3,), 2, "class", ("no", "yes"))
    torch.manual_seed(0)
    model, inputs, targets = nn.Linear(3, 1), torch.randn(60, 3), torch.randint(0, 2, (60,))
    report = evaluate(build("classification", model, spec), TensorSplit(inputs, targets), 7)
    second = model(inputs)[:, 0].sigmoid().detach().double().numpy()
    assert report.scalars["accuracy"] == metrics.accuracy_score(targets, second > 0.5)
    assert report.scalars["loss"] == pytest.approx(metrics.log_loss(targets, second), rel=1e-5)


def test_scores_of_a_class_that_never_occurs_are_zero() -> None:
    counts = torch.tensor([[2, 1, 0], [0, 3, 0], [0, 0, 0]])
    assert class_scores(counts) == {
        "precision": [1.0, 0.75, 0.0],
        "recall": [pytest.approx(2 / 3), 1.0, 0.0],
        "f1": [pytest.approx(0.8), pytest.approx(6 / 7), 0.0],
    }


def test_classes_without_examples_are_named_and_not_averaged() -> None:
    torch.manual_seed(0)
    inputs, targets = torch.randn(60, 3), torch.randint(0, 3, (60,))  # none of class d
    model = nn.Linear(3, 4)
    nn.init.normal_(model.weight)
    report = evaluate(build("classification", model, CLASSES), TensorSplit(inputs, targets), 50, full=True)
    guesses = model(inputs).argmax(1)
    assert int((guesses == 3).sum()) > 0
    expected = metrics.precision_recall_fscore_support(targets, guesses, labels=[0, 1, 2], average="macro")[:3]
    assert list(report.details["macro"].values()) == pytest.approx(expected)
    assert report.details["classes"]["d"] == {"precision": None, "recall": None, "f1": None, "support": 0}
    assert report.highlights[-1] == "left out of the averages, as they have no examples here: 'd'"
    assert report.lines[4].split() == ["d", "-", "-", "-", "0"]
    every = evaluate(build("classification", model, CLASSES), TensorSplit(inputs, guesses), 50, full=True)
    assert not any("left out" in line for line in every.highlights)


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (10, 10), (9897, 10000), (7, 12)])
def test_the_interval_is_wilsons(successes: int, trials: int) -> None:
    expected = binomtest(successes, trials).proportion_ci(method="wilson")
    assert wilson_interval(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_mistakes_are_listed_most_frequent_and_most_confident_first() -> None:
    counts = confusion_counts(torch.tensor([0, 0, 0, 1, 2, 2]), torch.tensor([1, 1, 0, 1, 0, 2]), 3)
    assert counts.tolist() == [[1, 2, 0], [0, 1, 0], [1, 0, 1]]
    assert most_confused(counts) == [(0, 1, 2), (2, 0, 1)]
    probabilities = torch.tensor([[0.6, 0.4], [0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    assert confident_mistakes(probabilities, torch.tensor([1, 0, 0, 1]), 5).tolist() == [1, 0]


@pytest.mark.parametrize("outputs", [1, 3])
def test_regression_scores_agree_with_scikit_learn(outputs: int) -> None:
    generator = np.random.default_rng(0)
    true, predicted = generator.normal(size=(2, 50, outputs)) * [1, 10, 100][:outputs]
    scores = regression_scores(torch.from_numpy(predicted), torch.from_numpy(true))
    assert scores == pytest.approx(
        {
            "mse": metrics.mean_squared_error(true, predicted),
            "rmse": metrics.mean_squared_error(true, predicted) ** 0.5,
            "mae": metrics.mean_absolute_error(true, predicted),
            "r2": metrics.r2_score(true, predicted, multioutput="variance_weighted"),
        }
    )


def test_label_smoothing_equals_the_closed_form() -> None:
    model = nn.Linear(3, 4)
    task = build("classification", model, CLASSES, label_smoothing=0.1)
    inputs, targets = torch.randn(9, 3), torch.randint(0, 4, (9,))
    logs = model(inputs).log_softmax(1)
    wanted = torch.full((9, 4), 0.1 / 4)
    wanted[torch.arange(9), targets] += 0.9
    torch.testing.assert_close(task.losses(Batch(inputs, targets))["loss"], -(wanted * logs).sum(1).mean())


def test_label_smoothing_of_one_logit_equals_that_of_two_classes() -> None:
    spec = DataSpec("two", (3,), 2, "class", ("no", "yes"))
    single = nn.Linear(3, 1)
    double = nn.Linear(3, 2)
    with torch.no_grad():
        double.weight.copy_(torch.stack([torch.zeros(3), single.weight[0]]))
        double.bias.copy_(torch.stack([torch.tensor(0.0), single.bias[0]]))
    batch = Batch(torch.randn(9, 3), torch.randint(0, 2, (9,)))
    first, second = (
        build("classification", model, spec, label_smoothing=0.2).losses(batch)["loss"] for model in (single, double)
    )
    torch.testing.assert_close(first, second)


@pytest.mark.parametrize("classes", [2, 4])
def test_what_is_evaluated_is_the_cross_entropy_without_label_smoothing(classes: int) -> None:
    torch.manual_seed(0)
    spec = DataSpec("few", (3,), classes, "class", NAMES[:classes])
    model = nn.Linear(3, 1 if classes == 2 else classes)
    split = TensorSplit(torch.randn(50, 3), torch.arange(50) % classes)
    plain, smooth = (
        evaluate(build("classification", model, spec, label_smoothing=smoothing), split, 20).scalars["loss"]
        for smoothing in (0.0, 0.3)
    )
    assert smooth == plain


@pytest.mark.parametrize(
    ("task", "outputs", "spec", "message"),
    [
        ("classification", 2, VALUES, "write task=regression"),
        ("regression", 4, CLASSES, r"task 'regression' \(loss mse\) needs numbers.*write task=classification"),
        ("classification", 3, CLASSES, "needs one output for each of the 4 classes"),
        ("regression", 3, VALUES, "needs 2 outputs"),
    ],
)
def test_a_task_says_which_data_and_model_it_cannot_take(task: str, outputs: int, spec: DataSpec, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(task, nn.Linear(3, outputs), spec)
