"""What differs between two finished runs that should be the same: numbers logged, kept weights, predictions; times aside."""

import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dlcourse.files import read_regular
from dlcourse.runs.folder import WEIGHTS, RunFolder
from dlcourse.runs.metrics_log import METRICS, timeless
from dlcourse.runs.predictions import PREDICTIONS
from dlcourse.runs.reopen import stated_checksum
from dlcourse.runs.weights import read_tensors
from dlcourse.text_table import counted

_MAX_BYTES = 2**30
_MISSING = "missing"
_PLACE = {"step", "epoch"}
"""What every line of the log says."""

Names = tuple[str, str]
"""What the two runs are called behind a value of theirs: `in the run` and `now`."""


@dataclass(frozen=True)
class Comparison:
    """How much was compared, and a line for each of the files that differs: where it first does, and both values."""

    lines: int
    tensors: int
    predictions: int
    differences: tuple[str, ...]

    def __str__(self) -> str:
        """`bit-equal: 9 lines of metrics.jsonl, 6 tensors, 359 predictions`."""
        parts = [f"{counted(self.lines, 'line')} of {METRICS}", counted(self.tensors, "tensor")]
        parts += [counted(self.predictions, "prediction")] if self.predictions else []
        return f"bit-equal: {', '.join(parts)}"


@dataclass(frozen=True)
class Outcome:
    """What a run of the same config must reproduce: no times, and no pictures, which show the same numbers."""

    records: list[tuple[int, dict[str, Any]]]
    """The lines of the log, with their numbers in the file."""
    tensors: dict[str, Tensor]
    rows: list[str]
    """The lines of the table of predictions, its head among them; none without such a table."""


def read_outcome(run: Path) -> Outcome:
    """That of the run in a folder; raises DataError for what is damaged, and ConfigError for a link, as to a secret."""
    RunFolder(run).refuse_what_is_not_ours()
    tensors = read_tensors(run / WEIGHTS, stated_checksum(run))
    return Outcome(_numbered_records(run), tensors, _rows(run))


def compare(ours: Outcome, theirs: Outcome, names: Names) -> Comparison:
    """Compare two runs, which the lines call by these names."""
    return Comparison(
        len(ours.records),
        len(ours.tensors),
        max(len(ours.rows) - 1, 0),
        (
            *_of_logs(ours.records, theirs.records, names),
            *_of_weights(ours.tensors, theirs.tensors, names),
            *_of_rows(ours.rows, theirs.rows, names),
        ),
    )


def _numbered_records(run: Path) -> list[tuple[int, dict[str, Any]]]:
    """The records of the log, numbers and histograms, by line number, without times, and without those of nothing else."""
    found = []
    for number, line in enumerate(read_regular(run / METRICS, _MAX_BYTES).splitlines(), start=1):
        try:
            whole = json.loads(line)
        except (ValueError, RecursionError):  # torn, or a stranger's
            break
        if not isinstance(whole, dict) or any(whole.get(name) is None for name in _PLACE):
            continue
        record = {name: value for name, value in timeless(whole).items() if value is not None}
        if "picture" not in record and record.keys() - _PLACE:
            found.append((number, record))
    return found


def _of_logs(
    ours: list[tuple[int, dict[str, Any]]], theirs: list[tuple[int, dict[str, Any]]], names: Names
) -> Iterator[str]:
    """The first line that differs, and how many do."""
    nothing: tuple[int, dict[str, Any]] = (0, {})
    pairs = list(itertools.zip_longest(ours, theirs, fillvalue=nothing))
    different = [(one, other) for one, other in pairs if _text(one[1]) != _text(other[1])]
    if different:
        (number, one), (number_there, other) = different[0]
        what = _of_records(one, other, names)
        yield f"{METRICS} line {number or number_there}: {what}; {len(different):,} of {len(pairs):,} lines differ"


def _of_records(one: dict[str, Any], other: dict[str, Any], names: Names) -> str:
    """What differs first in two lines of the log; an empty one is missing."""
    if one.keys() != other.keys() or any(one[name] != other[name] for name in _PLACE):
        return _both([_summary(one), _summary(other)], names)
    name = next(name for name in one if _text(one[name]) != _text(other[name]))
    subject = f"{one['histogram']} {name}" if "histogram" in one else name
    return f"step {one['step']}, {subject}: {_both([_text(one[name]), _text(other[name])], names)}"


def _summary(record: dict[str, Any]) -> str:
    if not record:
        return _MISSING
    return f"step {record['step']} ({', '.join(name for name in record if name not in _PLACE)})"


def _both(sides: Iterable[str], names: Names) -> str:
    """`0.1 in the run, 0.2 now`."""
    return ", ".join(f"{side} {name}" for side, name in zip(sides, names, strict=True))


def _text(value: Any) -> str:
    """The value as the log writes it: every bit of a number, and NaN equals NaN."""
    return json.dumps(value, ensure_ascii=False)


def _of_weights(ours: dict[str, Tensor], theirs: dict[str, Tensor], names: Names) -> Iterator[str]:
    """How many tensors differ, and the first of them."""
    different = [name for name in ours | theirs if not _is_same(ours.get(name), theirs.get(name))]
    if not different:
        return
    name = different[0]
    count = f"{len(different):,} of {counted(len(ours | theirs), 'tensor')} differ"
    yield f"{WEIGHTS}: {_of_tensors(name, ours.get(name), theirs.get(name), names)}; {count}"


def _is_same(one: Tensor | None, other: Tensor | None) -> bool:
    """Whether all bits of both are the same, those of NaN and of -0.0 among them."""
    if one is None or other is None or one.dtype != other.dtype or one.shape != other.shape:
        return False
    return torch.equal(one.reshape(-1).view(torch.uint8), other.reshape(-1).view(torch.uint8))


def _of_tensors(name: str, one: Tensor | None, other: Tensor | None, names: Names) -> str:
    if one is None or other is None or one.dtype != other.dtype or one.shape != other.shape:
        sides = (_MISSING if side is None else f"{tuple(side.shape)} {side.dtype}" for side in (one, other))
        return f"{name}: {_both(sides, names)}"
    return f"{name} differs by up to {float((one.double() - other.double()).abs().max()):.3g}"


def _rows(run: Path) -> list[str]:
    """The lines of the table of predictions; none if the run has no such table. Raises DataError."""
    path = run / PREDICTIONS
    return read_regular(path, _MAX_BYTES).decode(errors="replace").splitlines() if path.exists() else []


def _of_rows(ours: list[str], theirs: list[str], names: Names) -> Iterator[str]:
    """The first row that differs, and how many do."""
    pairs = list(itertools.zip_longest(ours, theirs, fillvalue=_MISSING))
    different = [number for number, (one, other) in enumerate(pairs, start=1) if one != other]
    if different:
        what = _both(pairs[different[0] - 1], names)
        yield f"{PREDICTIONS} line {different[0]}: {what}; {len(different):,} of {len(pairs):,} lines differ"
