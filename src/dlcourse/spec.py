"""The words everyone shares: what a data set announces, a batch, a split, and the report of an evaluation.

N is a number of examples, B a batch size, K a number of classes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from dlcourse.plots import Picture


@dataclass(frozen=True)
class DataSpec:
    """What a data set announces, so that no config has to say it again.

    `input_shape` is the shape of one example as a model sees it, `(channels, height, width)` for images and `(features,)`
    for tables. A `class` target is an index into `class_names`; a `value` target is a vector of `num_outputs` numbers.
    """

    name: str
    input_shape: tuple[int, ...]
    num_outputs: int
    target: Literal["class", "value"] = "class"
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()

    @property
    def is_image(self) -> bool:
        """Whether one example is `(channels, height, width)`."""
        return len(self.input_shape) == 3

    @property
    def feature_labels(self) -> tuple[str, ...]:
        """A name for each feature: its own, or else `x1`, `x2`, ..."""
        return self.feature_names or tuple(f"x{index + 1}" for index in range(self.num_features))

    @property
    def num_features(self) -> int:
        """The numbers in one example, flattened."""
        size = 1
        for extent in self.input_shape:
            size *= extent
        return size


class Batch(NamedTuple):
    """Inputs `(B, *input_shape)` as float32, and targets: `(B,)` int64 classes or `(B, num_outputs)` float32 values."""

    inputs: "Tensor"
    targets: "Tensor"


class Split(Protocol):
    """One part of a data set: training, validation or test."""

    def __len__(self) -> int:
        """The number of examples N."""

    def batches(self, batch_size: int, *, epoch: int | None = None) -> Iterator[Batch]:
        """Every example once. With an epoch, in the order and augmentation of that epoch; else in order and plain."""

    def to(self, device: "torch.device") -> "Split":
        """The same split with its tensors on `device`."""

    def pictures(self, indices: "Tensor") -> "Tensor | None":
        """The chosen examples as `(n, channels, height, width)` in [0, 1], where they are images."""


@dataclass
class Data:
    """A data set ready for training: validation is carved from the training set, the test set is read once at the end."""

    spec: DataSpec
    train: Split
    val: Split
    test: Split

    def to(self, device: "torch.device") -> "Data":
        return Data(self.spec, self.train.to(device), self.val.to(device), self.test.to(device))


@dataclass
class Report:
    """What an evaluation found.

    `scalars` are numbers to log. A full report also has a `headline` and further `highlights` for the console, `lines`
    for report.txt, `details` for report.json, `tables` (rows with a header) and `pictures`, each by name.
    """

    scalars: dict[str, float]
    headline: str = ""
    highlights: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    details: dict[str, object] = field(default_factory=dict)
    tables: dict[str, list[list[object]]] = field(default_factory=dict)
    pictures: dict[str, "Picture"] = field(default_factory=dict)
