"""New rows of a CSV file for a finished run: its columns by name, as the features that the run's model reads.

N is a number of rows, F of features.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dlcourse.config.options import suggestion
from dlcourse.data.csv_table import Column, read_columns, shorten
from dlcourse.errors import DataError
from dlcourse.spec import DataSpec


@dataclass(frozen=True, eq=False)
class NewRows:
    """Features `(N, F)` in float64, the row of the file that each stands in, and the names of columns that were not read."""

    features: Tensor
    rows: list[int]
    ignored: tuple[str, ...]


def read_rows(path: Path, spec: DataSpec, separator: str, encoding: str, known: Collection[str] = ()) -> NewRows:
    """The rows of a CSV file, whose columns may stand in any order; those in `known` are left out, too. Raises UserError.

    A feature is a column of numbers of that name, or `color=red` the value of a column of text.
    """
    columns = read_columns(path, separator, encoding, "--")
    features: list[np.ndarray] = []
    used: dict[str, list[str]] = {}  # by column the values of text that are features
    for feature in spec.feature_labels:
        name = _column_of(feature, columns)
        if name is None:
            missing = feature.partition("=")[0]
            raise DataError(f"{path} has no column '{missing}', which this run reads{suggestion(missing, columns)}")
        used.setdefault(name, [])
        if name != feature:
            used[name].append(feature.removeprefix(f"{name}="))
    for name, values in used.items():
        columns[name].require_complete("fill it in or remove the row")
        if values:
            _require_known(columns[name], values)
    for feature in spec.feature_labels:
        name = str(_column_of(feature, columns))
        column = columns[name]
        features.append(_numbers(column) if name == feature else _is_value(column, feature.removeprefix(f"{name}=")))
    rows = next(iter(columns.values())).rows
    ignored = tuple(name for name in columns if name not in used and name not in known)
    return NewRows(torch.from_numpy(np.stack(features, axis=1)), list(rows), ignored)


def _column_of(feature: str, columns: Mapping[str, Column]) -> str | None:
    """The column that a feature comes from: of its own name, or what stands before one of its `=`."""
    places = [index for index, character in enumerate(feature) if character == "="]
    return next((name for name in (feature, *(feature[:place] for place in places)) if name in columns), None)


def _numbers(column: Column) -> np.ndarray:
    numbers = column.numbers()
    if numbers is None:
        raise column.error(0, "is text, and this run reads numbers there")
    return numbers


def _is_value(column: Column, value: str) -> np.ndarray:
    """1 for each cell that is the value, else 0."""
    return (np.array(column.cells) == value).astype(np.float64)


def _require_known(column: Column, values: Collection[str]) -> None:
    """Raise DataError for a cell of text that the run was not trained with."""
    for index, cell in enumerate(column.cells):
        if cell not in values:
            raise column.error(index, f"is none of the values this run knows: {shorten(', '.join(values), 120)}")
