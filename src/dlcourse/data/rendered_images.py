"""What the drawn image data sets share: how many images, of which draw, and a balanced number of each class."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from dlcourse.config.options import NonNegativeInt, Range
from dlcourse.data.dataset import ImageSource, Tables
from dlcourse.data.split import seeded_generator

CHUNK = 500  # images drawn at a time: keeps the working memory in the tens of megabytes
ImageCount = Annotated[int, Range(ge=20)]


@dataclass(frozen=True, kw_only=True)
class DrawnImages(ImageSource):
    """Images drawn at random, equally many of each class to within one.

    Training and test images are different draws of the same kind. `seed` picks the draws, and the run's seed does not
    change them.
    """

    CLASS_NAMES: ClassVar[tuple[str, ...]]

    train_size: ImageCount = 10_000
    test_size: ImageCount = 2_000
    seed: NonNegativeInt = 0

    def load(self) -> Tables:
        return Tables(*self._draw_part(self.train_size, 0), *self._draw_part(self.test_size, 1), self.CLASS_NAMES)

    @abstractmethod
    def draw(self, classes: Tensor, generator: torch.Generator) -> Tensor:
        """A uint8 image `(B, channels, height, width)` for every one of the classes `(B,)`."""

    def _draw_part(self, size: int, part: int) -> tuple[Tensor, Tensor]:
        generator = seeded_generator("drawing", self.seed, part)
        classes = torch.randperm(size, generator=generator) % len(self.CLASS_NAMES)
        return torch.cat([self.draw(chunk, generator) for chunk in torch.split(classes, CHUNK)]), classes


def uniform(count: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """`count` numbers between `low` and `high`."""
    return torch.empty(count).uniform_(low, high, generator=generator)


def to_bytes(images: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    """Images in [0, 1] as uint8, after normal noise with this standard deviation was added."""
    noisy = images + noise * torch.randn(images.shape, generator=generator)
    return (noisy.clamp(0, 1) * 255).round().to(torch.uint8)
