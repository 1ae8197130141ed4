"""Examples that are the same or nearly the same: images by their small gray versions, rows of numbers by rounding.

N is a number of examples, P of pixels.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

SIDE = 16
"""Images are compared at this many pixels a side."""
ALIKE = 0.997
"""Two images are nearly the same if their small versions correlate more than this.

Of 2,000 test images of MNIST or CIFAR-10 no one does with any of 20,000 for training, and a JPEG of an image, the image at
another size, or a brighter one all do.
"""
_FLAT = 4.0  # gray levels: images with less contrast are all alike
_DIGITS = 4
_CHUNK = 256


def thumbnails(images: Tensor) -> Tensor:
    """Small gray versions `(N, SIDE * SIDE)` of images `(N, C, H, W)` of any range; smaller images keep their size."""
    gray = images.float().mean(1, keepdim=True)  # (N, 1, H, W)
    sides = tuple(min(side, SIDE) for side in gray.shape[2:])
    if sides != tuple(gray.shape[2:]):
        gray = functional.interpolate(gray, size=sides, mode="area")
    return gray.flatten(1)


def near_pairs(first: Tensor, second: Tensor) -> list[tuple[int, int]]:
    """For each of the `second` `(M, P)` that is nearly the same as one of the `first` `(N, P)`: their indices."""
    if not len(first) or not len(second):
        return []
    known, contrast = _standardized(first), _standardized(second)
    pairs = []
    for start in range(0, len(second), _CHUNK):
        alike, index = (contrast[start : start + _CHUNK] @ known.T).max(1)  # (CHUNK,)
        pairs += [(int(index[place]), start + place) for place in (alike > ALIKE).nonzero().flatten().tolist()]
    return pairs


def near_pairs_within(thumbs: Tensor) -> list[tuple[int, int]]:
    """Pairs of nearly the same examples among `(N, P)`, each example with the first one that it is like."""
    standard, pairs = _standardized(thumbs), []
    for start in range(0, len(standard), _CHUNK):
        chunk = standard[start : start + _CHUNK]
        alike = (chunk @ standard[: start + len(chunk)].T) > ALIKE
        alike &= torch.arange(start + len(chunk)) < torch.arange(start, start + len(chunk))[:, None]  # earlier ones
        for place in alike.any(1).nonzero().flatten().tolist():
            pairs.append((int(alike[place].int().argmax()), start + place))
    return pairs


def _standardized(thumbs: Tensor) -> Tensor:
    """Each row with mean 0 and length 1, so that products are correlations; 0 for images without contrast."""
    centered = thumbs.float() - thumbs.float().mean(1, keepdim=True)
    has_contrast = centered.square().mean(1, keepdim=True).sqrt() >= _FLAT
    return functional.normalize(centered) * has_contrast


def rounded(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same numbers, each rounded to four significant digits."""
    with np.errstate(divide="ignore"):
        exponents = np.where(numbers == 0, 0, np.floor(np.log10(np.abs(numbers))))
    steps = 10.0 ** (exponents - _DIGITS + 1)
    result: NDArray[np.float64] = np.round(numbers / steps) * steps
    return result


def equal_rows(rows: Sequence[tuple[object, ...]]) -> list[list[int]]:
    """The indices of rows that are equal, a list for each kind of row that there is more than once, in order."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for index, row in enumerate(rows):
        groups.setdefault(row, []).append(index)
    return [indices for indices in groups.values() if len(indices) > 1]
