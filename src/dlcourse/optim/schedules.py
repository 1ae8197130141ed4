"""Learning-rate schedules: a table of builders that return makers, which take how the updates fall on the epochs.

A schedule is a pure function from the number of updates done to a factor of the learning rate, so nothing about it needs
saving.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from dlcourse.config.options import Count, Positive, Probability, ProperFraction, Range
from dlcourse.config.registry import Registry

Schedule = Callable[[int], float]


@dataclass(frozen=True)
class Updates:
    """When an optimizer updates in `epochs` epochs of `batches` batches each: after every `accumulate` losses.

    There are `times` losses from the first batch and from every `every`-th after it. Updates are numbered from 0. A training
    that ends in the middle of an epoch gives `steps`, its batches altogether.
    """

    epochs: int
    batches: int
    accumulate: int = 1
    every: int = 1
    times: int = 1
    steps: int | None = None

    @property
    def total(self) -> int:
        """The updates in all, at least 1: batches at the end that do not fill an update are lost."""
        steps = self.epochs * self.batches if self.steps is None else self.steps
        return max(1, math.ceil(steps / self.every) * self.times // self.accumulate)

    @property
    def per_epoch(self) -> float:
        """The updates in an epoch, on average."""
        return self.batches / self.accumulate / self.every * self.times

    def epochs_before(self, update: int) -> int:
        """The epochs that are over when an update comes, which is with the last of its losses."""
        return ((update + 1) * self.accumulate - 1) // self.times * self.every // self.batches


ScheduleMaker = Callable[[Updates], Schedule]


def constant() -> ScheduleMaker:
    """The same learning rate throughout."""
    return lambda updates: lambda update: 1.0


def step(every: Count = 2, gamma: Annotated[float, Range(gt=0, le=1)] = 0.1) -> ScheduleMaker:
    """The learning rate multiplied by `gamma` after every `every` epochs (StepLR)."""
    return lambda updates: lambda update: gamma ** (updates.epochs_before(update) // every)


def cosine(final: Probability = 0.0) -> ScheduleMaker:
    """Half a cosine from the learning rate down to `final` times it (Loshchilov 2017, without restarts)."""
    return lambda updates: lambda update: _cosine(1.0, final, update / updates.total)


def one_cycle(
    rise: ProperFraction = 0.3,
    start: Annotated[float, Range(gt=0, le=1)] = 0.04,
    final: Annotated[float, Range(gt=0, le=1)] = 4e-6,
) -> ScheduleMaker:
    """Up from `start` times the learning rate to it during `rise` of the training, then down to `final` (Smith 2018)."""

    def make(updates: Updates) -> Schedule:
        last, peak = updates.total - 1, rise * updates.total - 1  # the numbers of updates, both from 0

        def factor(update: int) -> float:
            if update <= peak:
                return _cosine(start, 1.0, update / peak if peak > 0 else 1.0)
            return _cosine(1.0, final, min((update - peak) / (last - peak), 1.0)) if last > 0 else 1.0

        return factor

    return make


def warmup(epochs: Positive = 1.0) -> ScheduleMaker:
    """A straight rise from almost zero to the learning rate, then constant."""

    def make(updates: Updates) -> Schedule:
        rising = max(1, round(epochs * updates.per_epoch))
        return lambda update: min(1.0, (update + 1) / rising)

    return make


SCHEDULERS: Registry[ScheduleMaker] = Registry(
    "scheduler",
    {"constant": constant, "step": step, "cosine": cosine, "one_cycle": one_cycle, "warmup": warmup},
)


def _cosine(first: float, last: float, progress: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * progress)) / 2
