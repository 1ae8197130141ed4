"""What a report says of ranking and calibration is scikit-learn's; averages leave out classes without support."""

import numpy as np
import pytest
import torch
from sklearn import metrics
from torch import nn

from dlcourse.data.split import TensorSplit
from dlcourse.device import cpu
from dlcourse.metrics.report import Report
from dlcourse.models.cnn import CNN
from dlcourse.plots import ActivationMaps, FirstFilters, RankingCurves, ReliabilityDiagram
from dlcourse.spec import DataSpec
from dlcourse.tasks.class_pictures import ranking_picture
from dlcourse.tasks.class_report import ClassOutcome
from dlcourse.tasks.classification import Classification
from dlcourse.training.evaluate import evaluate

NAMES = ("a", "b", "c", "d")
FOUR = DataSpec("four", (3,), 4, "class", NAMES)
TWO = DataSpec("two", (3,), 2, "class", ("well", "ill"))


def measured(model: nn.Module, spec: DataSpec, targets: torch.Tensor) -> tuple[Report, np.ndarray]:
    """The full report on random inputs, and the probabilities behind it."""
    inputs = torch.randn(len(targets), 3, generator=torch.Generator().manual_seed(1))
    task = Classification(model, spec, cpu())
    report = evaluate(task, TensorSplit(inputs, targets), 64, full=True)
    with torch.no_grad():
        logits = model(inputs)
    logits = torch.cat([torch.zeros_like(logits), logits], 1) if logits.shape[1] == 1 else logits
    return report, logits.softmax(1).numpy()


def test_many_classes_have_the_mean_of_the_areas_of_those_that_have_examples() -> None:
    torch.manual_seed(0)
    targets = torch.randint(0, 3, (300,))  # none of class d
    report, probabilities = measured(nn.Linear(3, 4), FOUR, targets)
    found = report.details
    areas = [metrics.roc_auc_score(targets == index, probabilities[:, index]) for index in range(3)]
    precisions = [metrics.average_precision_score(targets == index, probabilities[:, index]) for index in range(3)]
    assert found["roc_auc"] == pytest.approx(np.mean(areas), abs=1e-9)
    assert found["average_precision"] == pytest.approx(np.mean(precisions), abs=1e-9)
    assert [found["ranking"][name]["roc_auc"] for name in "abc"] == pytest.approx(areas, abs=1e-9)
    assert set(found["ranking"]) == {"a", "b", "c"}
    weighted = metrics.precision_recall_fscore_support(
        targets, probabilities.argmax(1), labels=[0, 1, 2], average="weighted", zero_division=0
    )
    assert list(found["weighted"].values()) == pytest.approx(weighted[:3])
    assert report.lines[-1].startswith("weighted average") and report.lines[-1].endswith("  300")
    facts = dict(report.facts)
    assert facts["area under ROC"] == f"{np.mean(areas):.4f}   (mean over the classes, each against the rest)"
    low, high = (100 * share for share in found["accuracy_interval"])
    assert facts["accuracy"].endswith(f" %   95 % interval {low:.2f} to {high:.2f} % (Wilson)")
    assert {"roc_auc", "ece", "average_precision"}.isdisjoint(report.scalars)


@pytest.mark.parametrize("outputs", [1, 2])
def test_two_classes_have_the_areas_of_the_second(outputs: int) -> None:
    torch.manual_seed(0)
    targets = torch.randint(0, 2, (200,))
    report, probabilities = measured(nn.Linear(3, outputs), TWO, targets)
    assert report.details["roc_auc"] == pytest.approx(metrics.roc_auc_score(targets, probabilities[:, 1]), abs=1e-6)
    assert list(report.details["ranking"]) == ["ill"]
    assert dict(report.facts)["average precision"].endswith("   (class 'ill')")
    picture = report.pictures["roc_pr"]
    assert isinstance(picture, RankingCurves) and picture.mean is None and len(picture.classes) == 1


