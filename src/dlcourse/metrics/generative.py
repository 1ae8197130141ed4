"""How good made-up examples are: distances between distributions, modes found, and the nearest training examples.

N and M are numbers of examples, F the features of an image, K a number of classes or modes.
"""

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from dlcourse.device import Device
from dlcourse.errors import ConfigError
from dlcourse.metrics.reference_classifier import ReferenceClassifier
from dlcourse.spec import Data, DataSpec, Split

_MOST_REFERENCES = 10_000
_BATCH_SIZE = 250
_PIXEL_SIDE = 8
_LEAST_SHARE = 0.1  # of its fair share, for a class or a mode to count as found
_GOOD = 3.0  # standard deviations; a round Gaussian in the plane has 98.9 % of its points within


def frechet_distance(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> float:
    """The squared Frechet distance of two Gaussians with means `(F,)` and covariances `(F, F)`.

    |mean1 - mean2|^2 + tr(cov1) + tr(cov2) - 2 tr((cov1 cov2)^(1/2)), in float64; 0 if they are equal (Dowson and Landau
    1982). On the features of a network it is what Heusel et al. (2017) measure generators of images by.
    """
    mean1, cov1, mean2, cov2 = (tensor.detach().cpu().double() for tensor in (mean1, cov1, mean2, cov2))
    values, vectors = torch.linalg.eigh(cov1)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T  # the symmetric root of cov1
    product = root @ cov2 @ root  # has the eigenvalues of cov1 cov2, and is symmetric
    trace_of_root = torch.linalg.eigvalsh((product + product.T) / 2).clamp(min=0).sqrt().sum()
    squared = (mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * trace_of_root
    return max(0.0, float(squared))


def energy_distance(first: Tensor, second: Tensor) -> float:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'| of two clouds `(N, D)` and `(M, D)`: 0 if the distributions are equal.

    The means over pairs leave out a point and itself, so that the size of the clouds does not shift the estimate, which
    can come out a little below 0 (Szekely and Rizzo 2013).
    """
    first, second = first.detach().cpu().double(), second.detach().cpu().double()
    between = torch.cdist(first, second).mean()
    within = sum(torch.pdist(cloud).mean() for cloud in (first, second))
    return float(2 * between - within)


class SampleScores(ABC):
    """Abstract: scores of generated examples against the real ones. `prepare` makes the right kind.

    Images with classes are compared by a reference classifier's features, images without by a few coarse pixels, anything
    else as it is. Samples are on the run's device and normalized as the data set's inputs are.
    """

    monitor: ClassVar[str]
    """The score that says most about a generator; less is better."""
    lines: list[str]
    """For the console, after preparing."""

    def __init__(self, data: Data) -> None:
        self.lines = []
        self._train = data.train

    @staticmethod
    def prepare(data: Data, device: Device) -> "SampleScores":
        """Measure the real examples once, before training; takes some seconds if a reference classifier is trained."""
        return _ImageScores(data, device) if data.spec.is_image else _PointScores(data)

    @staticmethod
    def monitor_for(spec: DataSpec) -> str:
        """The score that says most about a generator of such data; less is better."""
        return (_ImageScores if spec.is_image else _PointScores).monitor

    @abstractmethod
    def scores(self, samples: Tensor, labels: Tensor | None = None) -> dict[str, float]:
        """Scores of samples `(N, *input_shape)`, N >= 2, with the classes `(N,)` that were asked for, if they were."""

    def nearest(self, samples: Tensor) -> Tensor:
        """For each sample, the training example nearest to it in squared distance of pixels, of the same shape."""
        flat = samples.flatten(1)
        best = samples.new_full((len(samples),), math.inf)
        found = torch.empty_like(samples)
        for batch in self._train.batches(_BATCH_SIZE):
            distances, places = torch.cdist(flat, batch.inputs.flatten(1)).min(1)
            closer = distances < best
            best[closer] = distances[closer]
            found[closer] = batch.inputs[places[closer]]
        return found


class _ImageScores(SampleScores):
    """`frechet` to real images and, with a reference classifier, `classes` and `recognized`.

    `frechet_real` is what as many real images (or all there are) score that are not among the reference: a sampler of the
    true distribution could do no better. The reference is taken from the training set, in tests too.
    """

    monitor: ClassVar[str] = "frechet"

    def __init__(self, data: Data, device: Device) -> None:
        super().__init__(data)
        self._classifier = ReferenceClassifier.train(data, device) if data.spec.target == "class" else None
        self._num_classes = data.spec.num_outputs
        real = self._features(_evenly(data.train, 2 * _MOST_REFERENCES))
        self._reference = _moments(real[::2])
        others = torch.cat([self._features(_evenly(data.val, _MOST_REFERENCES)), real[1::2]])
        order = torch.randperm(len(others), generator=torch.Generator().manual_seed(0))  # they may lie class by class
        self._others = others[order.to(others.device)]
        self._frechet_real: dict[int, float] = {}
        self.lines = [self._line(len(real[::2]))]

    def scores(self, samples: Tensor, labels: Tensor | None = None) -> dict[str, float]:
        found = {
            "frechet": frechet_distance(*_moments(self._features(samples)), *self._reference),
            "frechet_real": self._real(len(samples)),
        }
        if self._classifier is not None:
            predicted = self._classifier.classes(samples)
            shares = torch.bincount(predicted, minlength=self._num_classes) / len(predicted)
            found["classes"] = float((shares >= _LEAST_SHARE / self._num_classes).sum())
            if labels is not None:
                found["recognized"] = float((predicted == labels).float().mean())
        return found

    def _features(self, images: Tensor) -> Tensor:
        if self._classifier is not None:
            return self._classifier.features(images)
        return functional.adaptive_avg_pool2d(images, _PIXEL_SIDE).flatten(1)

    def _real(self, count: int) -> float:
        if count not in self._frechet_real:
            self._frechet_real[count] = frechet_distance(*_moments(self._others[:count]), *self._reference)
        return self._frechet_real[count]

    def _line(self, references: int) -> str:
        if self._classifier is None:
            return f"samples are compared with {references:,} training images in {_PIXEL_SIDE}x{_PIXEL_SIDE} pixels"
        return (
            f"reference classifier ({self._classifier.accuracy:.2%} validation accuracy) compares samples with "
            f"{references:,} training images"
        ).replace("%", " %")


class _PointScores(SampleScores):
    """`energy_distance` to validation points, in tests too; of a mixture of Gaussians, `modes` found and `good` points.

    A point is good within 3 standard deviations of a mode; a mode is found if it gets a tenth of its fair share of all
    samples, all of them good.
    """

    monitor: ClassVar[str] = "energy_distance"

    def __init__(self, data: Data) -> None:
        super().__init__(data)
        self._held_out = _evenly(data.val, _MOST_REFERENCES).flatten(1)
        if len(self._held_out) < 2:
            raise ConfigError(
                f"data '{data.spec.name}' has {len(self._held_out)} validation point, and an energy distance needs two; "
                "use a larger data.val_fraction"
            )
        self._centers = self._held_out.new_tensor(data.spec.centers)  # (K, 2)
        self._spread = data.spec.spread
        self.lines = [f"samples are compared with {len(self._held_out):,} held-out points"]

    def scores(self, samples: Tensor, labels: Tensor | None = None) -> dict[str, float]:
        samples = samples.flatten(1)
        found = {"energy_distance": energy_distance(samples, self._held_out)}
        if len(self._centers):
            distances, modes = torch.cdist(samples, self._centers).min(1)
            is_good = distances <= _GOOD * self._spread
            counts = torch.bincount(modes[is_good], minlength=len(self._centers))
            fair = len(samples) / len(self._centers)
            found["modes"] = float((counts >= _LEAST_SHARE * fair).sum())
            found["good"] = float(is_good.float().mean())
            if labels is not None:
                found["recognized"] = float((is_good & (modes == labels)).float().mean())
        return found


def _moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """The mean `(F,)` and covariance `(F, F)` of features `(N, F)`, in float64 on the CPU."""
    assert len(features) > 1, "a Gaussian fits two points or more"
    features = features.cpu().double()
    return features.mean(0), torch.cov(features.T)


def _evenly(split: Split, limit: int) -> Tensor:
    """The inputs of at most `limit` examples, taken at equal distances through the split."""
    stride = -(-len(split) // limit)
    return torch.cat([batch.inputs[::stride] for batch in split.batches(stride * _BATCH_SIZE)])
