"""metrics.jsonl as columns: what was logged at one step is a row."""

import json
import math
from pathlib import Path

import pytest

from dlcourse.errors import ConfigError, DataError
from dlcourse.runs.metrics_table import read_table

RECORDS = [
    {"step": 2, "epoch": 1, "time": 0.5, "train/loss": 2.0},
    {"step": 2, "epoch": 1, "time": 0.5, "optim/lr": 0.1},
    {"step": 4, "epoch": 1, "time": 0.6, "train/loss": 1.0},
    {"step": 4, "epoch": 1, "time": 0.6, "val/loss": 1.5, "val/accuracy": 1},
    {"step": 4, "epoch": 1, "time": 0.6, "picture": "val/samples", "file": "progress/samples_0001.png"},
    {"step": 6, "epoch": 2, "time": 0.7, "train/loss": math.nan},
    {"step": 6, "epoch": 1, "time": 0.7, "best/loss": 1.5},
    {"step": 8, "epoch": 2, "time": 0.7, "picture": "learning_curve", "file": "learning_curve.png"},
]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(f"{json.dumps(record)}\n" for record in RECORDS))
    return path


def test_what_was_logged_at_a_step_is_one_row(log: Path) -> None:
    table = read_table(log)
    nan = math.nan
    expected = {
        "step": [2, 4, 6],
        "epoch": [1, 1, 2],
        "train/loss": [2.0, 1.0, nan],
        "optim/lr": [0.1, nan, nan],
        "val/loss": [nan, 1.5, nan],
        "val/accuracy": [nan, 1.0, nan],
        "best/loss": [nan, nan, 1.5],
    }
    assert list(table) == list(expected)
    assert {name: list(map(str, column)) for name, column in table.items()} == {
        name: list(map(str, column)) for name, column in expected.items()
    }
    assert repr(table) == "3 rows of step, epoch, train/loss, optim/lr, val/loss, val/accuracy, best/loss"


def test_a_series_is_what_can_be_plotted(log: Path) -> None:
    table = read_table(log)
    assert table.series("val/loss") == ([4], [1.5])
    assert table.series("train/loss") == ([2, 4], [2.0, 1.0])
    with pytest.raises(ConfigError, match=r"no number 'val/los' was logged; did you mean 'val/loss'\?"):
        table.series("val/los")


def test_pandas_takes_the_table_as_it_is(log: Path) -> None:
    pandas = pytest.importorskip("pandas")
    assert list(pandas.DataFrame(read_table(log))["val/loss"].dropna()) == [1.5]


def test_a_log_may_be_empty_or_torn_but_must_be_there(log: Path) -> None:
    log.write_text(log.read_text().splitlines()[0] + '\n{"step": 3, "ep')
    assert read_table(log) == {"step": [2], "epoch": [1], "train/loss": [2.0]}
    log.write_text("")
    assert read_table(log) == {"step": [], "epoch": []}
    log.unlink()
    with pytest.raises(DataError, match=r"cannot read .*metrics\.jsonl: no such file or directory"):
        read_table(log)
