"""What is odd about the splits of any data set once they are built: classes, features that never change, twins.

N is a number of examples, F of features.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from dlcourse.data.checks.classes import check_classes
from dlcourse.data.checks.finding import Finding, some
from dlcourse.data.checks.twins import equal_rows, near_pairs, rounded, thumbnails
from dlcourse.data.split import TensorSplit, targets_of
from dlcourse.spec import Data, Split
from dlcourse.text_table import counted

MOST_TRAIN, MOST_TEST = 20_000, 2_000
"""Images that are compared with each other: the first of each split."""


def splits(data: Data) -> dict[str, Split]:
    """The three splits by name."""
    return {"train": data.train, "val": data.val, "test": data.test}


def class_counts(data: Data) -> dict[str, dict[str, int]]:
    """The number of examples of each class in each split; empty if the targets are no classes."""
    names = data.spec.class_names
    if not names:
        return {}
    return {
        part: dict(zip(names, torch.bincount(targets_of(split), minlength=len(names)).tolist(), strict=True))
        for part, split in splits(data).items()
    }


def check_splits(data: Data) -> list[Finding]:
    """What shows in the examples themselves."""
    found = check_classes(class_counts(data), data.spec.class_names) if data.spec.class_names else []
    train, test = data.train, data.test
    if isinstance(train, TensorSplit) and isinstance(test, TensorSplit):
        if data.spec.is_image:
            found += _images(train, test)
        elif data.spec.target in ("class", "value") and train.inputs.is_floating_point() and train.inputs.ndim == 2:
            found += [*_constant(data, train.inputs), *_rows(train.inputs, test.inputs)]
    return found


def _images(train: TensorSplit, test: TensorSplit) -> Iterator[Finding]:
    first, second = train.inputs[:MOST_TRAIN], test.inputs[:MOST_TEST]
    pairs = near_pairs(thumbnails(first), thumbnails(second))
    if pairs:
        names = some([f"{i} and {j}" for i, j in pairs])
        compared = f"among the first {len(first):,} for training and {len(second):,} for testing"
        what = f"{counted(len(pairs), 'pair')} of nearly the same images ({compared}), which make the test too easy"
        yield Finding(f"training and test images {names}", what, "evaluate without them")


def _constant(data: Data, inputs: Tensor) -> Iterator[Finding]:
    same = (inputs == inputs[0]).all(0).nonzero().flatten().tolist()
    if same:
        names = some([data.spec.feature_labels[index] for index in same])
        yield Finding(
            f"{'feature' if len(same) == 1 else 'features'} {names}",
            "the same value in all training rows",
            "leave it out",
        )


def _rows(train: Tensor, test: Tensor) -> Iterator[Finding]:
    rows = [tuple(row) for row in rounded(torch.cat([train, test]).double().numpy()).tolist()]
    groups = [group for group in equal_rows(rows) if group[0] < len(train) <= group[-1]]
    if groups:
        names = some([f"{group[0]} and {group[-1] - len(train)}" for group in groups])
        what = "the same or nearly the same numbers, which makes the test too easy"
        yield Finding(f"training and test rows {names} (counted from 0)", what, "remove one of each")
