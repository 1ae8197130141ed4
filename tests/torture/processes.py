"""Real processes of dlcourse: started, watched, killed, and what their run folders hold, compared to the last bit."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from dlcourse.cli import main
from dlcourse.runs.find import checkpoints_of
from dlcourse.runs.folder import RunFolder
from dlcourse.runs.resume import epochs_done
from torture.same import TIMES_OF_REPORT, differences

TRAINING = (
    "train",
    "data=iris",
    "model.hidden=[8]",
    "model.dropout=0.2",
    "trainer.batch_size=2",
    "trainer.epochs=3",
    "trainer.log_every=5",
    "trainer.weights=best",
    "device=cpu",
    "device.threads=1",
)
"""54 steps an epoch, 162 in all; with dropout, which draws from the global random state in every step."""
STEPS_PER_EPOCH, STEPS = 54, 162

_POLL = 0.0005
_LIMIT = 60.0
_DRAWS = 10
_CRASHED = 99

IS_POSSIBLE = hasattr(os, "fork") and Path("/proc/self/fd").is_dir()
"""Whether this machine has what copies of a process, and looking at them, take: Linux."""

Found = TypeVar("Found")


class TooLateError(Exception):
    """A process had ended before its signal came: the case says nothing."""


class Process:
    """A running dlcourse in a session of its own, so that a signal can go to it alone or to all its processes."""

    def __init__(self, pid: int, streams: Path, child: "subprocess.Popen[bytes] | None" = None) -> None:
        self.pid = pid
        self._streams = streams
        self._child = child  # which forgets nothing where it is asked again
        self._code: int | None = None

    @property
    def out(self) -> str:
        """What it printed so far."""
        return self._streams.with_suffix(".out").read_text(encoding="utf-8")

    @property
    def err(self) -> str:
        """What it printed on stderr so far."""
        return self._streams.with_suffix(".err").read_text(encoding="utf-8")

    def poll(self) -> int | None:
        """The exit code, negative for the signal that killed it, or None while it runs."""
        if self._code is None and self._child is not None:
            self._code = self._child.poll()
        elif self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code

    def wait(self, limit: float = _LIMIT) -> int:
        """The exit code; raises TimeoutError, after killing what still runs."""
        until = time.monotonic() + limit
        while (code := self.poll()) is None:
            if time.monotonic() > until:
                self.kill()
                raise TimeoutError(f"still running after {limit:.0f} s: {self.out[-300:]} {self.err[-300:]}")
            time.sleep(_POLL)
        return code

    def wait_until(self, condition: Callable[[], bool], limit: float = _LIMIT) -> bool:
        """Whether the condition came true while it ran."""
        until = time.monotonic() + limit
        while not condition():
            if self.poll() is not None or time.monotonic() > until:
                return False
            time.sleep(_POLL)
        return True

    def send(self, number: int, *, to_all: bool = False) -> None:
        """Send a signal to it, or to all its processes, as Ctrl-C in a terminal does; nothing where it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                (os.killpg if to_all else os.kill)(self.pid, number)

    def kill(self) -> None:
        """End it by SIGKILL, and all the processes it started."""
        self.send(signal.SIGKILL, to_all=True)
        self.wait()

    def kill_at(self, run: Path, step: int, rng: random.Random, most: float) -> None:
        """Kill it a moment, of so many seconds at most, after its checkpoint of a step has come.

        Raises TooLateError where it was done before, and RuntimeError where it had failed by itself.
        """
        self.wait_until(lambda: steps_saved(run) >= step)
        time.sleep(rng.random() * most)
        self.kill()
        self.require_killed()

    def require_killed(self) -> None:
        """Raise TooLateError where it was done before it was killed, and RuntimeError where it had failed by itself."""
        code = self.wait()
        if code == 0:
            raise TooLateError
        if code != -signal.SIGKILL:
            raise RuntimeError(f"exit {code} before it was killed: {self.err.strip()[-400:]}")


def in_time(case: Callable[[Path], Found], folders: Iterator[Path]) -> Found:
    """What a case in a new folder brings, drawn again where its signal came too late; RuntimeError where it always does."""
    for _ in range(_DRAWS):
        with contextlib.suppress(TooLateError):
            return case(next(folders))
    raise RuntimeError(f"too late {_DRAWS} times one after another")


