"""Fit and evaluate: one loop, the same for every model and task."""

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from dlcourse.config.run_config import TrainerConfig
from dlcourse.console import Console, format_metric, format_seconds
from dlcourse.device import Device
from dlcourse.errors import DataError, DivergedError
from dlcourse.metrics.report import Report
from dlcourse.optim.step import require_finite
from dlcourse.rng import random_state, set_random_state
from dlcourse.runs.logger import Logger
from dlcourse.runs.saver import Saver
from dlcourse.runs.weights import load_weights, save_weights
from dlcourse.signals import Stop, StoppedError
from dlcourse.spec import Batch, Data
from dlcourse.state_dict import State
from dlcourse.tasks.task import Task
from dlcourse.training.evaluate import batch_size, evaluate, steps_per_epoch
from dlcourse.training.history import History
from dlcourse.training.meters import Means, Pending

SELECTED = "selected"
"""The tag of the validation numbers that go with the kept weights, be they the best or the last epoch's.

One tag for both, so that TensorBoard's HParams can compare runs with `trainer.weights=best` and `last` in one column.
"""
_MAX_ROWS = 25


class Trainer:
    """Trains a task on a data set, epoch by epoch, and keeps the weights of the best (or the last) in a file.

    It can be saved between any two steps, and before an evaluation is finished; what was saved goes on as if nothing had
    happened.
    """

    def __init__(
        self,
        task: Task,
        data: Data,
        config: TrainerConfig,
        device: Device,
        logger: Logger,
        console: Console,
        weights: Path,
        saver: Saver,
        stop: Stop,
    ) -> None:
        self._task = task
        self._data = data
        self._config = config
        self._device = device
        self._logger = logger
        self._console = console
        self._weights = weights
        self._saver = saver
        self._stop = stop
        self._batch_size = batch_size(config, data)
        self.history = History()
        self._epoch, self._batches_done = 1, 0
        self._epoch_means, self._pending = Means(), Pending()

    def fit(self) -> History:
        """Train for the epochs asked for, or until patience ends; the kept weights are in the task's model after.

        Raises DivergedError where a loss or gradient is not finite, StoppedError once what there is has been saved.
        """
        titles = (f"{name}: {' / '.join(splits)}" for name, splits in self._columns())
        self._console.rows(["epoch" + "".join(f"  {title:>21}" for title in titles) + "        lr        time"])
        with self._stop.deferred(), self._progress():
            if self.history.steps == 0:
                self.save()  # that there is room for it shows before the first step
            while self._epoch <= self._config.epochs and not self._is_out_of_patience():
                self._train_epoch()
                self._end_epoch(self._evaluate_epoch())
                self._epoch, self._batches_done = self._epoch + 1, 0
            if self._epoch <= self._config.epochs:
                self._console.rows(
                    [f"stopped after epoch {self._epoch - 1}: no improvement since {self.history.best_epoch}"]
                )
            self.save()
            self._stop.check()
        self._logger.scalars(SELECTED, self.history.steps, self.history.kept_epoch, self.history.kept)
        self._logger.scalars("time", self.history.steps, self.epochs_done, {"saving_seconds": self._saver.seconds})
        load_weights(self._task.model, self._weights)
        return self.history

    @property
    def epochs_done(self) -> int:
        """The whole epochs so far."""
        return self._epoch - 1

    def save(self) -> None:
        """Write a checkpoint of all there is."""
        self._saver.save(self.history.steps, self._task.model, self.state_dict())

    def state_dict(self) -> State:
        """Everything that what follows depends on, besides the weights of the task's model."""
        return {
            "task": self._task.state_dict(),
            "random": random_state(self._device),
            "history": asdict(self.history),
            "epoch": self._epoch,
            "batches_done": self._batches_done,
            "epoch_means": self._epoch_means.state_dict(),
            "pending": self._pending.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        """Go on where that state was taken; raises DataError where it does not fit."""
        try:
            self._task.load_state_dict(state["task"])
            history = dict(state["history"])
            best = history.pop("best_score")
            for name, initial in asdict(History()).items():
                if isinstance(initial, int | float) and not isinstance(history[name], int | float):
                    raise TypeError(f"'{name}' is no number")
            self.history = History(**history, best_score=None if best is None else (best[0], best[1]))
            self._epoch, self._batches_done = int(state["epoch"]), int(state["batches_done"])
            self._epoch_means.load_state_dict(state["epoch_means"])
            self._pending.load_state_dict(state["pending"], self._device.torch_device)
            set_random_state(state["random"], self._device)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise DataError(f"the saved state does not fit this training: {error!r}") from error

    @contextlib.contextmanager
    def _progress(self) -> Iterator[None]:
        steps = self._config.epochs * steps_per_epoch(self._config, self._data)
        self._console.start_progress(steps, self._config.epochs, self.history.steps)
        try:
            yield
        finally:
            self._console.end_progress()

    def _train_epoch(self) -> None:
        """What is left of one pass over the training set."""
        history = self.history
        started = time.perf_counter()
        self._task.model.train()
        for batch in self._data.train.batches(self._batch_size, epoch=self._epoch, start=self._batches_done):
            self._train_step(batch)
            if self._stop.received is not None or self._saver.is_due(history.steps):
                now = time.perf_counter()
                history.epoch_seconds, started = history.epoch_seconds + now - started, now
                self.save()
                self._stop.check()
        history.epoch_seconds += time.perf_counter() - started

    def _train_step(self, batch: Batch) -> None:
        history, console = self.history, self._console
        try:
            scalars = self._task.train_step(batch)
        except DivergedError as error:
            raise self._diverged(error, history.steps + 1) from None
        history.steps += 1
        self._batches_done += 1
        self._pending.add(scalars, len(batch.targets))
        if console.wants_progress():
            console.progress(history.steps, self._epoch, scalars["loss"].item(), self._task.rate)
        if history.steps % self._config.log_every == 0:
            self._log_steps()

    def _log_steps(self) -> None:
        """Read the pending steps' numbers off the device; log their means and the learning rate."""
        means = Means()
        for step, values, size in self._pending.take(self.history.steps):
            try:
                require_finite(values["loss"])
            except DivergedError as error:
                raise self._diverged(error, step) from None
            means.add(values, size)
            self._epoch_means.add(values, size)
        self._logger.scalars("train", self.history.steps, self._epoch, means.values())
        self._logger.scalars("optim", self.history.steps, self._epoch, {"lr": self._task.rate})

    def _evaluate_epoch(self) -> Report | None:
        """The validation of this epoch, where it is its turn; a stop in the middle throws it away and saves the rest."""
        if self._epoch % self._config.eval_every and self._epoch != self._config.epochs:
            return None
        random = random_state(self._device)
        try:
            with self._stop.at_once():
                return evaluate(self._task, self._data.val, self._config.eval_batch_size, self._device)
        except StoppedError:
            set_random_state(random, self._device)  # the signal may have come before the evaluation had put it back
            self.save()
            raise

    def _end_epoch(self, report: Report | None) -> None:
        """Log what the epoch brought, and take in its validation."""
        history = self.history
        if self._pending:
            self._log_steps()
        history.train_seconds += history.epoch_seconds
        history.samples_per_second = len(self._data.train) / history.epoch_seconds
        speed = {"epoch_seconds": history.epoch_seconds, "samples_per_second": history.samples_per_second}
        self._logger.scalars("time", history.steps, self._epoch, speed)
        if report is not None:
            self._take_report(report)
        self._epoch_means = Means()
        history.epoch_seconds = 0.0

    def _take_report(self, report: Report) -> None:
        history, task, epoch = self.history, self._task, self._epoch
        try:
            require_finite(report.scalars["loss"])
        except DivergedError as error:
            self._logger.scalars("val", history.steps, epoch, report.scalars)
            raise self._diverged(error, history.steps, "validation after step") from None
        self._logger.report("val", history.steps, epoch, report)
        values = {f"train/{name}": value for name, value in self._epoch_means.values().items()}
        values |= {f"val/{name}": value for name, value in report.scalars.items()}
        history.add(epoch, values)
        is_best = history.take(epoch, _score(report.scalars, task))
        if is_best or self._config.weights == "last":
            history.kept_epoch, history.kept = epoch, report.scalars
            save_weights(task.model, self._weights)
        if self._shows_row(epoch):
            self._console.rows([self._row(epoch, values)], mark="best" if is_best else "")

    def _shows_row(self, epoch: int) -> bool:
        """A long training shows about as many rows as fit on a screen."""
        epochs = self._config.epochs
        return epoch == epochs or epoch % max(1, math.ceil(epochs / _MAX_ROWS)) == 0 or epoch == self._config.eval_every

    def _row(self, epoch: int, values: dict[str, float]) -> str:
        """The epoch's line, of at most 80 characters with the mark of the best."""
        shown = ""
        for name, splits in self._columns():
            numbers = (format_metric(name, values[f"{split}/{name}"]) for split in splits)
            shown += f"  {' / '.join(f'{number:>9}' for number in numbers):>21}"
        return f"{epoch:5d}{shown}  {self._task.rate:8.3g}  {format_seconds(self.history.epoch_seconds):>10}"

    def _columns(self) -> list[tuple[str, tuple[str, ...]]]:
        """The numbers of an epoch's line, each with the splits that it is shown of."""
        both = ("train", "val")
        return [("loss", both), (self._task.main_metric, both if self._task.measured_in_training else ("val",))]

    def _is_out_of_patience(self) -> bool:
        return self._config.patience is not None and self.history.since_best >= self._config.patience

    def _diverged(self, error: DivergedError, step: int, place: str = "step") -> DivergedError:
        """The error with its place. The weights have not changed before the first step's batches are done."""
        where = f"{error} at {place} {step} (epoch {self._epoch}, lr {self._task.rate:.3g})"
        return DivergedError(where, in_first_step=place == "step" and step <= self._config.accumulate)


def _score(scalars: dict[str, float], task: Task) -> tuple[float, float]:
    """What the best epoch has most of: the monitored number, and of two epochs equal in it, the lower loss."""
    value = scalars[task.monitor]
    return (value if task.mode == "max" else -value, -scalars["loss"])
