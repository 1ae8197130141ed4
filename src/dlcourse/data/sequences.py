"""Sequences drawn from rules that ask for memory or order: sums, parities, waves and sentences.

N is a number of examples, T of steps.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from dlcourse.config.options import Count, NonNegative, NonNegativeInt, Range
from dlcourse.data import announced
from dlcourse.data.dataset import ClassSource, Source, Tables, TableSource
from dlcourse.data.split import seeded_generator

Size = Annotated[int, Range(ge=20)]
AtLeastTwo = Annotated[int, Range(ge=2)]


@dataclass(frozen=True, kw_only=True)
class _Values(TableSource, Source):
    """Sequences of numbers `(T, F)` whose targets are numbers.

    `size` counts training and test examples together; `length` is T; `seed` picks the draw, and the run's seed does not
    change it.
    """

    size: Size = 12_500
    length: AtLeastTwo = 100
    seed: NonNegativeInt = 0

    def load(self) -> Tables:
        return self.divide(*self.draw(seeded_generator("sequences", self.seed)))

    @abstractmethod
    def draw(self, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """All sequences `(size, T, F)` and their targets `(size, outputs)`."""


@dataclass(frozen=True, kw_only=True)
class Adding(_Values):
    """Numbers uniform in [0, 1), two of which are marked, one in each half: the target is their sum (Hochreiter 1997).

    Who always answers 1 has a mean squared error of 2/12 = 0.1667, the variance of the sum of two such numbers; the
    0.1767 that is often quoted (Le 2015) is a slip.
    """

    SPECS = (announced.numbers(100, 2),)

    def draw(self, random: torch.Generator) -> tuple[Tensor, Tensor]:
        numbers = torch.rand(self.size, self.length, generator=random)
        half = self.length // 2
        first = torch.randint(0, half, (self.size, 1), generator=random)
        second = torch.randint(half, self.length, (self.size, 1), generator=random)
        marked = torch.cat([first, second], dim=1)  # (N, 2)
        markers = torch.zeros_like(numbers).scatter_(1, marked, 1.0)
        sums = numbers.gather(1, marked).sum(1, keepdim=True)
        return torch.stack([numbers, markers], dim=2), sums  # (N, T, 2), (N, 1)


@dataclass(frozen=True, kw_only=True)
class Sine(_Values):
    """The past of a sum of sines, its target the `horizon` values that come next: forecasting.

    Each of the `waves` has amplitude 1, a period uniform in [10, 40] steps and any phase. Past and future have noise of
    that standard deviation, so that no forecast has a mean squared error below `noise**2`; who always answers 0 has
    `waves / 2 + noise**2`.
    """

    SPECS = (announced.numbers(50, 1, values=10),)

    size: Size = 5000
    length: AtLeastTwo = 50
    horizon: Count = 10
    waves: Count = 2
    noise: NonNegative = 0.05

    def draw(self, random: torch.Generator) -> tuple[Tensor, Tensor]:
        period, phase = (torch.rand(self.size, self.waves, 1, generator=random) for _ in range(2))
        turns = torch.arange(self.length + self.horizon) / (10 + 30 * period) + phase  # (N, waves, T + horizon)
        series = torch.sin(2 * torch.pi * turns).sum(1)
        series = series + self.noise * torch.randn(series.shape, generator=random)
        return series[:, : self.length, None], series[:, self.length :]  # (N, T, 1), (N, horizon)


@dataclass(frozen=True, kw_only=True)
class Parity(TableSource, ClassSource):
    """Bits, as numbers 0 and 1 `(T, 1)`, and whether an even or an odd number of them is 1: no bit may be missed.

    Without any one of the bits the class is a toss of a coin. Short sequences stand in training and test set alike: there
    are only `2**length`.
    """

    SPECS = (announced.numbers(16, 1, classes=2),)

    size: Size = 12_500
    length: Count = 16
    seed: NonNegativeInt = 0

    def load(self) -> Tables:
        bits = torch.randint(0, 2, (self.size, self.length), generator=seeded_generator("sequences", self.seed))
        return self.divide(bits[:, :, None].float(), bits.sum(1) % 2, ("even", "odd"))


_ANIMALS = ("bear", "cat", "cow", "dog", "fox", "goat", "goose", "horse", "lion", "pig", "sheep", "wolf")
_PEOPLE = ("baker", "boy", "doctor", "farmer", "girl", "man", "nurse", "painter", "queen", "singer", "teacher", "woman")
_VERBS = (
    "bites",
    "calls",
    "carries",
    "chases",
    "feeds",
    "finds",
    "follows",
    "hears",
    "likes",
    "misses",
    "sees",
    "wakes",
)


@dataclass(frozen=True, kw_only=True)
class WordOrder(Source):
    """Who acts in "dog bites man", the animal or the person? Each pair of nouns with a verb comes in both orders.

    The two orders have the same words and different classes, and both stand in the same split, so that a bag of words
    is right in exactly half of the test sentences. `test_fraction` of the 1,728 pairs is set aside, the same ones in
    every run.
    """

    SPECS = (announced.sentences(3, 36, classes=2),)

    test_fraction: Annotated[float, Range(gt=0.01, lt=0.99)] = 0.2

    def load(self) -> Tables:
        vocabulary = (*_ANIMALS, *_PEOPLE, *_VERBS)
        index = {word: token for token, word in enumerate(vocabulary)}
        animals, people, verbs = (
            torch.tensor([index[word] for word in words]) for words in (_ANIMALS, _PEOPLE, _VERBS)
        )
        animal, person, verb = torch.cartesian_prod(animals, people, verbs).unbind(1)
        pairs = torch.stack(
            [torch.stack([animal, verb, person], dim=1), torch.stack([person, verb, animal], dim=1)], dim=1
        )  # (pairs, 2, 3)
        order = torch.randperm(len(pairs), generator=seeded_generator("test"))
        test = order[: round(self.test_fraction * len(pairs))].sort().values
        train = order[len(test) :].sort().values

        def sentences(chosen: Tensor) -> tuple[Tensor, Tensor]:
            return pairs[chosen].flatten(0, 1), torch.arange(2).repeat(len(chosen))

        return Tables(*sentences(train), *sentences(test), class_names=("animal", "person"), vocabulary=vocabulary)

    def _pick(self, targets: Tensor, count: int, generator: torch.Generator) -> Tensor:
        """Both orders of each of the chosen pairs, which stand side by side; an odd count breaks up one pair."""
        whole = torch.randperm(len(targets) // 2, generator=generator)[: count // 2]
        picked = torch.cat([2 * whole, 2 * whole + 1])
        if count % 2:
            left = torch.ones(len(targets), dtype=torch.bool)
            left[picked] = False
            picked = torch.cat([picked, left.nonzero()[:1, 0]])
        return picked.sort().values
