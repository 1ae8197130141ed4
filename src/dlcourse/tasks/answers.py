"""What a trained model answers for new inputs, and the tasks that can say it.

N is a number of inputs, K of classes or tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from torch import Tensor

from dlcourse.terminal import escaped

_SHOWN = 3


@dataclass(frozen=True, eq=False)
class Answer:
    """What the model says to one input; what its kind does not say is empty.

    `ranked` are classes or next tokens with their probabilities, the most probable first; `values` are numbers by name,
    in the units of the targets; `text` is an output sequence, `image` a reconstruction `(channels, height, width)` in
    [0, 1].
    """

    ranked: tuple[tuple[str, float], ...] = ()
    values: dict[str, float] = field(default_factory=dict)
    text: str = ""
    image: Tensor | None = None

    @property
    def label(self) -> str:
        """The most probable class or token; empty if the model ranks none."""
        return self.ranked[0][0] if self.ranked else ""

    @property
    def probability(self) -> float | None:
        """That of the label."""
        return self.ranked[0][1] if self.ranked else None

    def __repr__(self) -> str:
        return f"Answer({shown(self)})"


def shown(answer: Answer) -> str:
    """An answer in a line: `7 98.2 %, 1 1.1 %, 9 0.4 %`, `price=3.142` or the output sequence."""
    if answer.ranked:
        few = [f"{name if name.strip() else repr(name)} {100 * share:.1f} %" for name, share in answer.ranked[:_SHOWN]]
        words = ", ".join(few + ["..."] * (len(answer.ranked) > _SHOWN))
    elif answer.values:
        words = ", ".join(f"{name}={value:.6g}" for name, value in answer.values.items())
    else:
        words = repr(answer.text)
    return escaped(words, one_line=True)


@runtime_checkable
class Answering(Protocol):
    """A task whose trained model answers new inputs."""

    def answer(self, inputs: Tensor) -> list[Answer]:
        """An answer for each of the inputs, which are as the data set gives them, on the task's device."""


def reconstructions(inputs: Tensor, outputs: Tensor) -> list[Answer]:
    """An answer for each reconstruction `(N, ...)`: its mean squared error, and itself if it is an image."""
    errors = (outputs - inputs).square().flatten(1).mean(1).tolist()
    images = outputs.cpu().clamp(0, 1) if outputs.ndim == 4 else [None] * len(outputs)
    return [Answer(values={"mse": error}, image=image) for error, image in zip(errors, images, strict=True)]


def rank(probabilities: Tensor, names: Sequence[str]) -> list[Answer]:
    """An answer for each row of probabilities `(N, K)` of the K names."""
    values, places = probabilities.cpu().sort(dim=1, descending=True, stable=True)
    return [
        Answer(tuple((names[place], value) for place, value in zip(*row, strict=True)))
        for row in zip(places.tolist(), values.tolist(), strict=True)
    ]
