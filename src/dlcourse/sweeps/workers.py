"""Processes that take run after run, forked from this one, which has imported what they need and has not computed yet.

A run that crashes takes its worker with it and nothing else; another worker takes its place. Workers end with this process,
however it ends. Where a process cannot be forked, each run is a command of its own, which takes longer to start.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcourse.signals import be_child
from dlcourse.terminal import guarded

_GLANCE = 0.1  # seconds between looks at the clock and at signals
_GRACE = 30.0  # seconds in which a run that is told to stop may save itself
_MOST_BYTES = 2**30  # by which a worker may grow over its first run: what runs leave behind must not add up
_TOLD_TO_STOP = 128  # from here on, an exit code says that a signal ended the run


@dataclass(frozen=True)
class Task:
    """A run to be done by a worker as `order` says, a line of text; what it prints goes to the file `log`.

    `command` does the same in a process of its own, where a process cannot be forked.
    """

    number: int
    order: str
    log: Path
    command: Sequence[str] = ()


@dataclass(frozen=True)
class Ended:
    """How a task ended: with an exit code, minus the number of a signal, or None for one that took too long."""

    task: Task
    code: int | None
    seconds: float


@dataclass(frozen=True)
class Team:
    """What workers and whoever waits for them have in common.

    `jobs` of them work at a time, `seconds` is how long a task may take, each worker begins with `prepare`, and `work` does
    what a task's order says and returns an exit code.
    """

    jobs: int
    seconds: float | None
    prepare: Callable[[], None]
    work: Callable[[str], int]


def run_all(team: Team, take: Callable[[], Task | None], stopped: Callable[[], bool]) -> Iterator[Ended]:
    """Do the tasks that `take` gives, until it gives none while nothing runs; gives each as it ends.

    What to take may depend on how those before it have ended. Once `stopped` says so, no further one is taken, and those
    that run are told to stop. No process is left afterwards.
    """
    hire: Callable[[Team], _Worker | _Command] = _Worker if can_fork() else _Command
    workers = [hire(team) for _ in range(team.jobs)]
    try:
        while True:
            for place, worker in enumerate(workers):
                if worker.task is None and not stopped() and (task := take()) is not None:
                    if not worker.is_there():
                        worker.dismiss()
                        worker = workers[place] = hire(team)
                    worker.begin(task)
            busy = [worker for worker in workers if worker.task is not None]
            if not busy:
                return
            _tell_to_stop(busy, team.seconds, stopped())
            _wait_for_news(busy)
            for worker in busy:
                code = worker.exit_code()
                if code is not None and worker.task is not None:
                    seconds = time.monotonic() - worker.began
                    task, worker.task = worker.task, None
                    yield Ended(task, None if worker.is_late else code, seconds)
    finally:
        for worker in workers:
            worker.dismiss()
        for worker in workers:  # of which each has a copy of the pipes of those before it
            worker.wait()


def can_fork() -> bool:
    """Whether a process that has imported torch may be forked; on macOS its libraries do not take it."""
    return hasattr(os, "fork") and sys.platform != "darwin"


class _Doer:
    """Whoever does a task: since when, and since when it has been told to stop, because it took too long or otherwise."""

    task: Task | None = None
    began = 0.0
    told_at: float | None = None
    is_late = False
    news: int | None = None
    """The file descriptor that can be read once there is news, if there is one."""

    def begin(self, task: Task) -> None:
        self.task, self.began, self.told_at, self.is_late = task, time.monotonic(), None, False


class _Worker(_Doer):
    """A forked process that does tasks: their orders go down one pipe, their exit codes come back through another."""

    def __init__(self, team: Team) -> None:
        (theirs, orders), (self.news, answers) = os.pipe(), os.pipe()
        self._orders = os.fdopen(orders, "w", encoding="utf-8")
        self._code: int | None = None
        parent = os.getpid()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads: those that are here wait for work
            self.process = os.fork()
        if self.process == 0:
            try:
                os.close(orders)
                os.close(self.news)
                _serve(team, theirs, answers, parent)
            finally:
                os._exit(1)  # nothing of the parent is to be cleaned up here
        os.close(theirs)
        os.close(answers)

    def is_there(self) -> bool:
        if self._code is None:
            process, status = os.waitpid(self.process, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if process else None
        return self._code is None

    def begin(self, task: Task) -> None:
        super().begin(task)
        with contextlib.suppress(BrokenPipeError):  # killed while it waited: seen when its exit code is asked for
            print(json.dumps([str(task.log), task.order]), file=self._orders, flush=True)

    def exit_code(self) -> int | None:
        """That of the task, or if the worker has ended without one, its own; None while it works."""
        assert self.news is not None
        if not select.select([self.news], [], [], 0)[0]:
            return None
        if answer := os.read(self.news, 100):
            code, ends = map(int, answer.split())
            if ends:  # it must not be given another task on its way out
                self.wait()
            return code
        return self.wait()

    def send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process, number)

    def dismiss(self) -> None:
        """Let the worker end, at once if it is still at work."""
        assert self.news is not None
        if self.is_there() and self.task is not None:
            self.send(signal.SIGKILL)
        with contextlib.suppress(BrokenPipeError):  # of an order that nobody was there to take
            self._orders.close()
        os.close(self.news)

    def wait(self) -> int:
        """Wait for its end."""
        if self._code is None:
            self._code = os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])
        return self._code


class _Command(_Doer):
    """Does a task by its command."""

    _process: "subprocess.Popen[bytes] | None" = None

    def __init__(self, team: Team) -> None:
        del team

    def is_there(self) -> bool:
        return True

    def begin(self, task: Task) -> None:
        super().begin(task)
        with task.log.open("ab") as log:
            self._process = subprocess.Popen(task.command, stdout=log, stderr=subprocess.STDOUT)  # noqa: S603 - dlcourse

    def exit_code(self) -> int | None:
        return None if self._process is None else self._process.poll()

    def send(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def dismiss(self) -> None:
        if self._process is not None:
            self._process.kill()

    def wait(self) -> None:
        if self._process is not None:
            self._process.wait()


def _wait_for_news(busy: Sequence[_Worker | _Command]) -> None:
    sources = [worker.news for worker in busy if worker.news is not None]
    if sources:
        select.select(sources, [], [], _GLANCE)
    else:
        time.sleep(_GLANCE)


def _tell_to_stop(busy: Sequence[_Worker | _Command], seconds: float | None, is_stopped: bool) -> None:
    """Send SIGTERM to those that are to stop, and SIGKILL to those that took too long and have not after a while."""
    now = time.monotonic()
    for worker in busy:
        is_late = seconds is not None and now - worker.began > seconds
        if worker.told_at is None and (is_late or is_stopped):
            worker.told_at, worker.is_late = now, is_late and not is_stopped
            worker.send(signal.SIGTERM)
        elif worker.told_at is not None and worker.is_late and now - worker.told_at > _GRACE:
            worker.send(getattr(signal, "SIGKILL", signal.SIGTERM))


def _serve(team: Team, orders: int, answers: int, parent: int) -> None:
    """What a worker does: one order after the other, until there are no more, or one was told to stop."""
    be_child()
    _end_with(parent)
    team.prepare()
    # Whatever took their places in the parent has no say over what is written here.
    sys.stdout, sys.stderr = (os.fdopen(stream, "w", 1, "utf-8", closefd=False) for stream in (1, 2))
    least = 0
    with os.fdopen(orders, encoding="utf-8") as lines:
        for line in iter(lines.readline, ""):
            log, order = json.loads(line)
            code = _logged(team.work, order, log)
            least = least or _resident_bytes()
            ends = code >= _TOLD_TO_STOP or _resident_bytes() > least + _MOST_BYTES
            os.write(answers, f"{code} {int(ends)}\n".encode())
            if ends:
                break
    os._exit(0)


def _logged(work: Callable[[str], int], order: str, log: str) -> int:
    """Do what the order says with everything that is printed in its log."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.close(file)
    with guarded():
        code = work(order)
    for output in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            output.flush()
    return code


def _end_with(parent: int) -> None:
    """Ask the kernel for SIGTERM when the parent dies, with which a run saves itself and ends."""
    if sys.platform == "linux":
        set_signal_of_parents_death = 1
        libc: Any = ctypes.CDLL(None)
        libc.prctl(set_signal_of_parents_death, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(143)


def _resident_bytes() -> int:
    """The memory in use by this process; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
