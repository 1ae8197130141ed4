"""The words everyone shares: what a data set announces, a batch and a split.

N is a number of examples, B a batch size, K a number of classes, T a number of steps in a sequence.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from dlcourse.text_table import counted

if TYPE_CHECKING:
    import torch
    from torch import Tensor


Target = Literal["class", "value", "next", "sequence", "preference", "game", "match"]


class TargetKind(NamedTuple):
    """How targets of a kind are called, the task that goes with them, and what a data set has of them, in words."""

    words: str
    task: str
    described: "Callable[[DataSpec], str]"


TARGETS: dict[Target, TargetKind] = {
    "class": TargetKind("classes for targets", "classification", lambda spec: f"{spec.num_outputs} classes"),
    "value": TargetKind("numbers for targets", "regression", lambda spec: counted(spec.num_outputs, "target value")),
    "next": TargetKind("text to continue", "language", lambda spec: "the next token"),
    "sequence": TargetKind(
        "sequences for targets", "seq2seq", lambda spec: f"sequences of up to {counted(spec.output_length, 'token')}"
    ),
    "preference": TargetKind("preferences between texts", "preference", lambda spec: "which of two is preferred"),
    "game": TargetKind("starts of a game", "q_learning", lambda spec: f"{spec.num_outputs} moves"),
    "match": TargetKind("starts of a game for two", "self_play", lambda spec: f"{spec.num_outputs} moves, two sides"),
}


@dataclass(frozen=True)
class DataSpec:
    """What a data set announces, so that no config has to say it again.

    `input_shape` is the shape of one example as a model sees it: `(channels, height, width)` for images, `(features,)`
    for tables, `(T, features)` for sequences of numbers, `(T,)` for sequences of tokens, which have a `vocabulary`.

    A `class` target is an index into `class_names`; a `value` target is a vector of `num_outputs` numbers; `next` is the
    token after each of the inputs; a `sequence` target is at most `output_length` tokens that end with END, then PAD. For a
    `preference` the inputs are two texts of the same length, one behind the other, and the target says which is preferred.
    The start of a `game`, or of a `match` of two sides, has no target: `num_outputs` are the moves to choose from in its
    `environment`.
    """

    name: str
    input_shape: tuple[int, ...]
    num_outputs: int
    target: Target = "class"
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()
    """The symbol of each token, if inputs are tokens."""
    tokenizer: str = ""
    """How text becomes tokens: `characters`, `words`, `running words`, or the JSON of a byte-pair encoding.

    See dlcourse.tokens.
    """
    word_classes: tuple[str, ...] = ()
    """The class of each word of the vocabulary, if a grammar made the text, such as "animal"; empty for a word of none."""
    analogies: tuple[str, ...] = ()
    """Those of a grammar, four words each: the first is to the second as the third to the fourth."""
    taste: str = ""
    """The symbol that the imagined labeller of preferences likes."""
    output_length: int = 0
    pixel_mean: tuple[float, ...] = ()
    pixel_std: tuple[float, ...] = ()
    """What images were normalized with, per channel, in units of white."""
    centers: tuple[tuple[float, ...], ...] = ()
    """The modes of a density that is a mixture of round Gaussians, each with the standard deviation `spread`."""
    spread: float = 0.0
    environment: str = ""
    """The game whose starts the examples are, by its name in dlcourse.environments."""

    @property
    def target_kind(self) -> TargetKind:
        """What is known of targets of its kind."""
        return TARGETS[self.target]

    @property
    def is_image(self) -> bool:
        """Whether one example is `(channels, height, width)`."""
        return len(self.input_shape) == 3

    @property
    def is_points(self) -> bool:
        """Whether one example is a point in the plane."""
        return self.input_shape == (2,) and not self.vocabulary

    @property
    def is_tokens(self) -> bool:
        """Whether one example is `(T,)` whole numbers below the size of the vocabulary."""
        return bool(self.vocabulary)

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

    def zeros(self, count: int, device: "torch.device | str" = "cpu") -> "Tensor":
        """That many examples of zeros, of the shape and type that a model gets."""
        import torch

        dtype = torch.int64 if self.is_tokens else torch.float32
        return torch.zeros(count, *self.input_shape, dtype=dtype, device=device)

    def to_pixels(self, inputs: "Tensor") -> "Tensor":
        """Images in [0, 1] from normalized ones, `(B, channels, height, width)` both."""
        mean, std = (inputs.new_tensor(values).view(-1, 1, 1) for values in (self.pixel_mean, self.pixel_std))
        return inputs * std + mean

    def from_pixels(self, pixels: "Tensor") -> "Tensor":
        """Images normalized as the data set's are, from images in [0, 1]."""
        mean, std = (pixels.new_tensor(values).view(-1, 1, 1) for values in (self.pixel_mean, self.pixel_std))
        return (pixels - mean) / std


def described(spec: DataSpec) -> str:
    """The shape of an example and the number of targets, in words: `1x28x28   10 classes`."""
    if spec.is_tokens:
        shape = f"{counted(spec.input_shape[0], 'token')} of {len(spec.vocabulary):,}"
    elif len(spec.input_shape) > 1:
        shape = "x".join(map(str, spec.input_shape))
    else:
        shape = counted(spec.num_features, "feature")
    return f"{shape}   {spec.target_kind.described(spec)}"


class Batch(NamedTuple):
    """Inputs `(B, *input_shape)`, int64 tokens or float32 numbers, and targets.

    Targets are `(B,)` int64 classes or preferences (0 or 1), `(B, num_outputs)` float32 values, `(B, T)` or
    `(B, output_length)` int64 tokens, and for starts of games `(B, 0)`: nothing.
    Inputs of a feature map that standardizes, and values that a task standardizes, may be float64.
    """

    inputs: "Tensor"
    targets: "Tensor"


class Split(Protocol):
    """One part of a data set: training, validation or test."""

    def __len__(self) -> int:
        """The number of examples N."""

    def batches(self, batch_size: int, *, epoch: int | None = None, start: int = 0) -> Iterator[Batch]:
        """Every example once. With an epoch, in the order and augmentation of that epoch; else in order and plain.

        `start` leaves out that many batches at the beginning; those that follow are the same as without it.
        """

    def fingerprint(self) -> str:
        """A checksum over all examples, which tells whether a resumed run sees the same ones."""

    def to(self, device: "torch.device") -> "Split":
        """The same split with its tensors on `device`."""

    def pictures(self, indices: "Tensor") -> "Tensor | None":
        """The chosen examples as `(n, channels, height, width)` in [0, 1], if they are images."""


@dataclass
class Data:
    """A data set ready for training: validation is carved from the training set, the test set is read once at the end."""

    spec: DataSpec
    train: Split
    val: Split
    test: Split
    notes: tuple[str, ...] = ()
    """What the user should know about how the data were read, a line each: what was left out, what became of a column."""

    def to(self, device: "torch.device") -> "Data":
        return Data(self.spec, self.train.to(device), self.val.to(device), self.test.to(device), self.notes)
