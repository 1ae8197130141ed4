"""What is measured while training: the numbers of steps, left on the device until they are logged, and the time."""

import contextlib
import time
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from dlcourse.state_dict import State


class Stopwatch:
    """Adds up the seconds in which it runs."""

    def __init__(self, seconds: float = 0.0) -> None:
        self._seconds = seconds
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        """All seconds so far."""
        return self._seconds + (0.0 if self._since is None else time.perf_counter() - self._since)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Within this, it runs."""
        self._since = time.perf_counter()
        yield
        self._stop()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Within this, it does not run; after, it does if it did before."""
        was_running = self._since is not None
        self._stop()
        yield
        self._since = time.perf_counter() if was_running else None

    def _stop(self) -> None:
        self._seconds, self._since = self.seconds, None


class PendingScalars:
    """The scalars of recent steps, left on the device until they are wanted, so that it need not wait each step."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._values: list[Tensor] = []
        self._sizes: list[int] = []

    def __bool__(self) -> bool:
        return bool(self._sizes)

    def add(self, scalars: Mapping[str, Tensor], size: int) -> None:
        """Keep a step's scalars, each a mean over `size` examples."""
        self._names = list(scalars)
        self._values.extend(value.detach() for value in scalars.values())
        self._sizes.append(size)

    def take(self, last_step: int) -> list[tuple[int, dict[str, float], int]]:
        """The step, numbers and batch size of each pending step, up to the last, which are then forgotten."""
        rows = torch.stack(self._values).reshape(len(self._sizes), -1).tolist()
        steps = range(last_step - len(rows) + 1, last_step + 1)
        taken = [
            (step, dict(zip(self._names, row, strict=True)), size)
            for step, row, size in zip(steps, rows, self._sizes, strict=True)
        ]
        self._values, self._sizes = [], []
        return taken

    def state_dict(self) -> State:
        """What is pending."""
        values = torch.stack(self._values) if self._values else None
        return {"names": list(self._names), "values": values, "sizes": list(self._sizes)}

    def load_state_dict(self, state: State, device: torch.device) -> None:
        """Continue with what was pending; what comes next is on the device, and so must this be."""
        values = state["values"]
        self._names, self._sizes = list(state["names"]), list(state["sizes"])
        self._values = [] if values is None else list(values.to(device).unbind())
