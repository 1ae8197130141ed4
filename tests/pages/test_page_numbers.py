"""The numbers of a report under the names that people read, of any version and also of a stranger."""

import json
import math
from typing import Any

import pytest

from dlcourse.pages import numbers

REPORT: dict[str, Any] = {
    "monitor": "val/accuracy",
    "train": {"loss": 0.1, "accuracy": 1.0},
    "val": {"loss": 0.2, "accuracy": 0.95, "top3": 1.0},
    "test": {"loss": 0.25, "accuracy": 0.9375, "top3": 0.99},
    "accuracy_interval": [0.9, 0.97],
    "macro": {"precision": 0.9, "recall": 0.8, "f1": 0.85},
    "classes": {
        "cat": {"precision": 0.5, "recall": 1.0, "f1": 0.6667, "support": 1200},
        "dog": {"precision": None, "recall": None, "f1": None, "support": 0},
    },
    "confusion_matrix": [[1, 0], [0, 1]],
    "seconds": 3.0,
    "ece": 0.0123,
}


def test_each_number_has_a_row_with_its_splits() -> None:
    table = numbers.results(REPORT, "classification")
    assert table.head == ("Number", "Training", "Validation", "Test", "95 % interval")
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["Accuracy"] == ("100.00 %", "95.00 %", "93.75 %", "90.00 to 97.00 %")
    assert table.rows[0][0] == "Accuracy"
    assert rows["Top-3 accuracy"] == ("-", "100.00 %", "99.00 %", "")
    assert rows["Loss (cross-entropy, nats)"] == ("0.1000", "0.2000", "0.2500", "")
    assert rows["ECE (expected calibration error)"] == ("", "", "0.0123", "")
    assert not [name for name in rows if "econds" in name or "Macro" in name]
    without = numbers.results({key: REPORT[key] for key in ("train", "val", "test", "macro")}, "classification")
    assert without.head[-1] == "Test" and ("Macro average: F1", "", "", "0.8500") in without.rows


def test_the_number_that_the_task_watches_is_the_first_tile() -> None:
    first, *others = numbers.tiles(REPORT, "classification")
    assert (first.name, first.value, first.note) == ("Test accuracy", "93.75 %", "95 % interval: 90.00 to 97.00 %")
    assert [tile.name for tile in others] == ["Test top-3 accuracy", "Test loss"]
    watched = numbers.tiles({**REPORT, "monitor": "val/loss"}, "language")[0]
    assert (watched.name, watched.value, watched.note) == ("Test loss", "0.2500", "nats per token")


def test_the_table_of_classes_ends_with_their_average() -> None:
    table = numbers.classes(REPORT, most=10)
    assert table is not None
    assert table.head == ("Class", "Precision", "Recall", "F1", "Support")
    assert table.rows == (
        ("cat", "0.5000", "1.0000", "0.6667", "1,200"),
        ("dog", "-", "-", "-", "0"),
        ("macro average", "0.9000", "0.8000", "0.8500", "1,200"),
    )
    few = numbers.classes(REPORT, most=1)
    assert few is not None and few.note == "and 1 more in report.json"
    assert [row[0] for row in few.rows] == ["cat", "macro average"]
    assert numbers.classes({}, most=1) is None


@pytest.mark.parametrize("metric", ["weird_new_number", "r2", "f1", "top5", "bits_per_dim"])
def test_a_name_begins_with_a_capital_letter_and_has_no_underscore(metric: str) -> None:
    name = numbers.name_of(metric)
    assert name[0].isupper() and "_" not in name


@pytest.mark.parametrize(
    "value",
    [
        None,
        "x",
        [],
        {},
        True,
        [1],
        {"a": "b"},
        {"a": None},
        10**400,
        math.nan,
        math.inf,
        -1,
        1e300,
        {"": 1},
        {"a": [1]},
    ],
)
def test_whatever_a_report_says_there_are_tables(value: Any) -> None:
    for key in (*REPORT, "new", "new_interval"):
        report = json.loads(json.dumps({**REPORT, key: value}))
        for table in (numbers.results(report, "classification"), numbers.classes(report, most=10)):
            assert table is None or all(isinstance(cell, str) for row in table.rows for cell in row)
        assert all(isinstance(tile.value, str) for tile in numbers.tiles(report, ""))
        assert isinstance(numbers.supports(report), dict)
    inside = {**REPORT, "test": {"accuracy": value, "loss": value}, "classes": {"cat": {"f1": value, "support": value}}}
    report = json.loads(json.dumps(inside))
    assert numbers.results(report, "")
    assert numbers.classes(report, most=10)
    assert numbers.tiles(report, "")
