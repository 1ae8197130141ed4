"""Do the targets go with the inputs? One batch cannot tell, as a network memorizes shuffled labels, too.

N is a number of examples, F of features, O of numbers to predict.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from dlcourse.data.split import seeded_generator
from dlcourse.spec import Batch, DataSpec

_SIDE = 16
_PERMUTATIONS = 200
_DEVIATIONS = 4.0
"""Standard deviations from chance beyond which something is not chance."""


@dataclass(frozen=True)
class Agreement:
    """How well something agrees with targets, what chance gives, and the standard deviation of that."""

    value: float
    chance: float
    deviation: float

    @property
    def is_chance(self) -> bool:
        """Whether it may be chance: bits of a parity are as good a sign of their targets if they never agree."""
        return abs(self.value - self.chance) <= _DEVIATIONS * self.deviation

    @property
    def is_better(self) -> bool:
        """Whether it is better than chance."""
        return self.value > self.chance + _DEVIATIONS * self.deviation


def of_neighbors(batch: Batch, spec: DataSpec) -> Agreement:
    """How often the nearest neighbor of an example has its class, or, of numbers, how they correlate.

    Chance is that of the same targets in random order. No model is trained for it.
    """
    nearest = _nearest(_features(batch.inputs, spec))
    generator = seeded_generator("permutations")
    orders = [torch.randperm(len(nearest), generator=generator) for _ in range(_PERMUTATIONS)]
    targets = batch.targets.cpu()
    by_chance = torch.tensor([agreement(shuffled[nearest], shuffled) for shuffled in (targets[o] for o in orders)])
    return Agreement(agreement(targets[nearest], targets), float(by_chance.mean()), float(by_chance.std()))


def of_predictions(predicted: Tensor, targets: Tensor) -> Agreement:
    """How often predicted classes `(N,)` are right, or how predicted numbers `(N, O)` correlate with the true ones.

    Chance is to know the most frequent class, or nothing.
    """
    count = len(targets)
    if targets.ndim > 1:
        return Agreement(agreement(predicted, targets), 0.0, count**-0.5)
    most = float(targets.bincount().max()) / count
    return Agreement(agreement(predicted, targets), most, (most * (1 - most) / count) ** 0.5)


def agreement(first: Tensor, second: Tensor) -> float:
    """The share of equal classes `(N,)`, or the correlation of numbers `(N, O)` about the mean of each column."""
    if first.ndim == 1:
        return float((first == second).double().mean())
    x, y = (numbers.double() - numbers.double().mean(0) for numbers in (first, second))
    scale = (x.square().sum() * y.square().sum()).sqrt()
    return float((x * y).sum() / scale) if scale else 0.0


def _features(inputs: Tensor, spec: DataSpec) -> Tensor:
    """Numbers `(N, F)` of which neighbors have similar ones: standardized features, small images, tokens one by one."""
    inputs = inputs.cpu()
    if spec.is_tokens:
        return functional.one_hot(inputs, len(spec.vocabulary)).flatten(1).float()
    if spec.is_image and max(inputs.shape[-2:]) > _SIDE:
        inputs = functional.adaptive_avg_pool2d(inputs.float(), _SIDE)
    flat = inputs.flatten(1).double()  # (N, F)
    return (flat - flat.mean(0)) / flat.std(0).clamp(min=1e-12)


def _nearest(features: Tensor) -> Tensor:
    """For each example the number of its nearest neighbor, `(N,)`."""
    distances = torch.cdist(features, features)
    return distances.fill_diagonal_(torch.inf).argmin(1)
