"""The figures of regression, on runs of a moment: right ones are within the bands, wrong ones are not."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from dlcourse.config.paths import conf_dir
from dlcourse.errors import ConfigError
from dlcourse.lectures.entry import read_lecture
from dlcourse.lectures.finished import Finished
from dlcourse.lectures.reading import examples, line, mean_squared_error
from dlcourse.lectures.regression import fit, likelihood, polynomial, two_heads
from dlcourse.metrics.report import Report
from short_runs import several

LINE = "data=line data.size=100 model=linreg task.standardize=false trainer=full_batch optimizer.lr=0.5 trainer.epochs="
CLOSED = "task=least_squares trainer=one_step"


def out(name: str, report: Report) -> set[str]:
    """The numbers of a figure that are out of their bands."""
    bands = read_lecture(conf_dir() / "lecture" / f"{name}.yaml").check
    return {band.number for band in bands if not band.holds(report.scalars[band.number])}


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[Finished]:
    """Gradient descent of 1, 5 and 200 steps, and the closed form."""
    words = [*(f"{LINE}{epochs}" for epochs in (1, 5, 200)), f"data=line data.size=100 model=linreg {CLOSED}"]
    return several(tmp_path_factory.mktemp("lines"), *words)


def test_the_path_leads_into_the_bowl(lines: list[Finished]) -> None:
    report = fit(lines)
    assert out("line", report) - {"mean squared error"} == set()
    _, bowl = report.pictures["line"].panels
    assert bowl.path[0].tolist() == [0, 0] and bowl.path[-1] == pytest.approx(bowl.minimum, abs=1e-4)
    train = examples(lines[-1].data().train)
    place = np.unravel_index(bowl.loss.argmin(), bowl.loss.shape)
    assert (bowl.grid_x[place[1]], bowl.grid_y[place[0]]) == pytest.approx(bowl.minimum, abs=1e-6)
    assert bowl.loss.min() == pytest.approx(mean_squared_error(lines[-1], train), rel=1e-5)
    at = bowl.grid_x[3] * train.inputs.double() + bowl.grid_y[7] - train.targets.double()
    assert bowl.loss[7, 3] == pytest.approx(float(at.square().mean()), rel=1e-4)


def test_a_path_that_was_cut_short_or_goes_up_is_out(lines: list[Finished]) -> None:
    short = fit([lines[0], lines[1], lines[-1]])
    assert out("line", short) >= {"difference from least squares", "height of the last point above the bottom"}
    assert "steps of the path that go down" in out("line", fit([lines[2], lines[0], lines[-1]]))
    with pytest.raises(ConfigError, match=r"needs runs of gradient descent and one of task=least_squares, got 1"):
        fit(lines[-1:])


def test_the_likelihood_is_least_where_sigma_is_the_root_of_the_squared_error(tmp_path: Path) -> None:
    words = "data=line data.size=100 data.noise=0.3 model=linreg task=regression trainer=full_batch optimizer=adam"
    words += " optimizer.lr=0.1 scheduler=cosine trainer.epochs=300 trainer.eval_every=300 task.loss="
    runs = several(tmp_path, f"{words}mse", f"{words}nll")
    report = likelihood(runs)
    assert out("likelihood", report) == set()
    scalars = report.scalars
    entropy = 0.5 * math.log(2 * math.pi * math.e * scalars["sigma"] ** 2)
    assert scalars["negative log likelihood"] == pytest.approx(entropy, abs=1e-3)
    widths, nll = next(iter(report.pictures["likelihood"].panels[1].lines.values()))
    assert float(widths[nll.argmin()]) == pytest.approx(scalars["sigma"], rel=0.02)
    with pytest.raises(ConfigError, match=r"the second run needs task.loss=nll"):
        likelihood(runs[::-1])


def test_the_errors_of_two_heads_add_up_and_their_gradients_too(tmp_path: Path) -> None:
    diabetes = "data=diabetes model=linreg features=standard"
    heads = "data=sine data.horizon=2 data.size=100 data.length=10 task=regression task.standardize=false model=mlp"
    runs = several(
        tmp_path,
        f"{diabetes} trainer=full_batch trainer.epochs=5",
        f"{diabetes} {CLOSED}",
        f"{heads} model.hidden=[4] trainer.epochs=1",
    )
    weights = runs[2].open().task.model.layers[1].weight.clone()
    report = two_heads(runs)
    assert out("two_heads", report) == {"difference in R^2"}, "five steps are too few"
    assert torch.equal(runs[2].open().task.model.layers[1].weight, weights)
    assert report.scalars["E"] == pytest.approx(2 * runs[2].numbers()["test/mse"])
    with pytest.raises(ConfigError, match="needs two outputs, got 1"):
        two_heads([runs[0], runs[1], runs[1]])


@pytest.mark.slow
def test_degrees_that_overfit(tmp_path: Path) -> None:
    curve = "data=curve data.seed=2 data.size=1025 data.test_fraction=0.9756 data.val_fraction=0.2 model=linreg"
    degrees = [f"{curve} features=polynomial features.degree={degree} {CLOSED}" for degree in (1, 5, 12)]
    circles = [f"data=circles data.size=200 model=logreg features={name}" for name in ("none", "polynomial")]
    runs = several(tmp_path, *degrees, *circles)
    report = polynomial(runs, shown=(1, 12))
    assert out("polynomial", report) == set() and report.scalars["best degree"] == 5
    assert len(report.pictures["polynomial"].panels) == 3
    assert out("polynomial", polynomial([runs[0], *runs[3:]], shown=(1,))) >= {"best degree", "highest over best"}
    assert out("polynomial", polynomial([*runs[:3], *runs[:2:-1]], shown=(1,))) >= {"accuracy with products"}
    with pytest.raises(ConfigError, match=r"a run for each degree, \(1, 3, 12\) among them, got \[1, 5, 12\]"):
        polynomial(runs, shown=(1, 3, 12))


def test_the_line_of_a_run_is_in_the_units_of_the_data(lines: list[Finished], tmp_path: Path) -> None:
    slope, intercept = line(lines[-1])
    data = lines[-1].data()
    expected = np.polyfit(data.train.inputs[:, 0].numpy(), data.train.targets[:, 0].numpy(), 1)
    assert (slope, intercept) == pytest.approx(tuple(expected), abs=1e-5)
