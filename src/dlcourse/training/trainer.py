"""The training loop: one, the same for every model and task."""

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict

from torch import Tensor

from dlcourse.config.run_config import TrainerConfig
from dlcourse.errors import DataError, DivergedError
from dlcourse.metrics.means import Means
from dlcourse.metrics.report import Report
from dlcourse.optim.step import require_finite
from dlcourse.rng import random_state, set_random_state
from dlcourse.runs.logger import Logger
from dlcourse.runs.saver import Saver
from dlcourse.signals import Stop, StoppedError
from dlcourse.spec import Batch, Data
from dlcourse.state_dict import State
from dlcourse.tasks.task import Task
from dlcourse.training.averages import RAW, Averages
from dlcourse.training.evaluate import batch_size, evaluate, steps_per_epoch
from dlcourse.training.history import History
from dlcourse.training.length import Length
from dlcourse.training.meters import PendingScalars, Stopwatch
from dlcourse.training.progress import Progress
from dlcourse.training.watch import Watch

SELECTED = "selected"
"""The tag of the validation numbers that go with the kept weights, be they the best or the last epoch's.

One tag for both, so that TensorBoard's HParams can compare runs with `trainer.weights=best` and `last` in one column.
"""


class Trainer:
    """Trains a task on a data set, epoch by epoch, and keeps the weights of the best (or the last) epoch.

    It can be saved between any two steps, and before an evaluation is finished; what is restored continues as if nothing
    had happened.
    """

    def __init__(
        self,
        task: Task,
        data: Data,
        config: TrainerConfig,
        *,
        length: Length,
        logger: Logger,
        saver: Saver,
        progress: Progress,
        stop: Stop,
    ) -> None:
        self._task = task
        self._data = data
        self._config = config
        self._length = length
        self._logger = logger
        self._saver = saver
        self._progress = progress
        self._stop = stop
        self.history = History()
        self._epoch, self._batches_done = 1, 0
        self._epoch_means, self._pending, self._stopwatch = Means(), PendingScalars(), Stopwatch()
        self._averages = Averages(task, data, config)
        self.watch = Watch(task, data, config.eval_batch_size) if config.watch else None

    def fit(self) -> History:
        """Train for the epochs or the time asked for, or until patience runs out; after that the model has the kept weights.

        Raises DivergedError if a loss or gradient is not finite, StoppedError on a signal, once everything is saved.
        """
        task, history = self._task, self.history
        task.model.train()
        with self._stop.deferred(), self._progress.shown(history.steps):
            if history.steps == 0:
                self.save()  # a full disk shows before the first step
            self._length.begin(self._config.eval_every * steps_per_epoch(self._config, self._data))
            for epoch in self._epochs():
                for batch in self._batches(epoch):
                    with self._divergence_at("step", history.steps + 1):
                        scalars = task.train_step(batch)  # zero_grad, backward, clip, step: optim/step.py
                    self._after_step(scalars, len(batch.targets))
                    if self._saver.is_due(history.steps) or self._stop.received:
                        self.save()
                        self._stop.check()
                    if self._length.wants_evaluation:
                        with self._stopwatch.paused():
                            self._evaluate()
                reports = self._evaluate() if self._is_evaluated(epoch) else {}
                self._finish_epoch(reports)
            self.save()
            self._stop.check()
        self._logger.scalars(SELECTED, history.steps, history.kept_epoch, history.kept)
        self._logger.scalars("time", history.steps, self.epochs_done, {"saving_seconds": self._saver.seconds})
        self._saver.load_kept_weights(task.model)
        return history

    @property
    def epochs_done(self) -> int:
        """The whole epochs so far."""
        return self._epoch - 1

    def save(self) -> None:
        """Write a checkpoint of everything."""
        with self._stopwatch.paused():
            self._saver.save(self.history.steps, self._task.model, self.state_dict())

    def _epochs(self) -> Iterator[int]:
        """The epochs that are left, until patience runs out."""
        patience = self._config.patience
        while self._batches_done > 0 or self._length.has_epoch(self._epoch):
            if patience is not None and self.history.since_best >= patience:
                self._progress.out_of_patience(self.epochs_done, self.history.best_epoch)
                return
            yield self._epoch
            self._epoch, self._batches_done = self._epoch + 1, 0
            self._epoch_means, self._stopwatch = Means(), Stopwatch()

    def _batches(self, epoch: int) -> Iterator[Batch]:
        """The batches that are left of an epoch, and the time until the last of them is done."""
        size = batch_size(self._config, self._data)
        with self._stopwatch.running():
            for batch in self._data.train.batches(size, epoch=epoch, start=self._batches_done):
                if self._length.is_cut:
                    return
                yield batch

    def _after_step(self, scalars: Mapping[str, Tensor], size: int) -> None:
        """Count a step on `size` examples, show it, and log the latest steps' numbers if it is time."""
        self.history.steps += 1
        self._batches_done += 1
        self._pending.add(scalars, size)
        self._averages.update(self.history.steps)
        self._length.after_step(self.history.steps)
        self._progress.step(self.history.steps, self._epoch, scalars["loss"])
        if self.history.steps % self._config.log_every == 0:
            self._log_steps()
        if self.watch is not None and self._is_last_step and self._is_evaluated(self._epoch):
            self.watch.log_step(self._logger, self.history.steps, self._epoch)

    @property
    def _is_last_step(self) -> bool:
        """Whether no other step of this epoch follows."""
        return self._length.is_cut or self._batches_done == steps_per_epoch(self._config, self._data)

    def _log_steps(self) -> None:
        """Read the pending steps' numbers off the device; log their means and the learning rate."""
        means = Means()
        for step, values, size in self._pending.take(self.history.steps):
            with self._divergence_at("step", step):
                require_finite(values["loss"])
            means.add(values, size)
            self._epoch_means.add(values, size)
        self._logger.scalars("train", self.history.steps, self._epoch, means.values())
        self._logger.scalars("optim", self.history.steps, self._epoch, {"lr": self._task.lr})

    def _is_evaluated(self, epoch: int) -> bool:
        return epoch % self._config.eval_every == 0 or self._length.ends_with(epoch)

    def _evaluate(self) -> dict[str, Report]:
        """Measure raw weights and averages on validation; a signal in the middle throws that away and saves the rest."""
        random = random_state(self._task.device)
        try:
            with self._length.evaluating():
                return {name: self._measure(name) for name in (RAW, *self._averages.known)}
        except StoppedError:
            set_random_state(random, self._task.device)  # the signal may have come before the evaluation put it back
            self.save()
            raise

    def _measure(self, name: str) -> Report:
        with self._averages.in_model(name), self._stop.at_once():
            self._averages.measure_statistics(name, self._epoch)
            return evaluate(self._task, self._data.val, self._config.eval_batch_size)

    def _finish_epoch(self, reports: Mapping[str, Report]) -> None:
        """Log what the epoch brought, and if it was evaluated, whether it is the best so far."""
        history, seconds = self.history, self._stopwatch.seconds
        if self._pending:
            self._log_steps()
        history.train_seconds += seconds
        history.samples_per_second = self._epoch_means.size / seconds
        speed = {"epoch_seconds": seconds, "samples_per_second": history.samples_per_second}
        self._logger.scalars("time", history.steps, self._epoch, speed)
        if reports:
            self._keep_if_best(reports, seconds)

    def _keep_if_best(self, reports: Mapping[str, Report], seconds: float) -> None:
        """Log the validation of an epoch, and keep its weights if they are the best so far, or the last are asked for.

        Of raw and averaged weights, those that are best on validation stand for the epoch; of equal ones the raw.
        """
        history, task, epoch = self.history, self._task, self._epoch
        report = reports[RAW]
        try:
            with self._divergence_at("validation after step", history.steps):
                require_finite(report.scalars["loss"])
        except DivergedError:
            self._logger.scalars("val", history.steps, epoch, report.scalars)
            raise
        self._logger.report("val", history.steps, epoch, report)
        if self.watch is not None:
            self.watch.log_activations(self._logger, history.steps, epoch)
        values = {f"train/{name}": value for name, value in self._epoch_means.values().items()}
        values |= {f"val/{name}": value for name, value in report.scalars.items()}
        for average in self._averages.names:
            values |= self._log_average(average, reports)
        history.add(epoch, values)
        scores = {name: _score(each.scalars, task) for name, each in reports.items()}
        chosen = max(
            (name for name in scores if name == RAW or all(map(math.isfinite, scores[name]))), key=scores.__getitem__
        )
        is_best = history.take(epoch, scores[chosen])
        if is_best or self._config.weights == "last":
            history.kept_epoch, history.kept, history.kept_weights = epoch, reports[chosen].scalars, chosen
            with self._averages.in_model(chosen):
                self._saver.keep_weights(task.model)
        self._progress.epoch(epoch, values, seconds, is_best=is_best)

    def _log_average(self, name: str, reports: Mapping[str, Report]) -> dict[str, float]:
        """Log what an average reached on validation; returns that, NaN for one that has not begun."""
        if name not in reports:
            return {f"{name}/{key}": math.nan for key in reports[RAW].scalars}
        scalars = reports[name].scalars
        self._logger.scalars(name, self.history.steps, self._epoch, scalars)
        return {f"{name}/{key}": value for key, value in scalars.items()}

    @contextlib.contextmanager
    def _divergence_at(self, place: str, step: int) -> Iterator[None]:
        """Add to a DivergedError where it was. The weights have not changed before the first step's batches are done."""
        try:
            yield
        except DivergedError as error:
            where = f"{error} at {place} {step} (epoch {self._epoch}, lr {self._task.lr:.3g})"
            is_first = place == "step" and step <= self._config.accumulate
            raise DivergedError(where, in_first_step=is_first) from None

    def state_dict(self) -> State:
        """Everything that what follows depends on, besides the weights of the task's model."""
        return {
            "task": self._task.state_dict(),
            "random": random_state(self._task.device),
            "length": self._length.state_dict(),
            "history": asdict(self.history) | {"epoch_seconds": self._stopwatch.seconds},
            "epoch": self._epoch,
            "batches_done": self._batches_done,
            "epoch_means": self._epoch_means.state_dict(),
            "pending": self._pending.state_dict(),
            "averages": self._averages.state_dict(),
            "watch": None if self.watch is None else self.watch.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        """Continue from this state; raises DataError if it is of another training."""
        device = self._task.device
        try:
            self._task.load_state_dict(state["task"])
            self._length.load_state_dict(state.get("length", {}))
            history = dict(state["history"])
            self._stopwatch = Stopwatch(float(history.pop("epoch_seconds")))
            self.history = History.from_state(history)
            self._epoch, self._batches_done = int(state["epoch"]), int(state["batches_done"])
            self._epoch_means.load_state_dict(state["epoch_means"])
            self._pending.load_state_dict(state["pending"], device.torch_device)
            self._averages.load_state_dict(state.get("averages", {}))  # older checkpoints have none
            if self.watch is not None:
                self.watch.load_state_dict(state["watch"])
            set_random_state(state["random"], device)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise DataError(f"the saved state does not fit this training: {error!r}") from error


def _score(scalars: Mapping[str, float], task: Task) -> tuple[float, float]:
    """What the best epoch has most of: the monitored number, and of two epochs equal in it, the lower loss."""
    value = scalars[task.monitor]
    return (value if task.mode == "max" else -value, -scalars["loss"])
