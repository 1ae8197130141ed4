"""Processes that take run after run, forked from this one, which has imported what they need and has not computed yet.

A run that crashes takes its worker with it and nothing else; another worker takes its place. Workers end with this process,
however it ends. Where a process cannot be forked, each run is a command of its own, which takes longer to start.
"""

import contextlib
import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from dlcourse.signals import be_child
from dlcourse.terminal import guarded

_GLANCE = 0.1  # seconds between looks at the clock and at signals
_GRACE = 30.0  # seconds in which a run that is told to stop may save itself
_MOST_BYTES = 2**30  # by which a worker may grow over its first run: what runs leave behind must not add up


@dataclass(frozen=True)
class Task:
    """A run to be done by a worker: `work` returns an exit code, and what it prints goes to the file `log`.

    `command` does the same in a process of its own, where a process cannot be forked.
    """

    number: int
    work: Callable[[], int]
    log: Path
    command: Sequence[str] = ()


@dataclass(frozen=True)
class Ended:
    """How a task ended: with an exit code, minus the number of a signal, or None for one that took too long."""

    task: Task
    code: int | None
    seconds: float


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    task: Task | None = None
    began: float = 0.0
    told_at: float | None = None
    is_late: bool = False


@dataclass(frozen=True)
class Team:
    """What workers and whoever waits for them have in common.

    `jobs` of them work at a time, `seconds` is how long a task may take, and each worker begins with `prepare`.
    """

    tasks: Sequence[Task]
    jobs: int
    seconds: float | None
    prepare: Callable[[], None]


def run_all(team: Team, stopped: Callable[[], bool], begun: Callable[[Task], None]) -> Iterator[Ended]:
    """Do all tasks; gives each as it ends.

    Once `stopped` says so, no further one is begun, and those that run are told to stop. No process is left afterwards.
    """
    return (_run_forked if can_fork() else _run_commands)(team, stopped, begun)


def can_fork() -> bool:
    """Whether a process that has imported torch may be forked; on macOS its libraries do not take it."""
    return hasattr(os, "fork") and sys.platform != "darwin"


def _run_commands(team: Team, stopped: Callable[[], bool], begun: Callable[[Task], None]) -> Iterator[Ended]:
    waiting, running = list(team.tasks), list[_Command]()
    try:
        while running or (waiting and not stopped()):
            while waiting and len(running) < team.jobs and not stopped():
                begun(waiting[0])
                running.append(_Command(waiting.pop(0)))
            _tell_to_stop(running, team.seconds, stopped())
            time.sleep(_GLANCE)
            for command in [command for command in running if command.process.poll() is not None]:
                running.remove(command)
                code = None if command.is_late else command.process.returncode
                yield Ended(command.task, code, time.monotonic() - command.began)
    finally:
        for command in running:
            command.process.kill()
            command.process.wait()


class _Command:
    """A task done by its command."""

    def __init__(self, task: Task) -> None:
        self.task, self.began = task, time.monotonic()
        self.told_at: float | None = None
        self.is_late = False
        with task.log.open("ab") as log:
            self.process = subprocess.Popen(task.command, stdout=log, stderr=subprocess.STDOUT)  # noqa: S603 - dlcourse


def _run_forked(team: Team, stopped: Callable[[], bool], begun: Callable[[Task], None]) -> Iterator[Ended]:
    waiting, workers = list(team.tasks), [_hire(team) for _ in range(min(team.jobs, len(team.tasks)))]
    try:
        while True:
            for worker in workers:
                if worker.task is None and waiting and not stopped():
                    begun(waiting[0])
                    _give(worker, waiting.pop(0))
            busy = [worker for worker in workers if worker.task is not None]
            if not busy:
                return
            _tell_to_stop(busy, team.seconds, stopped())
            wait([item for worker in busy for item in (worker.connection, worker.process.sentinel)], _GLANCE)
            for place, worker in enumerate(workers):
                if ended := _ended(worker):
                    if not worker.process.is_alive() and waiting:
                        workers[place] = _hire(team)
                    yield ended
    finally:
        for worker in workers:
            worker.process.kill() if worker.task is not None else worker.connection.close()
        for worker in workers:
            worker.process.join()


def _hire(team: Team) -> _Worker:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_serve, args=(theirs, ours, team, os.getpid()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads: those that are here wait for work
        process.start()
    theirs.close()
    return _Worker(process, ours)


def _give(worker: _Worker, task: Task) -> None:
    worker.task, worker.began, worker.told_at, worker.is_late = task, time.monotonic(), None, False
    with contextlib.suppress(BrokenPipeError):  # killed while it waited: seen when its end is asked for
        worker.connection.send(task.number)


def _ended(worker: _Worker) -> Ended | None:
    """How the worker's task ended, if it has; then the worker has none."""
    if worker.task is None:
        return None
    code = None
    if worker.connection.poll():
        with contextlib.suppress(EOFError, ConnectionError):
            code, goes_on = worker.connection.recv()
            if not goes_on:
                worker.process.join()
    if code is None:
        if worker.process.is_alive():
            return None
        worker.process.join()
        code = worker.process.exitcode
    task, worker.task = worker.task, None
    return Ended(task, None if worker.is_late else code, time.monotonic() - worker.began)


def _tell_to_stop(busy: Sequence[_Worker | _Command], seconds: float | None, is_stopped: bool) -> None:
    """Send SIGTERM to the workers that are to stop, and SIGKILL to those that have not after a while."""
    now = time.monotonic()
    for worker in busy:
        is_late = seconds is not None and now - worker.began > seconds
        if worker.told_at is None and (is_late or is_stopped):
            worker.told_at, worker.is_late = now, is_late and not is_stopped
            worker.process.terminate()
        elif worker.told_at is not None and worker.is_late and now - worker.told_at > _GRACE:
            worker.process.kill()


def _serve(connection: Connection, parents: Connection, team: Team, parent: int) -> None:
    """What a worker does: tasks by their numbers, until there are no more, or one was told to stop."""
    be_child()
    parents.close()
    _end_with(parent)
    team.prepare()
    # Whatever took their places in the parent has no say over what is written here.
    sys.stdout, sys.stderr = (os.fdopen(stream, "w", 1, "utf-8", closefd=False) for stream in (1, 2))
    tasks = {task.number: task for task in team.tasks}
    least = 0
    with contextlib.suppress(EOFError):
        while True:
            task = tasks[connection.recv()]
            code = _logged(task)
            least = least or _resident_bytes()
            goes_on = code < 128 and _resident_bytes() < least + _MOST_BYTES
            connection.send((code, goes_on))
            if not goes_on:
                break
    os._exit(0)  # nothing of the parent is to be cleaned up here


def _logged(task: Task) -> int:
    """Do the task with everything that is printed in its log."""
    file = os.open(task.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.close(file)
    with guarded():
        code = task.work()
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
