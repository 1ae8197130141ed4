"""Several trained models as one: the mean of probabilities or of numbers, each sees the images it has learned from."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from dlcourse.data.split import TensorSplit
from dlcourse.device import cpu
from dlcourse.errors import ConfigError
from dlcourse.models.cnn import CNN
from dlcourse.models.convolutions import first_filters, grad_cam
from dlcourse.spec import Data, DataSpec
from dlcourse.tasks.classification import Classification
from dlcourse.tasks.ensemble import as_one
from dlcourse.tasks.regression import Regression
from dlcourse.training.evaluate import evaluate

CLASSES = DataSpec("two", (3,), 2, "class", ("no", "yes"))
VALUES = DataSpec("numbers", (3,), 1, "value")
IMAGES = DataSpec("images", (1, 2, 2), 2, "class", ("no", "yes"), pixel_mean=(0.5,), pixel_std=(0.5,))


def inputs() -> Tensor:
    return torch.randn(40, 3, generator=torch.Generator().manual_seed(0))


def test_the_mean_of_probabilities_of_one_logit_and_of_two() -> None:
    torch.manual_seed(0)
    tasks = [Classification(nn.Linear(3, size), CLASSES, cpu()) for size in (1, 2)]
    targets = torch.arange(40) % 2
    together = as_one([(task, CLASSES) for task in tasks], CLASSES)
    report = evaluate(together, TensorSplit(inputs(), targets), 16, full=True)
    with torch.no_grad():
        one = torch.sigmoid(tasks[0].model(inputs()))[:, 0]
        expected = (torch.stack([1 - one, one], 1) + tasks[1].model(inputs()).softmax(1)) / 2
    loss = -expected[torch.arange(40), targets].log().mean()
    assert report.scalars["accuracy"] == float((expected.argmax(1) == targets).float().mean())
    assert report.scalars["loss"] == pytest.approx(float(loss), rel=1e-5)


def test_the_mean_of_numbers_in_their_own_units() -> None:
    torch.manual_seed(0)
    tasks = [Regression(nn.Linear(3, 1), VALUES, cpu()) for _ in range(3)]
    for place, task in enumerate(tasks):
        targets = 100 * place + 10 * torch.randn(40, 1)
        split = TensorSplit(inputs(), targets)
        task.prepare(Data(VALUES, split, split, split))
    with torch.no_grad():
        expected = torch.stack([task.in_units(task.model(inputs())) for task in tasks]).mean(0)
    targets = torch.randn(40, 1) * 100
    report = evaluate(as_one([(task, VALUES) for task in tasks], VALUES), TensorSplit(inputs(), targets), 16, full=True)
    assert report.scalars["mse"] == pytest.approx(float((expected - targets).square().mean()), rel=1e-5)


def test_each_model_sees_images_as_it_has_learned_to() -> None:
    torch.manual_seed(0)
    other = replace(IMAGES, pixel_mean=(0.2,), pixel_std=(0.1,))
    task = Classification(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), other, cpu())
    pixels = torch.rand(5, 1, 2, 2)
    together = as_one([(task, other), (task, other)], IMAGES)
    with torch.no_grad():
        found = together.model(IMAGES.from_pixels(pixels)).softmax(1)
        assert torch.allclose(found, task.model(other.from_pixels(pixels)).softmax(1), atol=1e-5)


def test_what_has_no_mean_is_refused() -> None:
    classes, values = Classification(nn.Linear(3, 2), CLASSES, cpu()), Regression(nn.Linear(3, 1), VALUES, cpu())
    with pytest.raises(ConfigError, match="these runs have the tasks Classification, Regression"):
        as_one([(classes, CLASSES), (values, VALUES)], CLASSES)


def test_no_convolution_speaks_for_all() -> None:
    spec = replace(IMAGES, input_shape=(1, 8, 8))
    tasks = [Classification(CNN(spec, channels=(3,), head=()), spec, cpu()) for _ in range(2)]
    model = as_one([(task, spec) for task in tasks], spec).model
    assert first_filters(model) is None and first_filters(tasks[0].model) is not None
    assert grad_cam(model.eval(), torch.rand(1, 1, 8, 8), lambda logits: logits[:, 0]) is None
