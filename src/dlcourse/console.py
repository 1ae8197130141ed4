"""What a run says on the console: labelled lines, one line an epoch, and a progress bar on a terminal."""

import contextlib
import os
import sys
import time
from collections.abc import Iterable

from tqdm import tqdm

_LABEL_WIDTH = 7
_REFRESH_SECONDS = 0.1


class Console:
    """Writes to standard output; the progress bar goes to standard error and only where that is a terminal."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._shows_bar = sys.stderr.isatty() and not quiet
        self._bar: tqdm | None = None  # type: ignore[type-arg]
        self._next_refresh = 0.0

    def say(self, label: str, *lines: str) -> None:
        """One or more lines under a label: `data   54,000 train / ...`."""
        for number, line in enumerate(lines):
            self._print(f"{label if number == 0 else '':<{_LABEL_WIDTH}}{line}".rstrip())

    def rows(self, lines: Iterable[str]) -> None:
        """Lines as they are."""
        for line in lines:
            self._print(line)

    def start_progress(self, total_steps: int) -> None:
        """Begin the bar of a whole training."""
        if self._shows_bar:
            self._bar = tqdm(
                total=total_steps, unit="step", leave=False, dynamic_ncols=True, mininterval=_REFRESH_SECONDS
            )

    def wants_progress(self) -> bool:
        """Whether it is time to move the bar, at most ten times a second."""
        return self._bar is not None and time.monotonic() >= self._next_refresh

    def progress(self, step: int, epoch: int, loss: float, rate: float) -> None:
        """Move the bar to a step."""
        if self._bar is None:
            return
        self._next_refresh = time.monotonic() + _REFRESH_SECONDS
        self._bar.set_description(f"epoch {epoch}", refresh=False)
        self._bar.set_postfix_str(f"loss {loss:.4f}, lr {rate:.3g}", refresh=False)
        self._bar.update(step - self._bar.n)

    def end_progress(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

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


def format_metric(name: str, value: float) -> str:
    """A number as its kind is read: shares as percentages, the rest with four decimals or four digits."""
    if name.rpartition("/")[2].startswith(("accuracy", "top")):
        return f"{100 * value:.2f} %"
    return f"{value:.4f}" if 0.001 <= abs(value) < 1000 else f"{value:.4g}"


def format_seconds(seconds: float) -> str:
    """A duration as a person says it: `12 ms`, `4.0 s`, `18 s`, `3 min 20 s`."""
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
