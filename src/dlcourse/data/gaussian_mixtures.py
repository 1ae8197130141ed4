"""Densities in the plane whose every mode is known: mixtures of round Gaussians, for models that generate points."""

import dataclasses
from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray

from dlcourse.config.options import NonNegativeInt, Positive, Range
from dlcourse.data import announced
from dlcourse.data.dataset import ClassSource, Tables, TableSource
from dlcourse.spec import Data

Size = Annotated[int, Range(ge=20)]
Modes = Annotated[int, Range(ge=2, le=100)]
Side = Annotated[int, Range(ge=2, le=10)]
Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class _Mixture(TableSource, ClassSource):
    """Points (x1, x2) about the modes of a mixture, equally many at each to within one; the class is the mode.

    `size` counts training and test examples together; `noise` is the standard deviation about a mode, in each coordinate;
    `seed` picks the draw, and the run's seed does not change it.
    """

    size: Size = 10_000
    noise: Positive = 0.02
    seed: NonNegativeInt = 0

    def load(self) -> Tables:
        random = np.random.default_rng(self.seed)
        centers = self.centers()
        modes = np.arange(self.size) % len(centers)
        points = centers[modes] + random.normal(0, self.noise, (self.size, 2))
        names = tuple(str(mode) for mode in range(len(centers)))
        return self.divide(torch.from_numpy(points).float(), torch.from_numpy(modes), names, ("x1", "x2"))

    def build(self, *, name: str, seed: int) -> Data:
        data = super().build(name=name, seed=seed)
        centers = self.centers().tolist()
        kept = tuple((x1, x2) for x1, x2 in (centers[int(mode)] for mode in data.spec.class_names))
        return dataclasses.replace(data, spec=dataclasses.replace(data.spec, centers=kept, spread=self.noise))

    @abstractmethod
    def centers(self) -> Array:
        """The modes `(K, 2)`."""


@dataclass(frozen=True, kw_only=True)
class Ring(_Mixture):
    """Gaussians evenly spaced on the circle of radius 1: the test of mode collapse (Metz 2017).

    With eight modes and a noise of 0.02, neighbours are 38 standard deviations apart. The paper has the same noise on radius
    2; radius 1 has the scale of the other data sets here.
    """

    SPECS = (announced.numbers(2, classes=8),)

    modes: Modes = 8

    def centers(self) -> Array:
        angles = 2 * np.pi * np.arange(self.modes) / self.modes
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)


@dataclass(frozen=True, kw_only=True)
class Grid(_Mixture):
    """Gaussians at the crossings of a square grid on [-1, 1] x [-1, 1], `side` of them along each axis (Metz 2017).

    With 25 modes and a noise of 0.02, neighbours are 25 standard deviations apart.
    """

    SPECS = (announced.numbers(2, classes=25),)

    side: Side = 5

    def centers(self) -> Array:
        ticks = np.linspace(-1, 1, self.side)
        return np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
