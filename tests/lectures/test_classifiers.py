"""The figures of classifiers and of the eight tasks, on runs of a moment."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dlcourse.config.paths import conf_dir
from dlcourse.errors import ConfigError
from dlcourse.lectures.classifiers import deep_wide, logistic, pca
from dlcourse.lectures.entry import read_lecture
from dlcourse.lectures.tasks_of_learning import ON_IMAGES, Images, fitted_components, taken_for_real, tasks
from dlcourse.metrics.report import Report
from short_runs import several


def out(name: str, report: Report) -> set[str]:
    """The numbers of a figure that are out of their bands."""
    bands = read_lecture(conf_dir() / "lecture" / f"{name}.yaml").check
    return {band.number for band in bands if not band.holds(report.scalars.get(band.number, float("nan")))}


@pytest.mark.slow
def test_logistic_regression_is_scikit_learns_and_one_half_on_its_boundary(tmp_path: Path) -> None:
    (words,) = read_lecture(conf_dir() / "lecture" / "logistic.yaml").runs
    runs = several(
        tmp_path, words.replace(" report=light", ""), "data=blobs data.num_classes=2 model=logreg trainer.epochs=1"
    )
    report = logistic(runs[:1])
    assert out("logistic", report) == set()
    regions, sigmoid = report.pictures["logistic"].panels
    scale, heights = sigmoid.curves["sigmoid(f)"]
    assert heights == pytest.approx(1 / (1 + np.exp(-scale))) and regions.probabilities.shape[-1] == 2
    assert out("logistic", logistic(runs[1:])) >= {"largest difference from scikit-learn"}
    with pytest.raises(ConfigError, match="needs 1 run of logistic regression on points in the plane, got 2"):
        logistic(runs)


def test_components_and_the_accuracy_with_them(tmp_path: Path) -> None:
    words = "data=digits model=softmax trainer.epochs=3"
    counts = (2, 30)
    runs = several(tmp_path, *(f"{words} features=pca features.count={count}" for count in counts), words)
    report = pca(runs)
    scalars = report.scalars
    images = runs[-1].data().train.inputs.flatten(1).double()
    variances = torch.linalg.eigvalsh(images.T.cov(correction=0)).flip(0)
    enough = int((variances.cumsum(0) / variances.sum() < 0.95).sum()) + 1
    assert scalars["components for 95 % of the variance"] == enough and scalars["inputs"] == 64
    assert scalars["accuracy with 30 components"] == runs[1].numbers()["test/accuracy"]
    assert scalars["loss of accuracy with 2"] > 0.2
    assert report.pictures["components"].images.shape == (15, 1, 8, 8)
    assert "components for 95 % of the variance" in out("pca", pca([runs[0], runs[2]])), "too few to tell"
    with pytest.raises(ConfigError, match="runs with features=pca, and one without as the last"):
        pca([runs[2], runs[2]])


def test_deep_and_wide_networks_have_the_weights_of_the_lecture(tmp_path: Path) -> None:
    words = "data=xor data.size=60 model=mlp model.bias=false model.one_logit=true trainer.epochs=1 model.hidden="
    runs = several(tmp_path, *(f"{words}{hidden}" for hidden in ("[4]", "[4,4]", "[16]")))
    report = deep_wide(runs)
    assert {name: int(value) for name, value in report.scalars.items() if name.startswith("weights")} == {
        "weights of 2-4-1": 12,
        "weights of 2-4-4-1": 28,
        "weights of 2-16-1": 48,
    }
    picture = report.pictures["deep_wide"]
    assert picture.columns == 2 and [panel.title[:8] for panel in picture.panels] == [
        *("2-4-1: 1", "2-4-4-1:"),
        *("2-4-1: 1", "2-16-1: "),
    ]
    with pytest.raises(ConfigError, match="perceptrons without biases"):
        deep_wide(several(tmp_path / "biased", "data=xor data.size=60 model=mlp model.hidden=[4] trainer.epochs=1"))


def test_new_points_are_taken_for_real_half_of_the_time_if_they_are_drawn_alike() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(size=(2, 1000, 3))
    assert taken_for_real(first, second) == pytest.approx(0.5, abs=0.05)
    assert taken_for_real(first + 20, second) == 0


@pytest.mark.slow
def test_eight_tasks_are_above_chance_and_shuffled_labels_are_not(tmp_path: Path) -> None:
    lines = read_lecture(conf_dir() / "lecture" / "tasks.yaml").runs
    runs = several(tmp_path, *(line.replace(" report=light", "") for line in lines))
    report = tasks(runs)
    assert out("tasks", report) == set() and len(report.tables["tasks"]) == 9
    assert report.scalars["least above chance"] > 0.3
    images = Images.of(runs[1])
    assert images.fakes.shape == images.test.inputs.flatten(1).shape
    assert fitted_components(images.train.inputs, 3).components.shape == (3, 64)
    shuffled = images.test._replace(targets=images.test.targets.roll(7)), images.train
    anomalies = ON_IMAGES["anomaly detection"](Images(shuffled[1], shuffled[0], images.fakes))
    clusters = ON_IMAGES["clustering"](Images(shuffled[1], shuffled[0], images.fakes))
    assert abs(anomalies.reached - 0.5) < 0.15 and clusters.reached < 0.4
