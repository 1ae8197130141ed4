"""What word vectors know: whether a word's nearest neighbor is of its class, and whether analogies hold.

V is the number of words, E the size of a vector.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def cosines(vectors: Tensor) -> Tensor:
    """The cosines `(V, V)` of the angles between vectors `(V, E)`."""
    unit = functional.normalize(vectors.float(), dim=1)
    return unit @ unit.T


def nearest(vectors: Tensor, count: int) -> Tensor:
    """The words `(V, count)` nearest to each of the vectors `(V, E)` by the cosine, itself left out."""
    return cosines(vectors).fill_diagonal_(-torch.inf).topk(min(count, len(vectors) - 1)).indices


def share_with_neighbor_of_class(vectors: Tensor, classes: Sequence[str]) -> float:
    """The share of the words with a class whose nearest neighbor is of the same one; a word without is never that."""
    neighbors = nearest(vectors, 1)[:, 0].tolist()
    pairs = [(label, classes[neighbor]) for label, neighbor in zip(classes, neighbors, strict=True) if label]
    return sum(label == other for label, other in pairs) / len(pairs)


def complete(vectors: Tensor, first: Tensor, second: Tensor, third: Tensor) -> Tensor:
    """The fourth word `(n,)` of each analogy, nearest to second - first + third (3CosAdd, Mikolov 2013)."""
    unit = functional.normalize(vectors.float(), dim=1)
    scores = (unit[second] - unit[first] + unit[third]) @ unit.T  # (n, V)
    for given in (first, second, third):
        scores.scatter_(1, given[:, None], -torch.inf)
    return scores.argmax(1)
