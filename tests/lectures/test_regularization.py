"""Figures of dropout, batch norm, random labels and ablation, on runs of a moment."""

import dataclasses
from pathlib import Path

import pytest

from dlcourse.errors import ConfigError
from dlcourse.lectures.finished import Finished
from dlcourse.lectures.regularization import ablation, batch_norm, dropout, random_labels
from dlcourse.metrics.paired import over_seeds
from dlcourse.training.evaluate import evaluate
from short_runs import finished

SHORT = "data=digits data.subset=200 model=mlp trainer.batch_size=32 scheduler=constant"


def test_dropout_switches_off_its_share_and_gaps_are_of_evaluations(tmp_path: Path) -> None:
    runs = [
        finished(tmp_path / share, f"{SHORT} trainer.epochs=3 model.hidden=[512] model.dropout={share}")
        for share in ("0", "0.25")
    ]
    report = dropout(runs)
    assert report.scalars["share switched off"] == pytest.approx(0.25, abs=0.01)
    data, task = runs[1].data(), runs[1].open().task
    train, val = (evaluate(task, split, 50).scalars["loss"] for split in (data.train, data.val))
    assert report.scalars["gap with dropout 0.25"] == pytest.approx(val - train, abs=1e-5)
    gaps = [report.scalars[f"gap with dropout {share}"] for share in ("0", "0.25")]
    assert report.scalars["gap closed by dropout 0.25"] == pytest.approx(gaps[0] - gaps[1])
    with pytest.raises(ConfigError, match=r"different model.dropout, one of them 0"):
        dropout(runs[1:])


@pytest.mark.slow
def test_batch_norm_holds_the_means_still_and_the_runs_are_left_as_they_were(tmp_path: Path) -> None:
    runs = [
        finished(
            tmp_path / f"{norm}{epochs}", f"{SHORT} model.hidden=[32,32] model.norm={norm} trainer.epochs={epochs}"
        )
        for norm in ("none", "batch")
        for epochs in (1, 4)
    ]
    batch = next(runs[3].data().val.batches(20)).inputs
    before = runs[3].open().task.model(batch)
    report = batch_norm(runs, examples=100)
    assert report.scalars["drift with over without"] < 0.5 < report.scalars["drift without batch norm"] * 50
    assert report.scalars["accuracy with batch norm"] == runs[3].numbers()["test/accuracy"]
    assert bool((runs[3].open().task.model(batch) == before).all()), "running statistics are as they were"
    charts = report.pictures["batch_norm"].charts
    assert [list(chart.lines) for chart in charts] == [["layer 1", "layer 2"]] * 4
    assert charts[0].limits_y == charts[1].limits_y, "one scale for both"
    with pytest.raises(ConfigError, match=r"model.norm=none,batch and several"):
        batch_norm(runs[:2])


@pytest.mark.slow
def test_random_labels_stand_beside_true_ones_whatever_the_order(tmp_path: Path) -> None:
    runs = [finished(tmp_path / noise, f"{SHORT} trainer.epochs=2 data.label_noise={noise}") for noise in ("0", "0.9")]
    for order in (runs, runs[::-1]):
        report = random_labels(order)
        assert report.scalars["test accuracy with true labels"] == runs[0].numbers()["test/accuracy"]
        assert report.scalars["train accuracy with random labels"] == runs[1].numbers()["train/accuracy"]
    with pytest.raises(ConfigError, match=r"one with data.label_noise=0 and one with more"):
        random_labels([runs[0], runs[0]])


@dataclasses.dataclass(frozen=True)
class Known(Finished):
    """A run that reached what its folder is called."""

    def numbers(self) -> dict[str, float]:
        return {"test/accuracy": float(self.folder.name)}


def test_each_change_stands_with_its_interval_beside_the_baseline() -> None:
    reached = {"": (0.8, 0.82, 0.84), "0.5": (0.9, 0.91, 0.95), "0.7": (0.8, 0.82, 0.85)}
    runs = [
        Known("", Path(str(value)), {"seed": str(seed)} | ({"model.dropout": share} if share else {}))
        for share, values in reached.items()
        for seed, value in enumerate(values)
    ]
    report = ablation(runs, rows=("half", "more"))
    expected = over_seeds(reached[""], reached["0.5"])
    assert expected is not None
    assert report.scalars["half gains"] == pytest.approx(0.1)
    assert report.scalars["half gains at least"] == expected.low > 0 > report.scalars["more gains at least"]
    assert report.scalars["rows"] == report.scalars["rows with an interval"] == 2
    assert report.scalars["clear gains"] == 1 and report.scalars["baseline"] == pytest.approx(0.82)
    assert [row[0] for row in report.tables["ablation"]] == ["change", "half", "more"]
    with pytest.raises(ConfigError, match="must name each of the 2 changes of the runs, got 1 names"):
        ablation(runs, rows=("half",))
