"""Being told to stop: Ctrl-C, SIGTERM, SIGUSR1 and SIGHUP, heeded at the next point where the run can be saved.

The handler itself only takes note, or raises if nothing is half done. A second Ctrl-C ends the process at once, unless it is
a host's, such as a notebook's.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGUSR1": 143, "SIGHUP": 129}
"""128 + the number of the signal; SIGUSR1, with which batch systems give notice, ends as SIGTERM does."""


_listening: list["Stop"] = []
"""The innermost is last."""

_is_in_host = False
"""Whether the process is another program's, which is not to end with a run."""


class StoppedError(SystemExit):
    """The run was told to stop. Its code is the exit code, its `signal` the name of what told it."""

    def __init__(self, name: str) -> None:
        super().__init__(_CODES[name])
        self.signal = name


class Stop:
    """Listens for the signals while it is entered, in the main thread; elsewhere it hears nothing."""

    def __init__(self) -> None:
        self.received: str | None = None
        self._waits = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Stop":
        _listening.append(self)
        if threading.current_thread() is threading.main_thread():
            for number in _numbers():
                if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup sets it
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        _listening.remove(self)

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Within this, a signal is only noted; `check` heeds it."""
        with self._waiting(True):
            yield

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Within this, a signal raises StoppedError wherever it comes: for work that can be thrown away."""
        with self._waiting(False):
            self.check()
            yield

    def check(self) -> None:
        """Raise StoppedError if a signal was noted."""
        if self.received is not None:
            raise StoppedError(self.received)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Within this, a signal is only noted; the end heeds it, if it would have been heeded at once."""
        with self.deferred():
            yield
        if not self._waits:
            self.check()

    @contextlib.contextmanager
    def _waiting(self, waits: bool) -> Iterator[None]:
        before, self._waits = self._waits, waits
        try:
            yield
        finally:
            self._waits = before

    def _handle(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self.received is not None and name == "SIGINT":
            if _is_in_host:
                raise KeyboardInterrupt
            os._exit(_CODES[name])
        first, self.received = self.received is None, self.received or name
        if first and not self._waits:
            raise StoppedError(name)


@contextlib.contextmanager
def in_host() -> Iterator[None]:
    """Within this the process is another program's, such as a notebook's: a second Ctrl-C raises KeyboardInterrupt there."""
    global _is_in_host
    before, _is_in_host = _is_in_host, True
    try:
        yield
    finally:
        _is_in_host = before


@contextlib.contextmanager
def making_processes() -> Iterator[None]:
    """Make processes in this: they hear none of the signals, also if Ctrl-C goes to all, and end with this one.

    Here a signal has to wait until they are made: what is raised in the middle of a fork gets lost, or is printed.
    """
    with _listening[-1].held() if _listening else contextlib.nullcontext():
        if not hasattr(signal, "pthread_sigmask"):  # Windows, which does not fork
            yield
            return
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _numbers())
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def forget_children() -> None:
    """Let nobody in this process, such as a DataLoader, raise because a process that it started has ended."""
    if hasattr(signal, "SIGCHLD") and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def end_quietly() -> None:
    """Make the process just end if a signal other than Ctrl-C comes while no run is there that could be saved."""
    for number in _numbers():
        if signal.getsignal(number) is signal.SIG_DFL:  # Python's own for Ctrl-C is another one
            signal.signal(number, lambda number, _: os._exit(_CODES[signal.Signals(number).name]))


def be_child() -> None:
    """In a forked process: listen to nobody else's signals; one that comes between two runs ends the process at once."""
    _listening.clear()
    for number in _numbers():
        signal.signal(number, lambda number, _: os._exit(_CODES[signal.Signals(number).name]))


def _numbers() -> list[int]:
    return [getattr(signal, name) for name in _CODES if hasattr(signal, name)]  # Windows has no SIGUSR1
