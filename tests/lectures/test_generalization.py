"""The figures of overfitting and of hypotheses, on runs of a moment and by enumeration."""

import itertools
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from dlcourse.config.paths import conf_dir
from dlcourse.errors import ConfigError
from dlcourse.lectures import hypotheses
from dlcourse.lectures.entry import read_lecture
from dlcourse.lectures.hypotheses import look_up, many_hypotheses, no_free_lunch, off_training_error
from dlcourse.lectures.overfitting import benign, double_descent, holdout
from dlcourse.metrics.report import Report
from dlcourse.spec import Batch
from short_runs import several


def out(name: str, report: Report) -> set[str]:
    """The numbers of a figure that are out of their bands."""
    bands = read_lecture(conf_dir() / "lecture" / f"{name}.yaml").check
    return {band.number for band in bands if not band.holds(report.scalars.get(band.number, float("nan")))}


def test_every_learner_is_wrong_on_half_of_all_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    assert out("no_free_lunch", no_free_lunch([])) == set()
    monkeypatch.setitem(hypotheses.LEARNERS, "majority", lambda known, x: 1)
    assert out("no_free_lunch", no_free_lunch([])) == set(), "whatever it answers"
    inputs = list(itertools.product((0, 1), repeat=3))
    target = dict(zip(inputs, (0, 1, 1, 0, 1, 0, 0, 1), strict=True))
    assert off_training_error(lambda known, x: 1, target, inputs[:4], inputs[4:]) == Fraction(1, 2)
    assert off_training_error(hypotheses.LEARNERS["perceptron"], target, inputs, inputs) > 0, "parity is not linear"
    parity = {x: sum(x) % 2 for x in inputs}
    assert off_training_error(lambda known, x: parity[x], parity, inputs[:4], inputs[4:]) == 0


def test_a_lookup_table_knows_what_it_has_seen() -> None:
    train = Batch(torch.randn(20, 1, 2, 2), torch.arange(20) % 3)
    assert torch.equal(look_up(train, train.inputs), train.targets)
    assert look_up(train, torch.randn(5, 1, 2, 2)).tolist() == [0] * 5


@pytest.mark.slow
def test_networks_that_differ_on_what_they_have_not_seen(tmp_path: Path) -> None:
    words = "data=iris model=mlp trainer.epochs=20 model.hidden="
    runs = several(tmp_path, f"{words}[4]", f"{words}[8]", f"{words}[8] seed=1")
    report = many_hypotheses(runs[:2])
    scalars = report.scalars
    assert scalars["networks"] == 2 and scalars["lookup table training accuracy"] > 0.98  # two flowers are equal
    assert scalars["lookup table test accuracy"] < 0.5 < scalars["mean test accuracy"]
    (panel,) = report.pictures["many_hypotheses"].panels
    assert [panel.bars["test"][0], panel.bars["test"][1]] == [run.numbers()["test/accuracy"] for run in runs[:2]]
    assert out("many_hypotheses", many_hypotheses([runs[0], runs[0]])) >= {"gain of the ensemble", "disagreement"}
    with pytest.raises(ConfigError, match="several runs on one training set, whose seed is the same"):
        many_hypotheses(runs)


def test_the_gap_is_training_less_test_accuracy(tmp_path: Path) -> None:
    words = "data=digits model=softmax trainer.epochs=5 data.subset="
    runs = several(tmp_path, f"{words}40", f"{words}400")
    report = holdout(runs)
    scalars, lines = report.scalars, report.pictures["holdout"].panels[0].lines
    assert [int(size) for size in lines["test"][0]] == [36, 360]
    assert lines["test"][1] == [run.numbers()["test/accuracy"] for run in runs]
    assert (
        scalars["gap with the fewest"] == lines["training"][1][0] - lines["test"][1][0] > scalars["gap with the most"]
    )
    assert scalars["steps in which the gap falls"] == 1 and "steps" in out("holdout", report)
    with pytest.raises(ConfigError, match=r"runs on more and more examples, got \[360, 36\]"):
        holdout(runs[::-1])


@pytest.mark.slow
def test_more_parameters_than_points_are_benign_if_the_frequencies_are_right(tmp_path: Path) -> None:
    runs = several(tmp_path, *(f"experiment=benign features.count={count}" for count in (3, 30, 3000)))
    report = benign(runs)
    assert out("benign", report) == set() and len(report.pictures["benign"].panels) == 3
    low = several(tmp_path / "low", "experiment=benign features.count=3000 features.scale=0.5")
    assert out("benign", benign([*runs[:2], *low])) == {"test error with 3000 parameters"}
    with pytest.raises(ConfigError, match="needs runs with features=random"):
        benign(several(tmp_path / "plain", "data=curve model=linreg task=least_squares trainer=one_step"))


def test_the_peak_is_where_there_are_as_many_features_as_examples(tmp_path: Path) -> None:
    words = "data=digits data.subset=111 data.label_noise=0.1 model=softmax features=random task=least_squares"
    runs = several(tmp_path, *(f"{words} trainer=one_step features.count={count}" for count in (10, 30, 100, 3000)))
    report = double_descent(runs)
    scalars = report.scalars
    assert scalars["examples"] == 100 == scalars["features at the peak"]
    assert scalars["lowest error with fewer features"] > scalars["error with the most features"]
    assert scalars["training error with the most features"] == 0
    assert scalars["norm at the peak over norm with the most features"] > 5
    heights = report.pictures["double_descent"].panels[0].lines["test"][1]
    assert heights == [1 - run.numbers()["test/accuracy"] for run in runs]
    assert double_descent([*runs[::-1], runs[0]]).scalars == scalars, "in any order, and averaged"
    with pytest.raises(ConfigError, match=r"fewer features than 0.5 times the 100 examples, and some with more"):
        double_descent(runs[:2])
