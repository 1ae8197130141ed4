"""predictions.csv: what a run has predicted for each example of the test set, read back without torch."""

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path

from dlcourse.errors import DataError
from dlcourse.files import read_regular

PREDICTIONS = "predictions.csv"
SCORES = {"right": "accuracy", "squared_error": "mse", "loss": "loss"}
"""The columns that score an example, each with the number of an evaluation that is its mean."""

_MAX_BYTES = 2**30


@dataclass(frozen=True)
class Predictions:
    """For each example what is true and what was predicted, as written there, and its score; a column may be empty."""

    true: tuple[str, ...]
    predicted: tuple[str, ...]
    confidence: tuple[float, ...]
    metric: str
    scores: tuple[float, ...]


def read_predictions(folder: Path) -> Predictions | None:
    """Those of a run or an evaluation; None if it has none, as runs of older versions. Raises DataError."""
    path = folder / PREDICTIONS
    if path.is_symlink():
        raise DataError(f"{path} is a link, which dlcourse does not make; put there what it leads to")
    if not path.exists():
        return None
    try:
        text = read_regular(path, _MAX_BYTES).decode()
        head, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        return _in_columns(head, rows)
    except (ValueError, StopIteration, csv.Error):
        raise DataError(f"{path} is damaged: it is no table of predictions") from None


def _in_columns(head: list[str], rows: list[list[str]]) -> Predictions:
    """The columns that are known; raises ValueError."""
    columns = dict(zip(head, zip(*rows, strict=True), strict=True))
    column = next((name for name in SCORES if name in columns), None)
    if column is None:
        raise ValueError("no score")
    scores = tuple(map(float, columns[column]))
    if column == "right" and not set(scores) <= {0.0, 1.0}:
        raise ValueError("right is 0 or 1")
    confidence = tuple(map(float, columns.get("probability", ())))
    if not all(map(math.isfinite, confidence)):
        confidence = ()
    return Predictions(_joined(columns, "true"), _joined(columns, "predicted"), confidence, SCORES[column], scores)


def _joined(columns: dict[str, tuple[str, ...]], word: str) -> tuple[str, ...]:
    """The column of this name, or those named `word_1`, `word_2`, ... side by side; none if there are none."""
    found = [values for name, values in columns.items() if name == word or name.startswith(f"{word}_")]
    return tuple("  ".join(row) for row in zip(*found, strict=True))
