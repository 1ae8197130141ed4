"""Data sets drawn from formulas: lines, curves and clouds of points, for which the right answer is known."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dlcourse.config.options import NonNegative, NonNegativeInt, Positive, Range
from dlcourse.data import announced
from dlcourse.data.dataset import ClassSource, Source, Tables, TableSource

Size = Annotated[int, Range(ge=20)]
FewClasses = Annotated[int, Range(ge=2, le=10)]
Array = NDArray[np.float64]
Points = tuple[Array, NDArray[np.int64]]


@dataclass(frozen=True, kw_only=True)
class _NoisyFunction(TableSource, Source):
    """Pairs of x, uniform in [-1, 1], and `mean(x)` plus normal noise.

    `size` counts training and test examples together; `noise` is a standard deviation in units of y; `seed` picks the
    draw, and the run's seed does not change it.
    """

    SPECS = (announced.numbers(1),)

    size: Size = 1000
    noise: NonNegative = 0.1
    seed: NonNegativeInt = 0

    def load(self) -> Tables:
        random = _random(self.seed)
        x = random.uniform(-1, 1, (self.size, 1))
        y = self.mean(x) + random.normal(0, self.noise, x.shape)
        return self.divide(_float32(x), _float32(y), feature_names=("x",))

    @abstractmethod
    def mean(self, x: Array) -> Array:
        """The value at x without noise, `(N, 1) -> (N, 1)`."""


@dataclass(frozen=True, kw_only=True)
class Line(_NoisyFunction):
    """A straight line y = slope x + intercept with noise: linear regression recovers both numbers."""

    slope: float = 2.0
    intercept: float = 1.0

    def mean(self, x: Array) -> Array:
        return self.slope * x + self.intercept


@dataclass(frozen=True, kw_only=True)
class Curve(_NoisyFunction):
    """One period of a sine, y = sin(pi x), with noise: a line underfits, a small network does not.

    Beside the noise, the best line leaves a mean squared error of 1/2 - 3/pi^2 = 0.196, and the best cubic 0.00439, which is
    7 (1/pi - 15/pi^3)^2 less.
    """

    def mean(self, x: Array) -> Array:
        return np.sin(np.pi * x)


@dataclass(frozen=True, kw_only=True)
class _PointClouds(TableSource, ClassSource):
    """Points (x1, x2) of several classes, equally many of each to within one.

    `size` counts training and test examples together; `noise` is the standard deviation of a point about its place, in
    each coordinate; `seed` picks the draw, and the run's seed does not change it.
    """

    SPECS = (announced.numbers(2, classes=2),)

    size: Size = 1000
    noise: NonNegative = 0.1
    seed: NonNegativeInt = 0

    def load(self) -> Tables:
        points, classes = self.draw(_random(self.seed))
        return self.divide(_float32(points), torch.from_numpy(classes), self.class_names(), ("x1", "x2"))

    @abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """A name for every class that `draw` gives."""

    @abstractmethod
    def draw(self, random: np.random.RandomState) -> Points:
        """All points `(size, 2)` and their classes `(size,)`."""


@dataclass(frozen=True, kw_only=True)
class Blobs(_PointClouds):
    """One round cloud of points for each class, their centers evenly spaced on a circle of radius 1."""

    SPECS = (announced.numbers(2, classes=3),)

    noise: NonNegative = 0.3
    num_classes: FewClasses = 3

    def class_names(self) -> tuple[str, ...]:
        return _numbered(self.num_classes)

    def draw(self, random: np.random.RandomState) -> Points:
        from sklearn.datasets import make_blobs

        angles = 2 * np.pi * np.arange(self.num_classes) / self.num_classes
        centers = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        points, classes = make_blobs(self.size, centers=centers, cluster_std=self.noise, random_state=random)
        return points, classes


@dataclass(frozen=True, kw_only=True)
class Moons(_PointClouds):
    """Two half circles that reach into each other: no straight line parts them."""

    def class_names(self) -> tuple[str, ...]:
        return ("upper", "lower")

    def draw(self, random: np.random.RandomState) -> Points:
        from sklearn.datasets import make_moons

        points, classes = make_moons(self.size, noise=self.noise, random_state=random)
        return points, classes


@dataclass(frozen=True, kw_only=True)
class Circles(_PointClouds):
    """A circle of radius 1/2 inside one of radius 1: the classes share their mean, so a line is no better than chance."""

    def class_names(self) -> tuple[str, ...]:
        return ("outer", "inner")

    def draw(self, random: np.random.RandomState) -> Points:
        from sklearn.datasets import make_circles

        points, classes = make_circles(self.size, factor=0.5, noise=self.noise, random_state=random)
        return points, classes


@dataclass(frozen=True, kw_only=True)
class Spirals(_PointClouds):
    """Arms that wind round each other, one for each class; each starts at the center and ends at radius 1.

    Neighbouring arms are `1 / (turns * num_classes)` apart: more turns, more classes or more noise are harder.
    """

    noise: NonNegative = 0.02
    num_classes: FewClasses = 2
    turns: Positive = 1.5

    def class_names(self) -> tuple[str, ...]:
        return _numbered(self.num_classes)

    def draw(self, random: np.random.RandomState) -> Points:
        classes = np.arange(self.size) % self.num_classes
        radius = np.sqrt(random.uniform(0, 1, self.size))  # the root spreads the points evenly along an arm
        angles = 2 * np.pi * (self.turns * radius + classes / self.num_classes)
        arms = np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)
        return arms + random.normal(0, self.noise, arms.shape), classes


@dataclass(frozen=True, kw_only=True)
class XOR(_PointClouds):
    """Four clouds about (+-1, +-1), of class 'equal' if both signs agree: a line gets three of the four right at best."""

    noise: NonNegative = 0.25

    def class_names(self) -> tuple[str, ...]:
        return ("equal", "different")

    def draw(self, random: np.random.RandomState) -> Points:
        from sklearn.datasets import make_blobs

        centers = np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)], dtype=np.float64)
        points, clouds = make_blobs(self.size, centers=centers, cluster_std=self.noise, random_state=random)
        return points, np.array([0, 1, 1, 0])[clouds]


def _numbered(num_classes: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(num_classes))


def _random(seed: int) -> np.random.RandomState:
    """The kind of random state that scikit-learn takes, for any whole number (by itself it stops at 2**32)."""
    return np.random.RandomState(np.random.MT19937(seed))


def _float32(array: Array) -> Tensor:
    return torch.from_numpy(array).float()
