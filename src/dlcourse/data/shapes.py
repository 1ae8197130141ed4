"""Shapes: ten colored figures in CIFAR's format, drawn from distance functions, so that they need no network.

A figure is given by the signed distance of a point to its outline, negative inside, in units in which the figure just
fits the unit circle. B is a number of images and P a number of points (pixels); points are pairs (x, y), y downwards.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dlcourse.data import announced
from dlcourse.data.rendered_images import DrawnImages, to_bytes, uniform

SIDE = 32
Distance = Callable[[Tensor], Tensor]  # (B, P, 2) -> (B, P)


def _polygon(corners: Sequence[tuple[float, float]]) -> Distance:
    """The distance to a polygon: that to its nearest edge, with the sign found by counting the edges to one side."""
    starts = torch.tensor(corners)
    edges = starts.roll(-1, dims=0) - starts

    def distance(points: Tensor) -> Tensor:
        nearest = torch.full(points.shape[:-1], math.inf)
        inside = torch.zeros(points.shape[:-1], dtype=torch.bool)
        for start, edge in zip(starts, edges, strict=True):
            away = points - start
            along = ((away @ edge) / (edge @ edge)).clamp(0, 1)
            nearest = nearest.minimum((away - along.unsqueeze(-1) * edge).norm(dim=-1))
            crosses = (away[..., 1] < 0) != (away[..., 1] < edge[1])
            left = away[..., 0] * edge[1] < away[..., 1] * edge[0]
            inside ^= crosses & (left if edge[1] > 0 else ~left)
        return torch.where(inside, -nearest, nearest)

    return distance


def _disc(radius: float, x: float = 0.0, y: float = 0.0) -> Distance:
    return lambda points: (points - torch.tensor([x, y])).norm(dim=-1) - radius


def _union(*parts: Distance) -> Distance:
    return lambda points: torch.stack([part(points) for part in parts]).amin(dim=0)


def _without(whole: Distance, hole: Distance) -> Distance:
    return lambda points: whole(points).maximum(-hole(points))


def _regular(count: int, *radii: float) -> list[tuple[float, float]]:
    """`count` corners evenly spaced round the center from the top on, at these radii in turn."""
    angles = [2 * math.pi * step / count for step in range(count)]
    return [
        (radii[step % len(radii)] * math.sin(angle), -radii[step % len(radii)] * math.cos(angle))
        for step, angle in enumerate(angles)
    ]


_CROSS = [
    *[(-0.3, -0.95), (0.3, -0.95), (0.3, -0.3), (0.95, -0.3), (0.95, 0.3), (0.3, 0.3)],
    *[(0.3, 0.95), (-0.3, 0.95), (-0.3, 0.3), (-0.95, 0.3), (-0.95, -0.3), (-0.3, -0.3)],
]
# A square on its corner, of half diagonal 0.78 about (0, 0.2), and a disc on each of its upper sides.
_HEART = _union(
    _polygon([(0.0, -0.58), (0.78, 0.2), (0.0, 0.98), (-0.78, 0.2)]),
    _disc(0.78 * math.sqrt(0.5), x=0.39, y=-0.19),
    _disc(0.78 * math.sqrt(0.5), x=-0.39, y=-0.19),
)
FIGURES: dict[str, Distance] = {
    "circle": _disc(0.85),
    "square": _polygon([(-0.7, -0.7), (0.7, -0.7), (0.7, 0.7), (-0.7, 0.7)]),
    "triangle": _polygon(_regular(3, 1.0)),
    "star": _polygon(_regular(10, 1.0, 0.42)),
    "cross": _polygon(_CROSS),
    "ring": _without(_disc(0.9), _disc(0.5)),
    "diamond": _polygon(_regular(4, 1.0, 0.55)),
    "pentagon": _polygon(_regular(5, 1.0)),
    "heart": _HEART,
    "crescent": _without(_disc(0.9), _disc(0.75, x=0.5)),
}


@dataclass(frozen=True, kw_only=True)
class Shapes(DrawnImages):
    """32x32 color images of one figure each: circle, square, triangle, star, cross, ring, diamond and three more.

    Place, size, tilt and both colors are random and say nothing about the class. The colors differ by at least 0.3 of
    the full range in each channel, and the figure is lighter as often as it is darker.
    """

    SPECS = (announced.images(3, 32, classes=10),)

    CLASS_NAMES: ClassVar[tuple[str, ...]] = tuple(FIGURES)

    def draw(self, classes: Tensor, generator: torch.Generator) -> Tensor:
        count = len(classes)
        radius = uniform(count, 10, 15, generator).view(-1, 1)  # pixels
        coverage = _coverage(_place(radius, generator), classes, radius)
        ground = torch.rand((count, 3, 1), generator=generator)
        figure = (ground + uniform(3 * count, 0.3, 0.7, generator).view(-1, 3, 1)) % 1
        images = ground + coverage.unsqueeze(1) * (figure - ground)  # (B, 3, P)
        return to_bytes(images.view(-1, 3, SIDE, SIDE), 0.03, generator)


def _place(radius: Tensor, generator: torch.Generator) -> Tensor:
    """The pixels as seen from figures of these radii `(B, 1)`, placed and tilted at random: `(B, P, 2)`."""
    count = len(radius)
    steps = torch.arange(SIDE) + 0.5 - SIDE / 2
    pixels = torch.cartesian_prod(steps, steps).flip(1)  # (P, 2), row by row
    centers = (SIDE / 2 - radius) * (2 * torch.rand((count, 2), generator=generator) - 1)
    tilt = torch.deg2rad(uniform(count, -20, 20, generator))
    cos, sin = tilt.cos(), tilt.sin()
    rotations = torch.stack([cos, -sin, sin, cos], dim=1).view(-1, 2, 2)
    return (pixels - centers.unsqueeze(1)) @ rotations / radius.unsqueeze(1)


def _coverage(points: Tensor, classes: Tensor, radius: Tensor) -> Tensor:
    """The share of every pixel that its figure covers, `(B, P)`: it falls from 1 to 0 within a pixel of the outline."""
    distances = torch.empty(points.shape[:-1])
    for index, figure in enumerate(FIGURES.values()):
        members = classes == index
        distances[members] = figure(points[members])
    return (0.5 - distances * radius).clamp(0, 1)
