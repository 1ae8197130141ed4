"""What a run says on the console: labeled lines, one line an epoch, and a progress bar on a terminal."""

import contextlib
import os
import sys
import time
from collections.abc import Iterable

from tqdm import tqdm

from dlcourse import terminal

_LABEL_WIDTH = 7
_REFRESH_SECONDS = 0.1
_BAR = "epoch {epoch}  run {{percentage:3.0f}} % {{bar}} {numbers}{{remaining}} left"
_SWEEP_BAR = "sweep {percentage:3.0f} % {bar} {n_fmt} of {total_fmt} runs  {remaining} left"


class Console:
    """Writes to standard output; the progress bar goes to standard error and only if that is a terminal."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._shows_bar = sys.stderr.isatty() and not quiet
        self._bar: tqdm | None = None  # type: ignore[type-arg]
        self._next_refresh = 0.0
        self._epochs: int | None = 0

    def say(self, label: str, *lines: str) -> None:
        """One or more lines under a label, folded to the terminal: `data   54,000 train / ...`."""
        pieces = [piece for line in lines for piece in _pieces(line, _LABEL_WIDTH)]
        for number, piece in enumerate(pieces):
            self._print_labeled(label if number == 0 else "", piece)

    def show(self, label: str, text: str) -> None:
        """A path or a command under a label: in one line however long, so that it can be copied."""
        self._print_labeled(label, terminal.escaped(text, one_line=True))

    def rows(self, lines: Iterable[str], *, mark: str = "") -> None:
        """Lines without a label, folded to the terminal; behind the last a mark of success, if any."""
        pieces = [piece for line in lines for piece in _pieces(line, 0)]
        for number, piece in enumerate(pieces, start=1):
            is_marked = mark and number == len(pieces)
            self._print(f"{piece}  {terminal.styled(mark, 'green')}" if is_marked else piece)

    def start_progress(self, total: int, epochs: int | None, done: int = 0) -> None:
        """Begin the bar of a whole training, of which `done` was made before; `epochs` is None if unknown."""
        self._epochs = epochs
        self._start_bar(_BAR.format(epoch=self._counted(1), numbers=""), total, done)

    def _counted(self, epoch: int) -> str:
        return str(epoch) if self._epochs is None else f"{epoch}/{self._epochs}"

    def start_runs(self, total: int, done: int) -> None:
        """Begin the bar of a sweep of `total` runs; `done` of them were finished before."""
        self._start_bar(_SWEEP_BAR, total, done)

    def runs_done(self, count: int) -> None:
        """Move the bar of a sweep forward by `count` runs."""
        if self._bar is not None:
            self._bar.ncols = _bar_width()
            self._bar.update(count)
            self._bar.refresh()

    def _start_bar(self, layout: str, total: int, done: int) -> None:
        if self._shows_bar:
            self._bar = tqdm(
                total=total,
                initial=done,
                file=terminal.unguarded(sys.stderr),
                bar_format=layout,
                leave=False,
                ncols=_bar_width(),
                mininterval=0,
                miniters=1,
            )

    def wants_progress(self) -> bool:
        """Whether it is time to move the bar, at most ten times a second."""
        return self._bar is not None and time.monotonic() >= self._next_refresh

    def progress(self, done: int, epoch: int, loss: float, rate: float) -> None:
        """Move the bar: its length is the share of the whole run."""
        if self._bar is None:
            return
        self._next_refresh = time.monotonic() + _REFRESH_SECONDS
        numbers = f"loss {format_metric('loss', loss):<7} lr {rate:<9.3g}"
        self._bar.bar_format = _BAR.format(epoch=self._counted(epoch), numbers=numbers)
        self._bar.ncols = _bar_width()
        self._bar.update(done - self._bar.n)

    def end_progress(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _print_labeled(self, label: str, line: str) -> None:
        self._print(f"{terminal.styled(label, 'bold')}{' ' * (_LABEL_WIDTH - len(label))}{line}".rstrip())

    def _print(self, line: str) -> None:
        if self._quiet:
            return
        if self._bar is not None:
            self._bar.clear()
        try:
            print(line, flush=True)
        except OSError:  # whoever read it has gone: no reason to end a training
            self._quiet = True
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _bar_width() -> int:
    """A column is left free: some terminals begin a new line behind the last."""
    return terminal.width() - 1


def _pieces(line: str, before: int) -> list[str]:
    return terminal.fitted(terminal.escaped(line, one_line=True), before, indent=2)


def format_metric(name: str, value: float) -> str:
    """A number as its kind is read: shares as percentages, the rest with four decimals or four digits."""
    if is_share(name):
        return f"{100 * value:.2f} %"
    return f"{value:.4f}" if 0.001 <= abs(value) < 1000 else f"{value:.4g}"


def is_share(name: str) -> bool:
    """Whether a number of this name is a share from 0 to 1, which is read as a percentage."""
    return name.rpartition("/")[2].startswith(("accuracy", "top"))


def format_seconds(seconds: float) -> str:
    """A duration as a person says it: `12 ms`, `4.0 s`, `18 s`, `3 min 20 s`."""
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
