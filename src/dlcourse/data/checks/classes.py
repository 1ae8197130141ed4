"""What is odd about how many examples each class has in each split."""

from collections.abc import Iterator, Mapping, Sequence

from dlcourse.data.checks.finding import Finding, some
from dlcourse.text_table import counted

FEW = 10
"""Training examples of a class below which little can be learned of it."""
UNEVEN = 10
"""How many times as large as the smallest class the largest may be before the balance is odd."""

PART = {"train": "training", "val": "validation", "test": "test"}
"""The splits, as messages call them."""

Counts = Mapping[str, Mapping[str, int]]
"""For each split (train, val, test) the number of examples of each class; those with none may be left out."""


def check_classes(counts: Counts, names: Sequence[str]) -> list[Finding]:
    """Classes without examples in a split, with few of them, and classes of very different sizes."""
    train = {name: counts.get("train", {}).get(name, 0) for name in names}
    return [*_absent(counts, names), *_few(train), *_uneven(train)]


def _absent(counts: Counts, names: Sequence[str]) -> Iterator[Finding]:
    for split, of_class in counts.items():
        absent = [name for name in names if not of_class.get(name)]
        if absent:
            result = "cannot be learned" if split == "train" else "is not measured"
            remedy = "add some, or leave the class out with data.classes"
            yield Finding(_named(absent), f"no {PART[split]} examples, so it {result}", remedy)


def _few(train: Mapping[str, int]) -> Iterator[Finding]:
    few = [f"{name} ({count})" for name, count in train.items() if 0 < count < FEW]
    if few and len(few) < len(train):
        yield Finding(_named(few), f"fewer than {FEW} training examples", "add some, or leave the class out")


def _uneven(train: Mapping[str, int]) -> Iterator[Finding]:
    present = {name: count for name, count in train.items() if count}
    if len(present) < 2:
        return
    small, large = min(present, key=lambda name: present[name]), max(present, key=lambda name: present[name])
    if present[large] <= UNEVEN * present[small]:
        return
    share = present[large] / sum(present.values())
    yield Finding(
        "classes",
        f"sizes from {counted(present[small], 'training example')} ({small}) to {present[large]:,} ({large})",
        f"look at recall: always answering {large} is {100 * share:.0f} % accurate",
    )


def _named(classes: Sequence[str]) -> str:
    return f"{'class' if len(classes) == 1 else 'classes'} {some(classes)}"
