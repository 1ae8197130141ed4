"""Columns of numbers that float32 would blur: float64 until they are standardized, or named.

N is a number of rows, F of columns.
"""

import dataclasses

import numpy as np
import torch
from torch import Tensor

from dlcourse.data.split import TensorSplit
from dlcourse.spec import Data, Split

RESOLUTION = 1e-3
"""A column is blurred if the steps of float32 are more than this share of its standard deviation."""


def blurred(numbers: Tensor) -> list[int]:
    """Which columns of float64 numbers `(N, F)` float32 would blur, such as seconds since 1970 within one hour."""
    step = numbers.abs().amax(0) * torch.finfo(torch.float32).eps
    varies = numbers.amax(0) > numbers.amin(0)
    return (varies & (step > RESOLUTION * numbers.std(0, correction=0))).nonzero().flatten().tolist()


def as_floats(*tables: Tensor) -> list[Tensor]:
    """Tables `(N, ..., F)` with the same columns in float32, or as they are if one of these would be blurred."""
    if all(table.dtype == torch.float32 for table in tables):
        return list(tables)
    rows = torch.cat([table.reshape(-1, table.shape[-1]) for table in tables])
    return list(tables) if blurred(rows) else [table.float() for table in tables]


def narrow_inputs(data: Data, advice: str) -> Data:
    """The data with inputs in float32, and a note with the advice on each column that is blurred."""
    inputs = _column_values(data.train, "inputs")
    if inputs is None:
        return data
    names = data.spec.feature_labels if len(data.spec.input_shape) == 1 else ()
    return _narrow(data, "inputs", [f"column '{name}'" for name in names], inputs, advice)


def narrow_targets(data: Data, advice: str) -> Data:
    """The same for targets that are numbers."""
    targets = _column_values(data.train, "targets")
    return data if targets is None else _narrow(data, "targets", ["the target"], targets, advice)


def _column_values(split: Split, name: str) -> Tensor | None:
    """The columns of a split's inputs or targets, `(N, F)`, if they are float64."""
    table: Tensor | None = getattr(split, name, None)
    return table.reshape(-1, table.shape[-1]) if table is not None and table.dtype == torch.float64 else None


def _narrow(data: Data, part: str, names: list[str], columns: Tensor, advice: str) -> Data:
    notes = []
    for index in blurred(columns):
        column = columns[:, index].numpy()
        kept, all_values = (len(np.unique(values)) for values in (column.astype(np.float32), column))
        name = names[index] if index < len(names) else f"column {index + 1} of the {part}"
        notes.append(f"{name} keeps {kept:,} of its {all_values:,} values in 32-bit numbers; {advice}")
    splits = (
        dataclasses.replace(split, **{part: getattr(split, part).float()}) if isinstance(split, TensorSplit) else split
        for split in (data.train, data.val, data.test)
    )
    train, val, test = splits
    return dataclasses.replace(data, train=train, val=val, test=test, notes=(*data.notes, *notes))
