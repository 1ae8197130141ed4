"""The loss on a plane through weight space, and in which respects it is no bowl (Li 2018, "Visualizing the Loss Landscape").

G is the number of places along an edge of the plane.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from dlcourse.spec import Batch

Weights = Mapping[str, Tensor]
Draw = Callable[[nn.Module, torch.Generator], Weights]

_BEND = 0.01
"""The curvature that counts as bending down, in units of the largest loss for the length of an edge: rounding is less."""


def normal_direction(model: nn.Module, generator: torch.Generator) -> Weights:
    """Normal numbers as large as a usual first draw, of variance 1 / inputs; vectors (biases, norms) stay as they are."""
    return {
        name: torch.randn(weight.shape, generator=generator) / weight[0].numel() ** 0.5
        if weight.ndim > 1
        else torch.zeros_like(weight)
        for name, weight in model.named_parameters()
    }


def filter_direction(model: nn.Module, generator: torch.Generator) -> Weights:
    """Normal numbers whose every filter, or row of a matrix, is as long as the model's own; vectors stay as they are.

    With them one unit is the same step for networks whose weights differ in size (Li 2018, section 4).
    """
    found = {}
    for name, weight in model.named_parameters():
        noise = torch.randn(weight.shape, generator=generator)
        if weight.ndim < 2:
            found[name] = torch.zeros_like(weight)
            continue
        own, drawn = (each.detach().flatten(1).norm(dim=1).view(-1, *[1] * (each.ndim - 1)) for each in (weight, noise))
        found[name] = noise * own / drawn.clamp(min=torch.finfo(torch.float32).tiny)
    return found


@dataclass(frozen=True, eq=False)
class Plane:
    """The loss `(G, G)` at `places` `(G,)` along two directions; the weights themselves are at 0, 0."""

    places: Tensor
    losses: Tensor

    @property
    def bends_down(self) -> float:
        """The share of places at which the loss bends down along an axis, which that of a convex function does nowhere."""
        bends = torch.cat([self.losses.diff(n=2, dim=axis).flatten() for axis in (0, 1)])
        step = 1 / (len(self.places) - 1)
        return float((bends < -_BEND * step**2 * self.losses.abs().max()).float().mean())

    @property
    def minima(self) -> Tensor:
        """The places `(n, 2)` inside that are lower than the eight around them."""
        inner = self.losses[1:-1, 1:-1]
        size = len(self.losses) - 2
        around = [
            self.losses[row : row + size, column : column + size]
            for row in range(3)
            for column in range(3)
            if (row, column) != (1, 1)
        ]
        where = (inner < torch.stack(around).amin(0)).nonzero() + 1  # (n, 2)
        return self.places[where]

    def cut(self, share: float) -> float:
        """The loss that this share of the places are below."""
        return float(self.losses.quantile(share))


@torch.no_grad()
def plane(model: nn.Module, batch: Batch, draw: Draw, reach: float, side: int, seed: int = 0) -> Plane:
    """The cross-entropy of the batch on a square around the model's weights, along two random directions."""
    generator = torch.Generator().manual_seed(seed)
    first, second = draw(model, generator), draw(model, generator)
    weights = {name: weight.detach() for name, weight in model.named_parameters()}
    places = torch.linspace(-reach, reach, side)
    losses = torch.empty(side, side)
    for row, a in enumerate(places):
        there = _moved(weights, first, a)
        for column, b in enumerate(places):
            losses[row, column] = _loss(model, _moved(there, second, b), batch)
    return Plane(places, losses)


@torch.no_grad()
def growth(model: nn.Module, batch: Batch, draw: Draw, near: float, far: float, count: int = 8) -> float:
    """With which power of the distance the loss grows between two distances, in the mean over `count` directions.

    The outputs of k affine layers with ReLU grow with the k-th power of a factor before all their weights, and the
    cross-entropy as its outputs do.
    """
    generator = torch.Generator().manual_seed(0)
    weights = {name: weight.detach() for name, weight in model.named_parameters()}
    powers = []
    for _ in range(count):
        direction = draw(model, generator)
        ends = [_loss(model, _moved(weights, direction, torch.tensor(distance)), batch) for distance in (near, far)]
        powers.append(float((ends[1] / ends[0]).log()) / float(torch.tensor(far / near).log()))
    return sum(powers) / count


def _moved(weights: Weights, direction: Weights, distance: Tensor) -> dict[str, Tensor]:
    return {name: weight + distance * direction[name] for name, weight in weights.items()}


def _loss(model: nn.Module, weights: dict[str, Tensor], batch: Batch) -> Tensor:
    return functional.cross_entropy(functional_call(model, weights, batch.inputs), batch.targets)
