"""The learning-rate range test: some updates while the learning rate rises, and the rate that their losses suggest.

Smith 2017, "Cyclical Learning Rates for Training Neural Networks", arXiv:1506.01186, section 3.3.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlcourse.config.registry import Choice
from dlcourse.config.run_config import RunConfig
from dlcourse.console import Console
from dlcourse.device import Device
from dlcourse.errors import ConfigError, DivergedError
from dlcourse.optim.schedules import Schedule, Updates
from dlcourse.optim.step import require_finite
from dlcourse.rng import seed_everything
from dlcourse.spec import Batch, Data
from dlcourse.tasks.task import Task
from dlcourse.training.build import build_task
from dlcourse.training.evaluate import steps_per_epoch, training_batches

LOWEST, HIGHEST = 1e-6, 10.0
"""Far below and above what any optimizer here learns with."""
UPDATES = 100
"""As many as fastai and Lightning take."""
REPEATS = 3
"""Networks with different first weights, on different batches: a single test is too noisy for its steepest place."""
_TOO_HIGH = 4.0
"""A test ends at this many times the lowest loss: from there on the network is destroyed."""
_RECENT = 5
"""How many of the latest losses are averaged for that: a single one may be that of an odd batch."""
_WIDTH = 0.2
"""The standard deviation, in powers of ten of the learning rate, over which losses are averaged."""
_LEVEL = 1.0
"""The first powers of ten, in which no optimizer learns, by which noise is told from learning."""


@dataclass(frozen=True, eq=False)
class LrRange:
    """The learning rates `(N,)` of the updates, and the losses `(REPEATS, N)` before them, up to the first that diverged."""

    lrs: NDArray[np.float64]
    losses: NDArray[np.float64]

    @property
    def smoothed(self) -> NDArray[np.float64]:
        """The mean loss `(N,)` of all tests, averaged over neighboring rates on both sides, so that nothing is shifted."""
        places = np.log10(self.lrs)
        weights = np.exp(-0.5 * ((places[:, None] - places) / _WIDTH) ** 2)  # (N, N)
        smoothed: NDArray[np.float64] = weights @ self.losses.mean(0) / weights.sum(1)
        return smoothed

    @property
    def lowest(self) -> float:
        """The rate at which the smoothed loss is least: already too high, as the loss is about to rise."""
        return float(self.lrs[self.smoothed.argmin()])

    @property
    def suggestion(self) -> float | None:
        """The rate at which the smoothed loss falls fastest over the powers of ten, to two digits; None if never."""
        smoothed = self.smoothed
        is_level = self.lrs <= LOWEST * 10**_LEVEL
        noise = self.losses.mean(0)[is_level].std()
        last = int(smoothed.argmin())
        if last == 0 or smoothed[is_level].mean() - smoothed[last] <= 2 * noise:
            return None
        steepest = np.gradient(smoothed)[: last + 1].argmin()
        return float(f"{self.lrs[steepest]:.2g}")


def lr_range(config: RunConfig, data: Data, device: Device, console: Console) -> LrRange:
    """Test the learning rates for this training; nothing is written.

    Raises ConfigError for a task whose loss does not say how good its model is, DivergedError if no rate can be tested.
    """
    lowest = Choice(config.optimizer.name, {**config.optimizer.options, "lr": LOWEST})
    trainer = dataclasses.replace(config.trainer, compile=False, time=None)
    config = dataclasses.replace(config, optimizer=lowest, trainer=trainer)
    tests = [_losses(config, data, device, console if k == 0 else Console(quiet=True), k) for k in range(REPEATS)]
    tested = min(map(len, tests))
    return LrRange(_lrs()[:tested], np.array([losses[:tested] for losses in tests]))


def _lrs() -> NDArray[np.float64]:
    return np.geomspace(LOWEST, HIGHEST, UPDATES)


def _rising(updates: Updates) -> Schedule:
    """From LOWEST to HIGHEST in equal factors."""
    lrs = _lrs()
    return lambda update: float(lrs[min(update, UPDATES - 1)] / LOWEST)


def _losses(config: RunConfig, data: Data, device: Device, console: Console, repeat: int) -> list[float]:
    """The loss before each update, until it is far above the least; `repeat` decides the first weights and the batches."""
    seed_everything(config.seed + repeat)
    task = build_task(config, data, device, console, make_schedule=_rising)
    _require_telling_loss(task, config)
    task.model.train()
    losses: list[float] = []
    means: list[float] = []
    for batches in _batches(config, data, repeat):
        try:
            loss = float(np.mean([task.train_step(batch)["loss"].item() for batch in batches]))
            require_finite(loss)  # a GPU's step does not look
        except DivergedError:
            if not losses:
                raise
            break
        losses.append(loss)
        means.append(float(np.mean(losses[-_RECENT:])))
        if _is_too_high(means):
            break
    return losses


def _is_too_high(losses: list[float]) -> bool:
    """Whether the latest is several times the least; of losses below 0, as of densities, as far above."""
    least = min(losses)
    return losses[-1] > least + (_TOO_HIGH - 1) * abs(least)


def _batches(config: RunConfig, data: Data, repeat: int) -> Iterator[list[Batch]]:
    """The batches of each update in the order of a training; another test has those of its later epochs."""
    accumulate = config.trainer.accumulate
    epochs = math.ceil(UPDATES * accumulate / steps_per_epoch(config.trainer, data))
    batches = training_batches(config.trainer, data, 1 + repeat * epochs)
    for _ in range(UPDATES):
        yield list(itertools.islice(batches, accumulate))


def _require_telling_loss(task: Task, config: RunConfig) -> None:
    if task.needs_full_batch:
        raise ConfigError(
            f"task '{config.task.name}' takes one step that no learning rate scales; there is none to find"
        )
    if not task.loss_tells:
        raise ConfigError(
            f"the loss of task '{config.task.name}' does not fall as its model gets better, so no learning rate can be "
            "read off it; write dlcourse train -m optimizer.lr=0.0003,0.001,0.003 to try some"
        )
