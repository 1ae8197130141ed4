"""The cells of a CSV file as columns: decoded, divided, and checked to be a rectangular table.

Rows are numbered as an editor numbers lines: the header is row 1.
"""

import csv
import io
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dlcourse.data.text_file import decode
from dlcourse.errors import DataError

MISSING = {"", "?", "-", "na", "n/a", "#n/a", "nan", "none", "null"}
_MOSTLY = 0.5
DATE = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([ T]\d{1,2}:\d{2}.*)?")
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")


@dataclass
class Column:
    """One column: its name, its cells as text, and the row that each stands in; `place` names the file."""

    place: str
    name: str
    cells: list[str]
    rows: list[int]

    def numbers(self) -> NDArray[np.float64] | None:
        """The cells as numbers, None if the column is text; raises DataError if it is a bit of both."""
        values = [parse_number(cell) for cell in self.cells]
        wrong = [index for index, value in enumerate(values) if value is None]
        if wrong:
            self._refuse_commas(wrong)
            if len(wrong) > (1 - _MOSTLY) * len(values):
                return None
            raise self.error(wrong[0], "is text in a numeric column; correct it or remove the row")
        numbers = np.array(values, np.float64)
        for index in np.flatnonzero(~(np.abs(numbers) <= np.finfo(np.float32).max)):
            raise self.error(int(index), "is not a number that fits into 32 bits; correct it or remove the row")
        return numbers

    @property
    def is_all_numbers(self) -> bool:
        """Whether every cell is a number."""
        return all(parse_number(cell) is not None for cell in self.cells)

    @property
    def missing(self) -> list[int]:
        """The indices of the cells without a value."""
        return [index for index, cell in enumerate(self.cells) if cell.lower() in MISSING]

    def without(self, indices: Collection[int]) -> "Column":
        """The same column less these cells."""
        left_out = set(indices)
        kept = [index for index in range(len(self.cells)) if index not in left_out]
        return Column(
            self.place, self.name, [self.cells[index] for index in kept], [self.rows[index] for index in kept]
        )

    def _refuse_commas(self, wrong: Sequence[int]) -> None:
        """Raise DataError if the cells that are no numbers all are numbers with commas."""
        cells, first = [self.cells[index] for index in wrong], self.cells[wrong[0]]
        meant = []
        if all(THOUSANDS.fullmatch(cell) for cell in cells):
            meant.append(f"{first.replace(',', '')} if it separates thousands")
        if all(DECIMAL_COMMA.fullmatch(cell) for cell in cells):
            meant.append(f"{first.replace(',', '.')} if it is a decimal comma")
        if meant:
            raise self.error(wrong[0], f"is a number with a comma; write {', '.join(meant)}")

    def require_complete(self, remedy: str) -> None:
        """Raise DataError, saying the remedy, if a value is missing."""
        for index in self.missing[:1]:
            shown = f"'{self.cells[index]}'" if self.cells[index] else "empty"
            raise DataError(
                f"{self.place}, row {self.rows[index]}, column '{self.name}': the value is missing ({shown}); {remedy}"
            )

    def error(self, index: int, complaint: str) -> DataError:
        """What is wrong with a cell, with its place."""
        return DataError(
            f"{self.place}, row {self.rows[index]}, column '{self.name}': '{shorten(self.cells[index])}' {complaint}"
        )


def read_columns(path: Path, separator: str, encoding: str = "utf-8", prefix: str = "data.") -> dict[str, Column]:
    """The columns of a CSV file by name, in order; raises DataError for a file that is no rectangular table.

    `prefix` is what stands before the options `separator` and `encoding` where they are typed.
    """
    reader = csv.reader(
        io.StringIO(_read_text(path, encoding, prefix), newline=""),
        delimiter=separator,
        skipinitialspace=True,
        strict=True,
    )
    rows: list[int] = []
    cells: list[list[str]] = []
    start = 1  # the line that a row starts in; quoted cells may hold line ends
    try:
        for row in reader:
            if row:
                rows.append(start)
                cells.append([cell.strip() for cell in row])
            start = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}, row {start}: {error}; correct the row (are its quotes closed?)") from None
    if not cells:
        raise DataError(f"{path} is empty; it needs a header with the names of the columns, and rows")
    header, *body = cells
    _check_header(path, header, separator, prefix)
    if not body:
        raise DataError(f"{path} has a header but no rows below it")
    for number, row in zip(rows[1:], body, strict=True):
        if len(row) != len(header):
            raise DataError(
                f"{path}, row {number}: {len(row)} cells, but the header has {len(header)}; correct the row or remove it"
            )
    return {
        name: Column(str(path), name, list(column), rows[1:])
        for name, column in zip(header, zip(*body, strict=True), strict=True)
    }


def _read_text(path: Path, encoding: str, prefix: str) -> str:
    try:
        if path.exists() and not path.is_file():
            raise DataError(f"data.file={path} is not a file; write data.file=FILE for a CSV file")
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; write data.file=FILE for a CSV file") from None
    return decode(content, encoding, str(path), "CSV", prefix)


def _check_header(path: Path, header: Sequence[str], separator: str, prefix: str) -> None:
    if all(parse_number(name) is not None for name in header):
        raise DataError(
            f"{path} has no header: row 1 is all numbers ({shorten(separator.join(header))}); "
            "write the names of the columns there"
        )
    if len(header) == 1:
        other = next((mark for mark in ",;\t|" if mark in header[0]), None)
        if other is not None:
            word = "tab" if other == "\t" else f"'{other}'"
            raise DataError(f"{path}, row 1: one column '{shorten(header[0])}'; write \"{prefix}separator={word}\"")
    for name in header:
        if header.count(name) > 1:
            raise DataError(f"{path}, row 1: two columns are called '{name}'; rename one")


def shorten(text: str, length: int = 40) -> str:
    """Text cut to at most `length` characters, so that it does not fill a line."""
    return text if len(text) <= length else f"{text[: length - 3]}..."


def parse_number(cell: str) -> float | None:
    """The number that a cell holds, None if it holds text; Python's `1_000` is text."""
    if "_" in cell:
        return None
    try:
        return float(cell)
    except ValueError:
        return None
