"""When things happened in a loop: its first step, and its last epoch."""

import time


class Timing:
    """Told of each epoch and step by the loop."""

    def __init__(self) -> None:
        self.first_step_at = 0.0
        self._epoch_began = 0.0
        self._seconds = 0.0

    def begin_epoch(self) -> None:
        """An epoch begins."""
        self._epoch_began = time.perf_counter()

    def after_step(self) -> None:
        """A step is done."""
        if not self.first_step_at:
            self.first_step_at = time.time()

    def end_epoch(self) -> None:
        """The epoch is done."""
        self._seconds = time.perf_counter() - self._epoch_began

    def speed(self, size: int) -> float:
        """Samples per second of the last epoch, which had so many."""
        return size / self._seconds
