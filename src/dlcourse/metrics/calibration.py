"""Whether a model is as often right as it is confident: bins of confidence and the expected calibration error.

N is a number of examples, M of bins.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

BINS = 15
"""As many as Guo et al. (2017) use."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Of M bins of equal width from 0 to 1, the number of predictions, their mean confidence and accuracy, `(M,)` each.

    A bin holds confidences above its lower end up to its upper end, the first 0 too; where it is empty, the means are
    0. `error` is the expected calibration error: the mean distance of accuracy from confidence, each bin weighted by
    the share of predictions in it (Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 3).
    """

    counts: Tensor
    confidence: Tensor
    accuracy: Tensor
    error: float

    @classmethod
    def of(cls, confidence: Tensor, is_right: Tensor, bins: int = BINS) -> "Calibration":
        """From each prediction's confidence `(N,)` in [0, 1] and whether it is right `(N,)`."""
        confidence = confidence.double()
        edges = torch.from_numpy(np.linspace(0, 1, bins + 1))[1:-1]
        places = torch.bucketize(confidence, edges)
        counts = torch.bincount(places, minlength=bins)
        some = counts.clamp(min=1)
        mean_confidence = torch.bincount(places, weights=confidence, minlength=bins) / some
        accuracy = torch.bincount(places, weights=is_right.double(), minlength=bins) / some
        gaps = (accuracy - mean_confidence).abs()
        return cls(counts, mean_confidence, accuracy, float((gaps * counts).sum() / len(confidence)))
