"""The user's own table in a CSV file: numbers stay numbers, text becomes one column of 0 and 1 for each of its values."""

import math
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dlcourse.config.options import suggestion
from dlcourse.config.paths import path_to_read
from dlcourse.data import announced
from dlcourse.data.csv_table import DATE, Column, parse_number, read_columns, shorten
from dlcourse.data.dataset import ClassSource, Tables, TableSource
from dlcourse.data.float_precision import as_floats
from dlcourse.data.missing_values import complete_rows, filled, known_numbers, known_values, note_of_filled
from dlcourse.errors import ConfigError, DataError
from dlcourse.spec import Data

MAX_CLASSES_OF_NUMBERS = 20
"""Whole numbers with more different values than this are taken as numbers to predict, not as names of classes."""

MAX_ONE_HOT = 10_000
MAX_SELDOM_REPEATED = 20
"""Different values of a text column that may be more than half as many as its rows: further ones are names, not kinds."""

_PLAIN = re.compile(r"(?!(?:true|false|null|nan|inf)$)[^\W\d](?:[\w -]*\w)?", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class CsvFile(TableSource, ClassSource):
    """Rows of a CSV file with a header; the column `target` is predicted from all others, less those to `drop`.

    A column is numeric if every cell is a number. A column of text is refused if it has more than 20 different
    values, and more than half as many as there are rows, as names do. A target is a class if it is text, or whole
    numbers with at most 20 different values, and otherwise a value; `kind` overrules that. Of `missing` values, `drop`
    leaves out the rows, and `mean` puts the mean of the column's training rows in their place: for text, the share that
    each of its values has there.
    """

    SPECS = tuple(announced.numbers(width, classes=classes) for width in (1, 2, 10) for classes in (2, 0))

    file: str | None = None
    target: str | None = None
    separator: str = ","
    encoding: str = "utf-8"
    kind: Literal["auto", "class", "value"] = "auto"
    drop: tuple[str, ...] = ()
    missing: Literal["refuse", "drop", "mean"] = "refuse"

    def build(self, *, name: str, seed: int) -> Data:
        data = super().build(name=name, seed=seed)
        return filled(data) if self.missing == "mean" else data

    def load(self) -> Tables:
        target, kept, rows_note = self._columns()
        inputs, feature_names, notes = _features(kept, self.drop)
        notes += rows_note
        targets, class_names = self._targets(target)
        if self.kind == "auto" and len(class_names) > 2 and target.is_all_numbers:
            notes.append(
                f"column '{target.name}' holds {len(class_names)} different whole numbers and is taken as classes; to "
                "predict numbers write data.kind=value"
            )
        tables = self.divide(inputs, targets, class_names, feature_names)
        tables.notes = tuple(notes)
        return tables

    def read(self) -> dict[str, Column]:
        """All columns of the file by name, in order; raises UserError."""
        if self.file is None:
            raise ConfigError("data.file is missing; write data=csv data.file=FILE data.target=COLUMN")
        separator = separator_of(self.separator, "data.separator")
        return read_columns(path_to_read(self.file, "data.file"), separator, self.encoding)

    def test_rows(self) -> list[int]:
        """The rows of the file that are set aside for testing, as an editor numbers lines; raises UserError."""
        target, _, _ = self._columns()
        targets, class_names = self._targets(target)
        chosen = self.set_aside(targets, class_names).tolist()
        return [row for row, is_test in zip(target.rows, chosen, strict=True) if is_test]

    def _columns(self) -> tuple[Column, list[Column], list[str]]:
        """The target, the columns that it is predicted from, and what to say of missing values; raises UserError."""
        columns = self.read()
        target = self._take_target(columns)
        kept = self._kept(columns)
        if self.missing == "drop":
            return complete_rows(target, kept)
        return target, kept, note_of_filled(kept)

    def _take_target(self, columns: dict[str, Column]) -> Column:
        """The target column, removed from the others."""
        if self.target is None:
            raise ConfigError(
                f"data.target is missing; write data.target=COLUMN; the columns are: {shorten(', '.join(columns), 200)}"
            )
        if self.target not in columns:
            raise ConfigError(
                f"data.target: {self.file} has no column '{self.target}'{suggestion(self.target, columns)}"
            )
        if self.target in self.drop:
            raise ConfigError(f"data.drop={list(self.drop)} has the target '{self.target}' in it; leave that in")
        column = columns.pop(self.target)
        if self.missing != "drop":
            column.require_complete("fill it in, or leave such rows out: data.missing=drop")
        return column

    def _kept(self, columns: dict[str, Column]) -> list[Column]:
        for name in self.drop:
            if name not in columns:
                raise ConfigError(f"data.drop: {self.file} has no column '{name}'{self._meant(name, columns)}")
        kept = [column for name, column in columns.items() if name not in self.drop]
        if not kept:
            raise DataError(f"{self.file} has no column besides the target '{self.target}'; it needs at least one")
        for column in kept:
            if not column.name:
                raise DataError(
                    f"{self.file}, row 1: a column has no name (a row index?); write one, or leave the column out: "
                    f"{drop_word(*self.drop, '')}"
                )
            if self.missing == "refuse":
                column.require_complete(
                    "fill it in, write data.missing=drop (leaves out the rows) or data.missing=mean, or leave the "
                    f"column out: {drop_word(*self.drop, column.name)}"
                )
        return kept

    def _meant(self, name: str, columns: Iterable[str]) -> str:
        """What to type instead of a name to drop that is none, which may be a part of a name with commas."""
        whole = next((column for column in columns if name in re.split(r"\s*,\s*", column)), None)
        if whole is None:
            return suggestion(name, columns)
        others = (other for other in self.drop if other in columns and other != whole)
        return f"; for the column '{whole}' write {drop_word(*others, whole)}"

    def _targets(self, column: Column) -> tuple[Tensor, tuple[str, ...]]:
        """Classes `(N,)` with their names, or values `(N, 1)` and no names."""
        numbers = None if self.kind == "class" and not column.is_all_numbers else column.numbers()
        if numbers is None and self.kind == "value":
            index = next(index for index, cell in enumerate(column.cells) if parse_number(cell) is None)
            raise column.error(index, "is no number, which data.kind=value needs; write data.kind=class")
        if numbers is not None and (self.kind == "value" or (self.kind == "auto" and not _looks_like_classes(numbers))):
            (values,) = as_floats(torch.from_numpy(numbers).unsqueeze(1))
            return values, ()
        if numbers is None:
            names, classes = np.unique(np.array(column.cells), return_inverse=True)
            class_names = tuple(str(name) for name in names)
        else:
            labels, classes = np.unique(numbers, return_inverse=True)
            class_names = tuple(f"{label:.0f}" if label.is_integer() else str(label) for label in labels.tolist())
        if len(class_names) == 1:
            raise DataError(
                f"{column.place}: every row of the target '{column.name}' is '{class_names[0]}'; at least two classes are "
                "needed"
            )
        if len(class_names) > max(2, len(classes) / 2):
            raise DataError(
                f"{column.place}: the target '{column.name}' has {len(class_names):,} different values in "
                f"{len(classes):,} rows, too many for classes; choose another data.target"
                + (", or data.kind=value" if numbers is not None else "")
            )
        return torch.from_numpy(classes), class_names


def separator_of(text: str, option: str) -> str:
    """The character that separates cells, from what was written for an option; raises ConfigError."""
    separator = {"tab": "\t", "\\t": "\t"}.get(text, text)
    if len(separator) != 1 or separator in '"\r\n ':
        raise ConfigError(f"{option}='{text}' must be one character such as , or ; or the word tab")
    return separator


def drop_word(*names: str) -> str:
    """`data.drop` with these names, as a shell takes it; names that Hydra would read otherwise are in quotes."""
    quoted = (name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '\\"') + '"' for name in names)
    return shlex.quote(f"data.drop=[{','.join(quoted)}]")


