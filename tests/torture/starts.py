"""R11: runs that start at the same moment never share a folder, and of two that want the same one exactly one gets it."""

import contextlib
import functools
import io
import os
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from dlcourse.cli.main import main
from dlcourse.config.run_config import FolderConfig
from dlcourse.errors import UserError
from dlcourse.runs import folder as run_module
from dlcourse.runs.folder import RunFolder
from dlcourse.runs.logger import Logger
from dlcourse.runs.metrics_log import METRICS, read_metrics
from torture.outcome import Outcome
from torture.processes import in_copy

TINY = ["data=iris", "model.hidden=[4]", "trainer.epochs=1"]

_LINES = 20


def start_together(works: list[Callable[[], int]]) -> list[tuple[int, int]]:
    """Process id and exit code of each work, all of them let go at once, each in a process of its own."""
    waiting, gate = os.pipe()

    def wait_and_do(work: Callable[[], int]) -> int:
        os.close(gate)
        os.read(waiting, 1)  # ends when the parent closes its side
        return work()

    processes = [in_copy(functools.partial(wait_and_do, work)) for work in works]
    os.close(waiting)
    os.close(gate)
    return [(process, os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])) for process in processes]


def command(words: list[str], err: Path) -> Callable[[], int]:
    """The command, what it says as an error in a file."""

    def work() -> int:
        said = io.StringIO()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
            code = main(words)
        err.write_text(said.getvalue())
        return code

    return work


def claim(root: Path) -> Callable[[], int]:
    """Make a run folder, as `train` does, and log into it who did."""

    def work() -> int:
        folder = RunFolder.create(FolderConfig(root=str(root)), "tiny")
        try:
            with folder.locked(), Logger(folder) as logger:
                for line in range(_LINES):
                    logger.scalars("train", line, 1, {"process": float(os.getpid())})
        except UserError:  # another has the folder
            return 2
        return 0

    return work


def without_names(folder: Path, count: int, trainings: int) -> list[str]:
    """What went wrong with so many starts at once, of which some are whole trainings; a line for each."""
    root = folder / "outputs"
    works = [claim(root) for _ in range(count - trainings)]
    works += [command(["train", *TINY, f"run.root={root}"], folder / f"{n}.err") for n in range(trainings)]
    ended = start_together(works)
    wrong = [f"process {process} ended with {code}" for process, code in ended if code != 0]
    claimed = list((root / "tiny").iterdir())
    trained = list((root / "iris-mlp").iterdir()) if trainings else []
    wrong += [f"{count} starts, {len(claimed) + len(trained)} folders"] * (len(claimed) + len(trained) != count)
    owners = Counter(process for path in claimed for process in _loggers(path))
    for path in claimed:
        lines = list(read_metrics(path / METRICS))
        if len(_loggers(path)) != 1 or len(lines) != _LINES:
            wrong.append(f"{path.name}: {len(lines)} lines of {len(_loggers(path))} processes")
        elif not (path / ".lock").read_text().startswith(f"process {_loggers(path).pop():.0f} on "):
            wrong.append(f"{path.name}: the lock names another process")
    wrong += [f"process {process:.0f} logs in {folders} folders" for process, folders in owners.items() if folders > 1]
    for path in trained:
        steps = [record["step"] for record in read_metrics(path / METRICS)]
        if steps != sorted(steps) or '"done"' not in (path / "run.json").read_text():
            wrong.append(f"{path.name}: mixed or unfinished")
    return wrong


def _loggers(path: Path) -> set[float]:
    return {record["train/process"] for record in read_metrics(path / METRICS)}


def same_name(folder: Path) -> str:
    """What went wrong with two starts that ask for the same folder."""
    words = ["train", *TINY, f"run.dir={folder / 'same'}"]
    ended = start_together([command(words, folder / f"{n}.err") for n in (0, 1)])
    codes = [code for _, code in ended]
    if sorted(codes) != [0, 2]:
        return f"exit codes {codes}"
    said = (folder / f"{codes.index(2)}.err").read_text()
    return "" if re.fullmatch(r"dlcourse: error: run\.dir=\S+/same exists already; [^\n]*\n", said) else said


def in_use(folder: Path, words: list[str]) -> str:
    """What went wrong with a second process that wants to go on with a run while this one has it."""
    path = folder / "run"
    with RunFolder(path).locked():
        ((_, code),) = start_together([command(words, folder / "second.err")])
    said = (folder / "second.err").read_text()
    expected = f"dlcourse: error: {path} is in use by process {os.getpid()} on "
    return "" if code == 2 and said.startswith(expected) and said.count("\n") == 1 else f"exit code {code}: {said}"


def run(count: int, seed: int, folder: Path) -> Outcome:
    """So many starts at once without a name, a tenth of them whole trainings, and a tenth as many pairs with the same."""
    outcome = Outcome("R11", f"{count} simultaneous starts, {max(1, count // 10)} pairs (seed {seed})")
    started = time.monotonic()
    generator = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.redirect_stdout(io.StringIO()):
        warm = main(["train", *TINY, f"run.dir={folder / 'run'}"])  # children start with everything imported
    assert warm == 0
    wrong = without_names(folder, count, max(1, count // 10))
    outcome.total += count
    outcome.passed += max(0, count - len(wrong))
    outcome.failures += wrong
    for number in range(max(1, count // 10)):
        place = folder / f"pair-{number}"
        place.mkdir()
        found = same_name(place)
        outcome.count(not found, found)
    for _ in range(max(1, count // 20)):
        change = generator.choice([[], ["trainer.epochs=5"]])
        found = in_use(folder, ["resume", str(folder / "run"), *change])
        outcome.count(not found, found)
    place = folder / "control"
    place.mkdir()
    with mock.patch.object(run_module, "claim_folder", _claim_by_time):
        shared = any(re.fullmatch(r"20 starts, \d+ folders", line) for line in without_names(place, 20, 0))
    outcome.controls = [("folders named by time alone", int(not shared), 1)]
    outcome.seconds = time.monotonic() - started
    return outcome


def _claim_by_time(parent: Path) -> Path:
    path = parent / time.strftime("%Y-%m-%d_%H%M")
    path.mkdir(parents=True, exist_ok=True)
    return path
