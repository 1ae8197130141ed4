"""What a finished run says it reached: each number is of the split, the epoch and the time that its name tells."""

import dataclasses
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from dlcourse.console import format_seconds
from dlcourse.runs.result import RunResult
from dlcourse.training import session
from lab import report
from torture.warm import TINY, compose

EPOCHS = 4
WORDS = (
    *TINY,
    f"trainer.epochs={EPOCHS}",
    "data=wine",
    "model=softmax",
    "optimizer=sgd",
    "optimizer.lr=5",
    "data.label_noise=0.3",
    "trainer.weights=best",
)
"""A learning rate with which validation goes up and down."""

_SEEDS = 20


@dataclass(frozen=True)
class Pair:
    """The same training twice, of which one run keeps its best epoch and one its last, which is another one."""

    best: RunResult
    last: RunResult


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """With the first seed whose best epoch is neither the first nor the last."""
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dlcourse.runs.logger.to_image", lambda picture: np.zeros((4, 4, 3), np.uint8))
        for seed in range(_SEEDS):
            config = compose(*WORDS, f"seed={seed}", f"run.dir={folder / f'best-{seed}'}")
            best = session.run(config, [])
            if 1 < report(best.folder)["best_epoch"] < EPOCHS:
                trainer = dataclasses.replace(config.trainer, weights="last")
                run = dataclasses.replace(config.run, dir=str(folder / "last"))
                return Pair(best, session.run(dataclasses.replace(config, trainer=trainer, run=run), []))
    raise AssertionError(f"none of {_SEEDS} seeds has its best epoch in the middle; choose other words")


def records(run: Path) -> Iterator[dict[str, float]]:
    return map(json.loads, (run / "metrics.jsonl").read_text().splitlines())


def logged(run: Path, split: str, epoch: int) -> dict[str, float]:
    """The numbers of a split, as they were logged at the end of an epoch."""
    found = {name: value for record in records(run) if record["epoch"] == epoch for name, value in record.items()}
    return {name.removeprefix(f"{split}/"): value for name, value in found.items() if name.startswith(f"{split}/")}


@pytest.mark.parametrize("which", ["best", "last"])
def test_validation_is_that_of_the_kept_epoch_and_not_the_test(which: str, pair: Pair) -> None:
    result = getattr(pair, which)
    kept = pair.best.kept_epoch if which == "best" else EPOCHS
    val, test = logged(result.folder, "val", kept), logged(result.folder, "test", EPOCHS)
    others = [logged(result.folder, "val", epoch) for epoch in range(1, EPOCHS + 1) if epoch != kept]
    assert all(val["loss"] != other["loss"] for other in [test, *others])  # or this test would be blind

    found = report(result.folder)
    assert (found["val"], found["test"]) == (val, test)
    assert dict(result.scalars) == {f"val/{name}": value for name, value in val.items()}
    assert result.best == val["accuracy"]
    text = (result.folder / "report.txt").read_text()
    assert re.search(rf"^loss +\S+ +{val['loss']:.4f} +{test['loss']:.4f}$", text, re.MULTILINE)


@pytest.mark.parametrize("which", ["best", "last"])
def test_hparams_shows_validation_and_no_test(which: str, pair: Pair) -> None:
    run = getattr(pair, which).folder
    board, found = EventAccumulator(str(run)).Reload(), report(run)
    plugin = HParamsPluginData.FromString(board.summary_metadata["_hparams_/experiment"].plugin_data.content)
    shown = {metric.name.tag: board.Scalars(metric.name.tag)[-1].value for metric in plugin.experiment.metric_infos}
    assert shown == {f"selected/{name}": pytest.approx(found["val"][name]) for name in ("accuracy", "loss")}


def test_the_kept_epoch_is_the_last_where_the_last_weights_are_kept(pair: Pair) -> None:
    best, last = report(pair.best.folder), report(pair.last.folder)
    assert best["best_epoch"] == best["kept_epoch"] == pair.best.kept_epoch == last["best_epoch"] < EPOCHS
    assert last["kept_epoch"] == pair.last.kept_epoch == EPOCHS
    assert f"validation and test: last epoch {EPOCHS}\n" in (pair.last.folder / "report.txt").read_text()
    assert f"validation and test: best epoch {best['best_epoch']}\n" in (pair.best.folder / "report.txt").read_text()


def test_the_time_of_a_training_is_that_of_all_its_epochs(pair: Pair) -> None:
    seconds = [record["time/epoch_seconds"] for record in records(pair.best.folder) if "time/epoch_seconds" in record]
    assert len(seconds) == EPOCHS
    assert f" steps, {format_seconds(sum(seconds))}\n" in (pair.best.folder / "report.txt").read_text()