def start(words: Sequence[str], folder: Path, before: str = "") -> Process:
    """The real command `dlcourse WORDS` in a folder; or `before`, lines of Python, then the command."""
    command = [str(Path(sys.executable).parent / "dlcourse"), *words]
    if before or not Path(command[0]).is_file():
        program = f"{before}\nfrom dlcourse.cli.main import command\ncommand()"
        command = [sys.executable, "-c", program, *words]
    streams = _streams(folder)
    with streams.with_suffix(".out").open("wb") as out, streams.with_suffix(".err").open("wb") as err:
        child = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
            preexec_fn=_heed_signals,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
    return Process(child.pid, streams, child)


def fork(words: Sequence[str], folder: Path, *defects: Callable[[], None], pictures: bool = False) -> Process:
    """`dlcourse WORDS` as a copy of this process, which spares the imports; `defects` change dlcourse in the copy.

    Pictures are left blank where they are not asked for: drawing them takes most of the time of a tiny run.
    """
    streams = _streams(folder)
    changes = [*([] if pictures else [_leave_pictures_blank]), *defects]
    return Process(in_copy(lambda: _become_dlcourse(words, folder, streams, changes)), streams)


def in_copy(work: Callable[[], int]) -> int:
    """The id of a copy of this process that works and ends with the exit code that is returned, or 99 and a traceback."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of threads, which copies do not use
        pid = os.fork()
    if pid:
        return pid
    code = _CRASHED
    try:
        code = work()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def warm_up(folder: Path) -> None:
    """Import all that a training imports, so that copies of this process need not: one tiny run."""
    changes = ("data=blobs", "trainer.epochs=1", "trainer.batch_size=full", f"run.dir={folder / 'warm_up'}")
    keys = {change.partition("=")[0] for change in changes}
    words = [*(word for word in TRAINING if word.partition("=")[0] not in keys), *changes]
    with (folder / "warm_up.out").open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        code = main.main(words)
    if code != 0:
        raise RuntimeError(f"the first run of all ended with {code}")


def done(process: Process, code: int = 0) -> str:
    """Nothing where the process ends with this code, and what it said where not."""
    ended = process.wait()
    return "" if ended == code else f"exit {ended} instead of {code}: {process.err.strip()[-400:]}"


def steps_saved(run: Path) -> int:
    """The step of the newest checkpoint by its name, -1 where there is none."""
    names = [path.name for path in run.glob("checkpoints/step-*")]
    return max((int(name[5:13]) for name in names), default=-1)


def epoch_saved(run: Path) -> int:
    """The whole epochs behind the newest good checkpoint."""
    checkpoint, _ = checkpoints_of(RunFolder(run)).newest()
    assert checkpoint is not None
    return epochs_done(checkpoint)


def difference(run: Path, reference: Path) -> str:
    """Nothing where a finished run is the reference to the last bit, and what differs if not."""
    try:
        found = differences(run, reference)
        ours, theirs = (_timeless(json.loads((folder / "report.json").read_text())) for folder in (run, reference))
    except (OSError, ValueError, AssertionError, KeyError) as error:
        return f"the run folder cannot be compared: {error!r}"
    return "; ".join(found if ours == theirs else [*found, "report.json differs"])


def _timeless(report: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in report.items() if key not in TIMES_OF_REPORT}


def _streams(folder: Path) -> Path:
    """Where a process's output goes: no two processes share it."""
    number = len(list(folder.glob(".process-*.out")))
    return folder / f".process-{number:03d}"


def _heed_signals() -> None:
    """What a shell gives a command; one in the background, as this process may be, ignores Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _become_dlcourse(words: Sequence[str], folder: Path, streams: Path, defects: Sequence[Callable[[], None]]) -> int:
    """In the copy: be as a command that has just been started, which ends the process by itself."""
    os.setsid()
    _heed_signals()
    for number, suffix in ((1, ".out"), (2, ".err")):
        file = os.open(streams.with_suffix(suffix), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        os.dup2(file, number)
        os.close(file)
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    os.chdir(folder)
    warnings.resetwarnings()
    sys.argv = ["dlcourse", *words]
    for defect in defects:
        defect()
    main.command()
    raise AssertionError("the command returned instead of ending its process")


def _leave_pictures_blank() -> None:
    import numpy as np

    from dlcourse.runs import logger

    logger.to_image = lambda picture: np.zeros((4, 4, 3), np.uint8)


def numbered(folder: Path) -> Iterator[Path]:
    """New folders below this one, one after another."""
    number = 0
    while True:
        number += 1
        path = folder / f"{number:03d}"
        path.mkdir(parents=True)
        yield path
