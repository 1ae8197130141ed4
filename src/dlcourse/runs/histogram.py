"""A histogram of a tensor's numbers, as it is written to metrics.jsonl and shown in TensorBoard."""

from dataclasses import dataclass

import torch
from torch import Tensor

_BINS = 40


@dataclass(frozen=True)
class Histogram:
    """How many numbers are in each of the bins of equal width from `min` to `max`, with their sum and sum of squares.

    Numbers that are not finite are left out. All are 0 if there are none.
    """

    min: float
    max: float
    sum: float
    sum_squares: float
    counts: list[int]

    @classmethod
    def of(cls, tensor: Tensor) -> "Histogram":
        """That of all numbers of a tensor; the bins are counted on the CPU, which is deterministic."""
        values = tensor.detach().to("cpu", torch.float64).flatten()
        values = values[values.isfinite()]
        if not len(values):
            return cls(0.0, 0.0, 0.0, 0.0, [0])
        low, high = values.min().item(), values.max().item()
        counts = [len(values)] if low == high else torch.histc(values, _BINS, low, high).long().tolist()
        return cls(low, high, values.sum().item(), values.square().sum().item(), counts)

    @property
    def limits(self) -> list[float]:
        """The right end of each bin."""
        width = (self.max - self.min) / len(self.counts)
        return [self.min + width * (place + 1) for place in range(len(self.counts) - 1)] + [self.max]
