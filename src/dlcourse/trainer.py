"""Fit and evaluate: one loop, the same for every model and task."""

import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from dlcourse.checkpoint import load_weights, save_weights
from dlcourse.config import TrainerConfig
from dlcourse.console import Console, format_metric, format_seconds
from dlcourse.descent import require_finite
from dlcourse.device import Device
from dlcourse.errors import DivergedError
from dlcourse.logger import Logger
from dlcourse.spec import Data, Report, Split
from dlcourse.tasks.task import Scalars, Task

_MAX_ROWS = 25


@dataclass
class History:
    """What the epochs brought: the numbers of each evaluation, and which epoch's weights are kept."""

    epochs: list[int] = field(default_factory=list)
    series: dict[str, list[float]] = field(default_factory=dict)
    steps: int = 0
    epoch_seconds: float = 0.0
    train_seconds: float = 0.0
    samples_per_second: float = 0.0
    best_score: tuple[float, float] | None = None
    best_epoch: int = 0
    since_best: int = 0
    kept_epoch: int = 0
    kept: dict[str, float] = field(default_factory=dict)

    def add(self, epoch: int, values: dict[str, float]) -> None:
        """Append the numbers of an evaluation."""
        self.epochs.append(epoch)
        for name, value in values.items():
            self.series.setdefault(name, []).append(value)


class Trainer:
    """Trains a task on a data set, epoch by epoch, and keeps the weights of the best (or the last) in a file."""

    def __init__(
        self,
        task: Task,
        data: Data,
        config: TrainerConfig,
        device: Device,
        logger: Logger,
        console: Console,
        weights: Path,
    ) -> None:
        self._task = task
        self._data = data
        self._config = config
        self._device = device
        self._logger = logger
        self._console = console
        self._weights = weights
        self._batch_size = batch_size(config, data)
        self._first_rate = task.rate
        self.history = History()

    def fit(self) -> History:
        """Train for the epochs asked for, or until patience ends; the kept weights are in the task's model after.

        Raises DivergedError where a loss is not finite.
        """
        columns = f"epoch  train/loss  val/loss  {'val/' + self._task.main_metric:>12}         lr        time"
        self._console.rows([columns])
        self._console.start_progress(self._config.epochs * steps_per_epoch(self._config, self._data))
        try:
            for epoch in range(1, self._config.epochs + 1):
                train_scalars = self._train_epoch(epoch)
                if epoch % self._config.eval_every == 0 or epoch == self._config.epochs:
                    self._evaluate_epoch(epoch, train_scalars)
                    if self._is_out_of_patience():
                        self._console.rows(
                            [f"stopped after epoch {epoch}: no improvement since {self.history.best_epoch}"]
                        )
                        break
        finally:
            self._console.end_progress()
        self._logger.scalars("kept", self.history.steps, self.history.kept_epoch, self.history.kept)
        load_weights(self._task.model, self._weights)
        return self.history

    def _train_epoch(self, epoch: int) -> dict[str, float]:
        """One pass over the training set; returns the means over its examples."""
        history, console = self.history, self._console
        epoch_means, recent = _Means(), _Pending(first_step=history.steps + 1)
        started = time.perf_counter()
        self._task.model.train()
        for batch in self._data.train.batches(self._batch_size, epoch=epoch):
            try:
                scalars = self._task.train_step(batch)
            except DivergedError as error:
                raise self._diverged(error, history.steps + 1, epoch) from None
            history.steps += 1
            recent.add(scalars, len(batch.targets))
            if console.wants_progress():
                console.progress(history.steps, epoch, scalars["loss"].item(), self._task.rate)
            if history.steps % self._config.log_every == 0:
                self._log_steps(epoch, recent, epoch_means)
        if recent:
            self._log_steps(epoch, recent, epoch_means)
        seconds = time.perf_counter() - started
        history.epoch_seconds = seconds
        history.train_seconds += seconds
        history.samples_per_second = len(self._data.train) / seconds
        self._logger.scalars(
            "time", history.steps, epoch, {"epoch_seconds": seconds, "samples_per_second": history.samples_per_second}
        )
        return epoch_means.values()

    def _log_steps(self, epoch: int, recent: "_Pending", epoch_means: "_Means") -> None:
        """Read the pending steps' numbers off the device; log their means and the learning rate."""
        means = _Means()
        for step, values, size in recent.take():
            try:
                require_finite(values["loss"])
            except DivergedError as error:
                raise self._diverged(error, step, epoch) from None
            means.add(values, size)
            epoch_means.add(values, size)
        self._logger.scalars("train", self.history.steps, epoch, means.values())
        self._logger.scalars("optim", self.history.steps, epoch, {"lr": self._task.rate})

    def _evaluate_epoch(self, epoch: int, train_scalars: dict[str, float]) -> None:
        history, task = self.history, self._task
        report = evaluate(task, self._data.val, self._config.eval_batch_size, self._device)
        try:
            require_finite(report.scalars["loss"])
        except DivergedError as error:
            self._logger.scalars("val", history.steps, epoch, report.scalars)
            raise self._diverged(error, history.steps, epoch, "validation after step") from None
        self._logger.report("val", history.steps, epoch, report)
        values = {f"train/{name}": value for name, value in train_scalars.items()}
        values |= {f"val/{name}": value for name, value in report.scalars.items()}
        history.add(epoch, values)
        score = _score(report.scalars, task)
        is_best = history.best_score is None or score > history.best_score
        history.since_best = 0 if is_best else history.since_best + 1
        if is_best:
            history.best_score, history.best_epoch = score, epoch
        if is_best or self._config.weights == "last":
            history.kept_epoch, history.kept = epoch, report.scalars
            save_weights(task.model, self._weights)
        if self._shows_row(epoch):
            self._console.rows([self._row(epoch, values, is_best)])

    def _shows_row(self, epoch: int) -> bool:
        """A long training shows about as many rows as fit on a screen."""
        epochs = self._config.epochs
        return epoch == epochs or epoch % max(1, math.ceil(epochs / _MAX_ROWS)) == 0 or epoch == self._config.eval_every

    def _row(self, epoch: int, values: dict[str, float], is_best: bool) -> str:
        main = f"val/{self._task.main_metric}"
        return (
            f"{epoch:5d}  {format_metric('train/loss', values['train/loss']):>10}  "
            f"{format_metric('val/loss', values['val/loss']):>8}  {format_metric(main, values[main]):>12}  "
            f"{self._task.rate:9.3g}  {format_seconds(self.history.epoch_seconds):>10}{'  best' if is_best else ''}"
        )

    def _is_out_of_patience(self) -> bool:
        return self._config.patience is not None and self.history.since_best >= self._config.patience

    def _diverged(self, error: DivergedError, step: int, epoch: int, place: str = "step") -> DivergedError:
        """The error with its place and what to try. Before the first update no learning rate can be at fault."""
        where = f"{error} at {place} {step} (epoch {epoch}, lr {self._task.rate:.3g})"
        if step == 1 and place == "step":
            return DivergedError(
                f"{where}, before any update: the data or the first weights are too large; scale the data"
            )
        return DivergedError(
            f"{where}; most likely the learning rate is too large: try optimizer.lr={self._first_rate / 10:.3g}, "
            "or trainer.clip_norm=1"
        )