def _features(columns: Sequence[Column], dropped: Sequence[str]) -> tuple[Tensor, tuple[str, ...], list[str]]:
    """Inputs `(N, F)`, the name of each feature, `color=red` for a value of a text column, and what to say of those.

    They are float32, or float64 if a column of numbers would be blurred; NaN where a value is missing.
    """
    numbers = [known_numbers(column) for column in columns]
    values = [known_values(column) if number is None else None for column, number in zip(columns, numbers, strict=True)]
    _check_text_columns(columns, values, dropped)
    names: list[str] = []
    parts: list[Tensor] = []  # each (N, features of the column)
    notes: list[str] = []
    for column, number, categories in zip(columns, numbers, values, strict=True):
        if number is not None:
            names.append(column.name)
            known = torch.from_numpy(number[~np.isnan(number)])
            parts.append(torch.from_numpy(number)[:, None].to(as_floats(known[:, None])[0].dtype))
        elif categories is not None:
            names.extend(f"{column.name}={category}" for category in categories)
            indicators = torch.from_numpy(np.array(column.cells)[:, None] == categories).float()
            indicators[column.missing] = math.nan
            parts.append(indicators)
            notes += _note(column, categories, dropped)
    return torch.cat(parts, dim=1), tuple(names), notes


def _note(column: Column, categories: NDArray[np.str_], dropped: Sequence[str]) -> list[str]:
    """A line on a text column that was hardly meant to become as many features as it has values."""
    became = f"became {len(categories):,} features, one for each value"
    leave_out = f"leave the column out: {drop_word(*dropped, column.name)}"
    if all(DATE.fullmatch(str(category)) for category in categories):
        return [f"column '{column.name}' holds dates and {became}; write numbers, such as days, or {leave_out}"]
    if len(categories) > MAX_SELDOM_REPEATED:
        return [f"column '{column.name}' of text {became}; if they are names, {leave_out}"]
    return []


def _check_text_columns(
    columns: Sequence[Column], values: Sequence[NDArray[np.str_] | None], dropped: Sequence[str]
) -> None:
    texts = [(len(names), column) for column, names in zip(columns, values, strict=True) if names is not None]
    seldom = [(count, column) for count, column in texts if count > max(MAX_SELDOM_REPEATED, len(column.cells) / 2)]
    if seldom:
        shown = ", ".join(f"'{column.name}' has {count:,} different values" for count, column in seldom)
        raise DataError(
            f"{seldom[0][1].place}: too many to become features: {shown} in {len(seldom[0][1].cells):,} rows of text; "
            f"write numbers, or leave out what is a name: {drop_word(*dropped, *(column.name for _, column in seldom))}"
        )
    if sum(count for count, _ in texts) > MAX_ONE_HOT:
        count, widest = max(texts, key=lambda pair: pair[0])
        raise DataError(
            f"{widest.place}: the text columns have {sum(count for count, _ in texts):,} different values, and at most "
            f"{MAX_ONE_HOT:,} can become features; leave out '{widest.name}' ({count:,}): "
            f"{drop_word(*dropped, widest.name)}"
        )


def _looks_like_classes(numbers: NDArray[np.float64]) -> bool:
    whole = all(math.floor(number) == number for number in numbers)
    return whole and len(np.unique(numbers)) <= MAX_CLASSES_OF_NUMBERS
