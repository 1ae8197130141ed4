"""`dlcourse resume RUN report=full` is killed at one change after the other that it makes to the run folder.

What it leaves is resumed, and must then be the run that drew its pictures from the beginning, to the bit.
"""

import functools
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from dlcourse.cli.main import main as dlcourse
from torture.outcome import Outcome
from torture.same import differences
from torture.warm import TINY, in_child, wait, warm_up

WORDS = (*TINY, "data=digits", "data.subset=160", "model=mlp", "model.hidden=[24]")

_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.link")
_TO_WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_FEWEST = 25
"""Changes that such a command makes at least: with fewer, some were not seen."""


def kill_at_each_change(folder: Path, every: int) -> Outcome:
    """Kill at every so many changes. Whoever resumes as if it had been a training may have to ask for pictures again."""
    warm_up(folder)
    log, run = folder / "log", folder / "run"
    whole, light = folder / "whole", folder / "light"
    for report, place in (("full", whole), ("light", light)):
        _do(["train", *WORDS, f"report={report}", f"run.dir={place}"], log)
    outcome, change = Outcome("R1", "the second pass, killed at each change"), 0
    while True:
        change += every
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(light, run)
        if wait(in_child(functools.partial(_killed, run, change), log)) == 0:
            break
        _do(["resume", str(run)], log)
        _do(["resume", str(run), "report=full"], log)
        wrong = differences(run, whole)
        outcome.count(not wrong, f"killed at change {change}: {wrong}")
    outcome.count(change > _FEWEST, f"only {change} changes")
    return outcome


def _do(words: list[str], log: Path) -> None:
    code = wait(in_child(lambda: dlcourse(words), log))
    assert code == 0, log.read_text()


def _killed(run: Path, change: int) -> int:
    """Draw the pictures of a run, and be killed right before this change to its folder."""
    seen = 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if (event in _CHANGES or _is_to_write(event, arguments)) and str(arguments[0]).startswith(f"{run}/"):
            seen += 1
            if seen == change:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    return dlcourse(["resume", str(run), "report=full"])


def _is_to_write(event: str, arguments: tuple[Any, ...]) -> bool:
    return event == "open" and bool(arguments[2] & _TO_WRITE)


if __name__ == "__main__":
    found = kill_at_each_change(Path(sys.argv[1]), int(sys.argv[2]))
    print(json.dumps({"failures": found.failures, "passed": found.passed, "total": found.total}))