def evaluate(task: Task, split: Split, batch_size: int, device: Device, *, full: bool = False) -> Report:
    """Measure a task on a split: in evaluation mode, without gradients, and without touching any random state."""
    was_training = task.model.training
    task.model.eval()
    try:
        with torch.no_grad(), device.forked_random_state():
            return task.evaluate(split, batch_size, full=full)
    finally:
        task.model.train(was_training)


def batch_size(config: TrainerConfig, data: Data) -> int:
    """The examples in one step."""
    return len(data.train) if config.batch_size == "full" else config.batch_size


def steps_per_epoch(config: TrainerConfig, data: Data) -> int:
    """The batches in one pass over the training set, of which a last one with a single example joins the one before."""
    whole, rest = divmod(len(data.train), batch_size(config, data))
    return whole + (rest > 1)


class _Means:
    """Means over examples: sums, divided once."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._size = 0

    def add(self, values: dict[str, float], size: int) -> None:
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value * size
        self._size += size

    def values(self) -> dict[str, float]:
        return {name: total / self._size for name, total in self._sums.items()}


class _Pending:
    """The scalars of recent steps, left on the device until they are wanted, so that it need not wait each step."""

    def __init__(self, first_step: int) -> None:
        self._next_step = first_step
        self._names: list[str] = []
        self._values: list[Tensor] = []
        self._sizes: list[int] = []

    def __bool__(self) -> bool:
        return bool(self._sizes)

    def add(self, scalars: Scalars, size: int) -> None:
        self._names = list(scalars)
        self._values.extend(value.detach() for value in scalars.values())
        self._sizes.append(size)

    def take(self) -> list[tuple[int, dict[str, float], int]]:
        """The step, numbers and batch size of each pending step, which are then forgotten."""
        rows = torch.stack(self._values).reshape(len(self._sizes), -1).tolist()
        steps = range(self._next_step, self._next_step + len(rows))
        taken = [
            (step, dict(zip(self._names, row, strict=True)), size)
            for step, row, size in zip(steps, rows, self._sizes, strict=True)
        ]
        self._next_step += len(rows)
        self._values, self._sizes = [], []
        return taken


def _score(scalars: dict[str, float], task: Task) -> tuple[float, float]:
    """What the best epoch has most of: the monitored number, and of two epochs equal in it, the lower loss."""
    value = scalars[task.monitor]
    return (value if task.mode == "max" else -value, -scalars["loss"])