def test_the_calibration_error_is_of_the_predicted_class() -> None:
    torch.manual_seed(0)
    targets = torch.randint(0, 4, (300,))
    model = nn.Linear(3, 4)
    nn.init.normal_(model.weight)
    report, probabilities = measured(model, FOUR, targets)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == targets.numpy()
    bins = np.ceil(confidence.astype(float) * 15).astype(int)
    expected = sum(
        (bins == number).mean() * abs(right[bins == number].mean() - confidence[bins == number].mean())
        for number in set(bins.tolist())
    )
    assert report.details["ece"] == pytest.approx(expected, abs=1e-6) and expected > 0.01
    assert sum(report.details["calibration"]["count"]) == 300
    picture = report.pictures["calibration"]
    assert isinstance(picture, ReliabilityDiagram) and picture.error == report.details["ece"]


def test_a_test_set_of_one_class_has_no_ranking() -> None:
    report, _ = measured(nn.Linear(3, 2), TWO, torch.ones(20, dtype=torch.int64))
    assert report.details["roc_auc"] is None and report.details["ranking"] == {}
    assert "roc_pr" not in report.pictures and "area under ROC" not in dict(report.facts)


def test_drawn_curves_are_short_whatever_the_number_of_examples() -> None:
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.randn(9000, 3, generator=generator).softmax(1)
    picture = ranking_picture(ClassOutcome(probabilities, torch.arange(9000) % 3, ("a", "b", "c")))
    for curve in (*picture.classes, picture.mean):
        for x, y in (curve.roc, curve.precision_recall):
            assert len(x) == len(y) <= 2000
            assert (x[0], x[-1]) == (0, 1)


def images(count: int) -> TensorSplit:
    pixels = torch.randint(0, 256, (count, 1, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return TensorSplit(pixels, torch.arange(count) % 2, transform=_Scaled())


class _Scaled:
    """Pixels as the spec of these images says that they are normalized."""

    augments = False

    def __call__(self, pixels: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
        return IMAGES.from_pixels(pixels.float() / 255)


IMAGES = DataSpec("images", (1, 8, 8), 2, "class", ("dark", "bright"), pixel_mean=(0.4,), pixel_std=(0.3,))


def test_a_cnn_shows_its_filters_and_where_it_looked_at_its_most_confident_mistakes() -> None:
    torch.manual_seed(0)
    model = CNN(IMAGES, channels=(4, 8), head=())
    task = Classification(model, IMAGES, cpu())
    before, state = {key: value.clone() for key, value in model.state_dict().items()}, torch.random.get_rng_state()
    report = evaluate(task, images(40), 16, full=True)
    assert isinstance(report.pictures["filters"], FirstFilters)
    maps = report.pictures["grad_cam"]
    assert isinstance(maps, ActivationMaps) and np.shape(maps.predicted_heat) == np.shape(maps.true_heat) == (6, 8, 8)
    assert all(guess != true for guess, true in zip(maps.predicted, maps.true, strict=True))
    mistakes = report.pictures["mistakes"]
    assert np.array_equal(maps.images, mistakes.images[:6])
    assert [f"{true} as {guess}" for guess, true in zip(maps.predicted, maps.true, strict=True)] == [
        caption.splitlines()[0] for caption in mistakes.captions[:6]
    ]
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    again = evaluate(task, images(40), 16, full=True).pictures["grad_cam"]
    assert np.array_equal(again.true_heat, maps.true_heat)


def test_one_logit_speaks_against_the_first_class() -> None:
    task = Classification(nn.Sequential(nn.Flatten(), nn.Linear(64, 1)), IMAGES, cpu())
    found = task._logit_of(torch.tensor([[2.0], [3.0]]), torch.tensor([0, 1]))
    assert found.tolist() == [-2.0, 3.0]
    assert {"grad_cam", "filters"}.isdisjoint(evaluate(task, images(20), 8, full=True).pictures)
