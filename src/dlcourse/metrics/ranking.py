"""How well scores rank positive examples above negative ones: ROC and precision-recall curves, and the areas under them.

N is a number of examples, K of classes, T of different scores, each of which is a threshold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

_MOST_POINTS = 2000
_GRID = 1001

Curve = tuple[Tensor, Tensor]
"""Points of a curve, x ascending, float64."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """The counts `(T,)` of positive and of negative examples at or above each threshold, the highest first, float64.

    Examples of the same score are above a threshold together, so that their order does not matter (Fawcett 2006).
    """

    hits: Tensor
    false_alarms: Tensor

    @classmethod
    def of(cls, is_positive: Tensor, scores: Tensor) -> "Ranking | None":
        """From `(N,)` booleans and scores; None if all are positive or none is, as nothing can be ranked then."""
        positives = int(is_positive.sum())
        if positives in (0, len(scores)):
            return None
        scores, order = scores.sort(descending=True)
        is_last = torch.ones(len(scores), dtype=torch.bool)  # of those with the same score
        is_last[:-1] = scores[1:] != scores[:-1]
        hits = is_positive[order].double().cumsum(0)[is_last]
        above = torch.arange(1, len(scores) + 1, dtype=torch.float64)[is_last]
        return cls(hits, above - hits)

    @property
    def roc(self) -> Curve:
        """False and true positive rate `(T + 1,)`, from (0, 0) to (1, 1)."""
        start = torch.zeros(1, dtype=torch.float64)
        false, true = (torch.cat([start, counts / counts[-1]]) for counts in (self.false_alarms, self.hits))
        return false, true

    @property
    def precision_recall(self) -> Curve:
        """Recall and precision `(T + 1,)`, from recall 0, where precision is 1 by convention, to recall 1."""
        recall, precision = self.hits / self.hits[-1], self.hits / (self.hits + self.false_alarms)
        return torch.cat([recall.new_zeros(1), recall]), torch.cat([precision.new_ones(1), precision])

    @cached_property
    def roc_auc(self) -> float:
        """The area under the ROC curve: the probability that a positive example has the higher score, a tie for half."""
        false, true = self.roc
        return float(torch.trapezoid(true, false))

    @cached_property
    def average_precision(self) -> float:
        """The mean precision over the positive examples, each at its own score: the area under the steps of the curve."""
        recall, precision = self.precision_recall
        return float((recall.diff() * precision[1:]).sum())


def one_against_rest(probabilities: Tensor, targets: Tensor) -> list[Ranking | None]:
    """Each class ranked by its probability, from `(N, K)` and classes `(N,)`; None for a class without examples.

    Of two classes only the second is ranked: the first would be its mirror image.
    """
    num_classes = probabilities.shape[1]
    ranked = [1] if num_classes == 2 else range(num_classes)
    return [Ranking.of(targets == index, probabilities[:, index]) for index in ranked]


def mean_roc(rankings: Sequence[Ranking]) -> Curve:
    """The mean of the ROC curves at each of 1,001 false positive rates, from (0, 0): under it is the mean of the areas."""
    rates = torch.linspace(0, 1, _GRID, dtype=torch.float64)
    total = torch.zeros_like(rates)
    for ranking in rankings:
        false, true = ranking.roc
        left = torch.searchsorted(false, rates, right=True) - 1  # of points at one rate the last, which is the highest
        right = (left + 1).clamp(max=len(false) - 1)
        width = (false[right] - false[left]).clamp(min=torch.finfo(torch.float64).tiny)
        share = ((rates - false[left]) / width).clamp(max=1)
        total += true[left] + share * (true[right] - true[left])
    start = torch.zeros(1, dtype=torch.float64)
    return torch.cat([start, rates]), torch.cat([start, total / len(rankings)])


def mean_precision_recall(rankings: Sequence[Ranking]) -> Curve:
    """The mean of the precision-recall curves at each of 1,001 recalls, of each the step that the recall is on."""
    recalls = torch.linspace(0, 1, _GRID, dtype=torch.float64)
    total = torch.zeros_like(recalls)
    for ranking in rankings:
        recall, precision = (points[1:] for points in ranking.precision_recall)
        total += precision[torch.searchsorted(recall, recalls).clamp(max=len(recall) - 1)]
    return recalls, total / len(rankings)


def thinned(curve: Curve, most: int = _MOST_POINTS) -> Curve:
    """At most so many of a curve's points, the first and the last among them, at about equal distances along it."""
    x, y = curve
    if len(x) <= most:
        return curve
    distances = torch.cat([x.new_zeros(1), (x.diff().abs() + y.diff().abs()).cumsum(0)])
    wanted = torch.linspace(0, float(distances[-1]), most, dtype=torch.float64)
    chosen = torch.searchsorted(distances, wanted).clamp(max=len(x) - 1)
    chosen[-1] = len(x) - 1
    chosen = chosen.unique()
    return x[chosen], y[chosen]
