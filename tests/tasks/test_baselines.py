"""The baselines are those of scikit-learn's dummies, measured on the split that is evaluated."""

from collections.abc import Iterator

import pytest
import torch
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import mean_squared_error
from torch import nn

from dlcourse.data.split import TensorSplit, targets_of
from dlcourse.device import cpu
from dlcourse.spec import Batch, Data, DataSpec
from dlcourse.tasks.baselines import majority
from dlcourse.tasks.classification import Classification
from dlcourse.tasks.regression import Regression
from dlcourse.training.evaluate import evaluate

NAMES = ("a", "b", "c")
CLASSES = DataSpec("three", (2,), 3, "class", NAMES)
VALUES = DataSpec("numbers", (2,), 1, "value")


def test_the_most_frequent_class_of_training_is_measured_on_the_test() -> None:
    torch.manual_seed(0)
    train = TensorSplit(torch.randn(50, 2), torch.tensor([0] * 10 + [2] * 25 + [1] * 15))
    test = TensorSplit(torch.randn(20, 2), torch.tensor([0] * 12 + [2] * 5 + [1] * 3))
    task = Classification(nn.Linear(2, 3), CLASSES, cpu())
    assert "baseline" not in evaluate(task, test, 8, full=True).details
    task.prepare(Data(CLASSES, train, test, test))
    found = evaluate(task, test, 8, full=True)
    dummy = DummyClassifier(strategy="most_frequent").fit(train.inputs, train.targets)
    assert found.details["baseline"] == {"accuracy": dummy.score(test.inputs, test.targets)} == {"accuracy": 0.25}
    assert ("majority baseline", "accuracy 25.00 %   (always 'c', 50.0 % of the training set)") in found.facts


def test_the_mean_of_training_is_measured_on_the_test() -> None:
    torch.manual_seed(0)
    train, test = (TensorSplit(torch.randn(size, 2), torch.randn(size, 1) + size) for size in (40, 30))
    task = Regression(nn.Linear(2, 1), VALUES, cpu())
    task.prepare(Data(VALUES, train, test, test))
    dummy = DummyRegressor().fit(train.inputs, train.targets)
    found = evaluate(task, test, 8, full=True)
    baseline = found.details["baseline"]
    assert baseline == pytest.approx(
        {
            "mse": mean_squared_error(test.targets, dummy.predict(test.inputs)),
            "r2": dummy.score(test.inputs, test.targets),
        },
        rel=1e-5,
    )
    assert [name for name, _ in found.facts] == ["mean baseline"]


class _Read:
    """A split that holds no targets of its own."""

    def batches(self, batch_size: int, *, epoch: int | None = None, start: int = 0) -> Iterator[Batch]:
        for first in range(0, 6, 2):
            yield Batch(torch.zeros(2, 2), torch.tensor([first, first + 1]))


def test_targets_are_read_from_batches_only_if_the_split_holds_none() -> None:
    assert targets_of(_Read()).tolist() == list(range(6))
    held = TensorSplit(torch.randn(4, 2), torch.arange(4))
    assert targets_of(held) is held.targets


def test_of_two_classes_as_frequent_the_first_is_answered() -> None:
    assert majority(torch.tensor([1, 4, 4]), torch.tensor([1, 2, 2]), NAMES).answer.startswith("always 'b'")
