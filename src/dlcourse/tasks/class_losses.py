"""The losses of classification: what a model's outputs mean under each, and what they cost.

N is a number of examples, K of classes; a binary model has one output, for the second of two classes.
"""

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

ClassLoss = Literal["cross_entropy", "mse"]


class LossOfClasses(ABC):
    """Abstract: outputs `(N, K)`, or `(N, 1)` if binary, and classes `(N,)`."""

    threshold: float
    """A binary output above this speaks for the second class."""
    quantity: str
    """What an output is called."""
    binary_quantity: str

    @abstractmethod
    def mean(self, outputs: Tensor, classes: Tensor, smoothing: float) -> Tensor:
        """The mean loss, with a share `smoothing` of each target spread over all classes."""

    @abstractmethod
    def probabilities(self, outputs: Tensor) -> Tensor:
        """Of each class, `(N, K)`."""


class CrossEntropy(LossOfClasses):
    """Outputs are logits: softmax and cross-entropy, of one logit sigmoid and binary cross-entropy."""

    threshold = 0.0
    quantity, binary_quantity = "logit", "log-odds"

    def mean(self, outputs: Tensor, classes: Tensor, smoothing: float) -> Tensor:
        if outputs.shape[1] > 1:
            return functional.cross_entropy(outputs, classes, label_smoothing=smoothing)
        return functional.binary_cross_entropy_with_logits(outputs, class_targets(outputs, classes, smoothing))

    def probabilities(self, outputs: Tensor) -> Tensor:
        return outputs.softmax(1) if outputs.shape[1] > 1 else _both(outputs.sigmoid())


class SquaredError(LossOfClasses):
    """Outputs are estimates of the probabilities themselves: squared error from 0 and 1 (Brier 1950).

    Its minimum is the true probability, but no output has to be one: what is reported are the nearest numbers that are,
    whose order, and whose largest, is that of the outputs.
    """

    threshold = 0.5
    quantity, binary_quantity = "output", "output"

    def mean(self, outputs: Tensor, classes: Tensor, smoothing: float) -> Tensor:
        return functional.mse_loss(outputs, class_targets(outputs, classes, smoothing))

    def probabilities(self, outputs: Tensor) -> Tensor:
        return nearest_probabilities(outputs) if outputs.shape[1] > 1 else _both(outputs.clamp(0, 1))


CLASS_LOSSES: dict[ClassLoss, LossOfClasses] = {"cross_entropy": CrossEntropy(), "mse": SquaredError()}


def class_targets(outputs: Tensor, classes: Tensor, smoothing: float = 0.0) -> Tensor:
    """The classes `(N,)` as 0 and 1, smoothed, of the shape and type of the outputs `(N, K)` or `(N, 1)`."""
    width = outputs.shape[1]
    hot = classes[:, None] if width == 1 else functional.one_hot(classes, width)
    return hot.to(outputs.dtype) * (1 - smoothing) + smoothing / max(width, 2)


def nearest_probabilities(outputs: Tensor) -> Tensor:
    """The point of the probability simplex nearest to each output `(N, K)`: max(output - t, 0) (Duchi et al. 2008)."""
    falling = outputs.sort(1, descending=True).values
    excess = falling.cumsum(1) - 1  # (N, K), what the first k entries have too much of
    ranks = torch.arange(1, outputs.shape[1] + 1, device=outputs.device, dtype=outputs.dtype)
    kept = (falling * ranks > excess).sum(1, keepdim=True)  # (N, 1), entries that stay above 0
    return (outputs - excess.gather(1, kept - 1) / kept).clamp(min=0)


def _both(second: Tensor) -> Tensor:
    """`(N, 2)` from the probability `(N, 1)` of the second class."""
    return torch.cat([1 - second, second], dim=1)
