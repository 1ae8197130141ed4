"""Activations, gradients, widths and optimizers against closed forms."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from dlcourse.config.registry import Choice
from dlcourse.errors import ConfigError
from dlcourse.lectures.finished import Finished
from dlcourse.lectures.optimizers import _path, optimizers
from dlcourse.lectures.small_networks import _best_line, _central_differences, activations, backprop, universal
from dlcourse.spec import Batch
from short_runs import finished


def test_slopes_of_activations_are_the_known_ones() -> None:
    numbers = activations([], reach=2.0).scalars
    assert numbers["largest slope of sigmoid"] == pytest.approx(0.25, abs=1e-12)
    assert numbers["largest slope of tanh"] == pytest.approx(1, abs=1e-12)
    assert numbers["slope of tanh at 2"] == pytest.approx(1 / math.cosh(2) ** 2)
    assert numbers["slope of ReLU at 2"] == 1


def test_central_differences_of_a_square_are_exact_and_leave_the_weights() -> None:
    weight = nn.Parameter(torch.tensor([[1.0, -2.0], [0.5, 3.0]], dtype=torch.float64))
    before = weight.clone()
    (found,) = _central_differences([weight], lambda: (weight**2).sum(), 1e-3)
    assert torch.allclose(found, 2 * before, atol=1e-10)
    assert torch.equal(weight, before)


def test_the_best_line_gets_three_clouds_of_four_and_all_of_two() -> None:
    corners = torch.tensor([[-1.0, -1], [-1, 1], [1, -1], [1, 1]])
    assert _best_line(iter([Batch(corners, torch.tensor([0, 1, 1, 0]))])) == 0.75
    assert _best_line(iter([Batch(corners, torch.tensor([0, 1, 0, 1]))])) == 1
    assert _best_line(iter([Batch(corners, torch.tensor([1, 0, 1, 0]))])) == 1


@pytest.mark.slow
def test_gradients_of_a_small_network_agree(tmp_path: Path) -> None:
    words = "data=xor data.size=100 trainer.epochs=1"
    linear = finished(tmp_path / "linear", f"{words} model=softmax")
    small = f"{words} model=mlp model.hidden=[2] model.activation=sigmoid model.output=sigmoid task.loss=mse"
    report = backprop([linear, finished(tmp_path / "small", small)])
    assert report.scalars["parameters"] == 12
    assert report.scalars["largest difference"] < 1e-8 < report.scalars["largest gradient"]
    assert list(report.pictures) == ["backprop", "decision_boundary"]
    coarse = backprop([linear, finished(tmp_path / "again", small)], step=3.0)
    assert coarse.scalars["largest difference"] > 1e-6, "with wrong gradients the check says OUT"
    with pytest.raises(ConfigError, match="needs a linear model and at least one network, got 1"):
        backprop([linear])


@pytest.fixture(scope="module")
def widths(tmp_path_factory: pytest.TempPathFactory) -> list[Finished]:
    words = "data=curve data.noise=0 data.size=200 model=linreg task=least_squares trainer=one_step features=random"
    root = tmp_path_factory.mktemp("runs")
    return [finished(root / str(count), f"{words} features.count={count}") for count in (2, 64)]


def test_the_largest_error_is_that_of_the_predictions(widths: list[Finished]) -> None:
    report = universal(widths)
    (x, y), (_, found) = report.pictures["universal"].charts[1].lines.values()
    assert abs(y - torch.sin(torch.pi * torch.as_tensor(x)).numpy()).max() < 1e-5
    assert report.scalars["largest error with width 64"] == pytest.approx(float(abs(y - found).max()))
    assert report.scalars["falls"] == report.scalars["steps"] == 1
    assert universal(widths[::-1]).scalars["falls"] == 0


def test_gradient_descent_on_the_saddle_is_the_formula() -> None:
    path = _path(Choice("sgd", {}), 50)
    assert path.shape == (51, 3)
    assert float(path[-1, 0]) == pytest.approx(-1.4 * 0.95**50, rel=1e-4)
    assert float(path[-1, 1]) == pytest.approx(0.001 * 1.05**50, rel=1e-3), "y grows by 1 + eta while it is small"
    x, y, height = path[-1].tolist()
    assert height == pytest.approx(x**2 / 2 + y**4 / 4 - y**2 / 2, abs=1e-6)


def test_optimizers_are_compared_by_their_own_names(tmp_path: Path) -> None:
    words = "data=iris model=mlp trainer.epochs=2 trainer.log_every=1"
    runs = [finished(tmp_path / name, f"{words} optimizer={name}") for name in ("sgd", "adam")]
    report = optimizers(runs)
    assert report.scalars["sgd height"] > -0.05 and report.scalars["adam height"] < -0.2
    assert report.scalars["adam accuracy"] == runs[1].numbers()["test/accuracy"]
    picture = report.pictures["optimizers"]
    assert list(picture.paths) == list(picture.chart.lines) == ["sgd", "adam"]
    with pytest.raises(ConfigError, match="needs runs with different optimizers, got sgd, sgd"):
        optimizers([runs[0], runs[0]])
