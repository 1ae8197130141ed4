"""Cells of a table without a value: their rows left out, or the mean of the training rows in their place.

N is a number of rows, F of features.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from dlcourse.data.csv_table import Column
from dlcourse.data.split import TensorSplit
from dlcourse.errors import DataError
from dlcourse.spec import Data, Split
from dlcourse.text_table import counted

_TRAINING_ONLY = "the mean of the training rows"


def known_numbers(column: Column) -> NDArray[np.float64] | None:
    """The cells as numbers `(N,)`, NaN where a value is missing; None if the others are text. Raises DataError."""
    missing = column.missing
    if not missing:
        return column.numbers()
    if len(missing) == len(column.cells):
        raise DataError(f"{column.place}: column '{column.name}' has no value at all; leave it out with data.drop")
    known = column.without(missing).numbers()
    if known is None:
        return None
    numbers = np.full(len(column.cells), np.nan)
    numbers[np.setdiff1d(np.arange(len(column.cells)), missing)] = known
    return numbers


def known_values(column: Column) -> NDArray[np.str_]:
    """The distinct texts in a column, sorted, without those that mark a missing value."""
    values: NDArray[np.str_] = np.unique(np.array(column.without(column.missing).cells))
    return values


def complete_rows(target: Column, columns: Sequence[Column]) -> tuple[Column, list[Column], list[str]]:
    """The same columns without the rows in which one of them lacks a value, and a note on how many those are."""
    missing = sorted({index for column in (target, *columns) for index in column.missing})
    if not missing:
        return target, list(columns), []
    count = len(target.cells)
    if len(missing) == count:
        raise DataError(f"{target.place}: every row lacks a value; leave out columns with data.drop")
    first = target.rows[missing[0]]
    note = f"left out {counted(len(missing), 'row')} of {count:,} with a missing value, the first in row {first}"
    return target.without(missing), [column.without(missing) for column in columns], [note]


def note_of_filled(columns: Sequence[Column]) -> list[str]:
    """A line for each column with missing values that `filled` replaces."""
    return [
        f"column '{column.name}': {counted(len(column.missing), 'missing value')} filled with {_TRAINING_ONLY}"
        for column in columns
        if column.missing
    ]


def filled(data: Data) -> Data:
    """The data with the training mean of a feature in place of NaN, in every split; raises DataError if there is none.

    The mean knows neither validation nor test. Of a column of text it is the share of each of its values.
    """
    assert isinstance(data.train, TensorSplit)
    means = data.train.inputs.nanmean(0)  # (F,)
    for index in means.isnan().nonzero().flatten().tolist():
        name = data.spec.feature_labels[index]
        raise DataError(f"feature '{name}' has no value in any training row, so no mean; leave it out with data.drop")

    def fill(split: Split) -> Split:
        assert isinstance(split, TensorSplit)
        return dataclasses.replace(split, inputs=torch.where(split.inputs.isnan(), means, split.inputs))

    return dataclasses.replace(data, train=fill(data.train), val=fill(data.val), test=fill(data.test))
