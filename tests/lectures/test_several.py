"""Drawings for runs of any kind, on runs of a moment."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from dlcourse.cli.main import main
from dlcourse.errors import ConfigError, DataError
from dlcourse.lectures.finished import Finished
from dlcourse.lectures.several import against, axis_name, bars, curves, evaluated

SHORT = ("data=iris", "model=softmax", "trainer.epochs=3", "report=light")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Finished]:
    """Three learning rates, the first with two seeds."""
    root, made = tmp_path_factory.mktemp("runs"), []
    for lr, seed in (("0.001", "0"), ("0.001", "1"), ("0.1", "0"), ("0.01", "0")):
        varied = {"optimizer.lr": lr, "seed": seed}
        words = [f"{name}={value}" for name, value in varied.items()]
        folder = root / "-".join(words)
        assert main(["train", *SHORT, *words, f"run.dir={folder}"]) == 0
        made.append(Finished(" ".join(words), folder, varied))
    return made


def test_curves_are_what_the_runs_logged(runs: Sequence[Finished]) -> None:
    report = curves(runs, y="val/loss")
    chart = report.pictures["curves"]
    assert list(chart.lines) == [run.label for run in runs]
    epochs, values = chart.lines["optimizer.lr=0.1 seed=0"]
    assert epochs == [1, 2, 3]
    assert values[-1] == pytest.approx(report.scalars["optimizer.lr=0.1 seed=0 val/loss"])
    assert report.scalars["optimizer.lr=0.1 seed=0 diverged"] == 0
    assert chart.y == "validation loss" and not chart.share


def test_a_number_against_the_option_that_varies_is_averaged_over_seeds(runs: Sequence[Finished]) -> None:
    report = against(runs, y="test/loss")
    (line,) = report.pictures["against"].lines.values()
    assert line[0] == [0.001, 0.01, 0.1], "in order, each once"
    two = [run.numbers()["test/loss"] for run in runs[:2]]
    assert line[1][0] == pytest.approx(sum(two) / 2)
    assert report.scalars["lowest at"] == 0.1 and report.scalars["falls"] == 2 and report.scalars["rises"] == 0
    assert report.scalars["highest"] == line[1][0] and report.scalars["highest at"] == 0.001


def test_what_does_not_vary_as_a_number_is_refused(runs: Sequence[Finished]) -> None:
    with pytest.raises(ConfigError, match=r"lecture.option: say which option .* the runs differ in none"):
        against(runs[:1].__class__([Finished("a", runs[0].folder)]))
    with pytest.raises(ConfigError, match="model must be a number in each run, got 'mlp'"):
        against([Finished("a", runs[0].folder, {"model": "mlp"})], option="model")


def test_bars_are_the_numbers_of_the_runs(runs: Sequence[Finished]) -> None:
    chart = bars(runs, y="test/accuracy", level="chance", at=1 / 3).pictures["bars"]
    assert chart.bars == {run.label: run.numbers()["test/accuracy"] for run in runs}
    assert chart.share and chart.at == {"chance": 1 / 3}


def test_an_evaluation_says_what_the_run_said_of_the_test_set(runs: Sequence[Finished]) -> None:
    report = evaluated(runs[:1], pictures=("confusion_matrix",))
    assert list(report.pictures) == ["confusion_matrix"]
    for name in ("test/accuracy", "test/loss"):
        assert report.scalars[name] == pytest.approx(runs[0].numbers()[name], abs=1e-6)


def test_one_run_and_a_picture_that_there_is_are_asked_for(runs: Sequence[Finished]) -> None:
    with pytest.raises(ConfigError, match=r"lecture.runs: the figure needs 1 run, got 4"):
        evaluated(runs)
    with pytest.raises(ConfigError, match="no picture 'weight'; it has confusion_matrix"):
        evaluated(runs[:1], pictures=("weight",))


def test_damaged_weights_say_what_to_delete(runs: Sequence[Finished], tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in runs[0].folder.iterdir():
        if file.is_file():
            (copy / file.name).write_bytes(file.read_bytes())
    weights = copy / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(
        DataError, match=rf"weights.safetensors.*delete the folder {copy}, and the figure makes the run again"
    ):
        Finished("a", copy).open()


def test_axes_are_named_in_words() -> None:
    assert axis_name("test/mse") == "test mean squared error"
    assert axis_name("train/loss") == "training loss"
