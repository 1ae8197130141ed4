"""What a training shows on the console: a line for each epoch, and the progress bar."""

import contextlib
import math
from collections.abc import Iterator, Mapping

from torch import Tensor

from dlcourse.config.run_config import AVERAGES, TrainerConfig
from dlcourse.console import Console, format_metric, format_seconds
from dlcourse.tasks.task import Task
from dlcourse.training.length import Length


class Progress:
    """The lines and the bar of one training of this length."""

    def __init__(self, console: Console, task: Task, config: TrainerConfig, length: Length) -> None:
        self._console = console
        self._task = task
        self._config = config
        self._length = length

    @contextlib.contextmanager
    def shown(self, steps_done: int) -> Iterator[None]:
        """Within this, the head of the lines stands above and the bar below."""
        titles = (f"{f'{name}: ' + ' / '.join(splits):>{_width(splits)}}" for name, splits in self._columns())
        self._console.rows(["epoch" + "".join(f"  {title}" for title in titles) + "        lr        time"])
        epochs = self._config.epochs if self._config.time is None else None
        self._console.start_progress(self._length.total, epochs, self._length.done(steps_done))
        try:
            yield
        finally:
            self._console.end_progress()

    def step(self, step: int, epoch: int, loss: Tensor) -> None:
        """Move the bar, at most ten times a second; only then is the loss read off the device."""
        if self._console.wants_progress():
            self._console.progress(self._length.done(step), epoch, loss.item(), self._task.lr)

    def epoch(self, epoch: int, values: Mapping[str, float], seconds: float, *, is_best: bool) -> None:
        """The line of an epoch, of at most 80 characters; a long training shows about as many as fit on a screen."""
        if not self._is_shown(epoch):
            return
        shown = ""
        for name, splits in self._columns():
            numbers = (_number(split, name, values[f"{split}/{name}"]) for split in splits)
            shown += f"  {' / '.join(f'{number:>9}' for number in numbers):>{_width(splits)}}"
        row = f"{epoch:5d}{shown}  {self._task.lr:8.3g}  {format_seconds(seconds):>10}"
        self._console.rows([row], mark="best" if is_best else "")

    def out_of_patience(self, epoch: int, best_epoch: int) -> None:
        """Say why the training ends before its last epoch."""
        self._console.rows([f"stopped after epoch {epoch}: no improvement since {best_epoch}"])

    def _is_shown(self, epoch: int) -> bool:
        return self._length.is_worth_a_row(epoch) or epoch == self._config.eval_every

    def _columns(self) -> list[tuple[str, tuple[str, ...]]]:
        """The numbers of a line, each with the splits it is shown for; averages of the weights take training's place."""
        main = self._task.main_metric
        averages = self._config.averages
        measured = ("val", *averages)
        if main == "loss":
            return [("loss", ("train", *measured))]
        in_training = self._task.measured_in_training and not averages
        losses = ("val",) if len(averages) > 1 else ("train", "val")
        return [("loss", losses), (main, ("train", "val") if in_training else measured)]


def _width(splits: tuple[str, ...]) -> int:
    """Of a column with a number for each of these; two of a single one have the room of two."""
    return 12 * max(2, len(splits)) - 3


def _number(split: str, name: str, value: float) -> str:
    return "-" if split in AVERAGES and math.isnan(value) else format_metric(name, value)
