"""R9: sweeps whose driver and whose runs are killed at random moments.

Each run must be trained to its end exactly once, and the table be that of an undisturbed sweep. The control does not do a
run again whose process was killed.
"""

import contextlib
import csv
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from torture.outcome import Outcome

_TRAINING = (
    *("data=xor", "data.size=60", "model=mlp", "model.hidden=[4]", "model.dropout=0.2", "trainer.batch_size=4"),
    *("trainer.epochs=2", "trainer.checkpoint.steps=5", "device=cpu", "hydra.launcher.jobs=2"),
)
_LIMIT = 900.0
_FORGETFUL = """
import os, signal
from pathlib import Path
from dlcourse.cli import sweep
from dlcourse.cli.main import command
from dlcourse.training import session
run = session.run
def killed_once(config, words):
    if config.seed == 1 and not Path("once").exists():
        Path("once").touch()
        Path(config.run.dir).mkdir()
        Path(config.run.dir, "run.json").write_text('{"status": "running"}')
        os.kill(os.getpid(), signal.SIGKILL)
    return run(config, words)
session.run = killed_once
sweep._is_to_do = lambda job, *, retry_failed: job.outcome is None
command()
"""
_TIMES = ("seconds", "folder")


def is_possible() -> bool:
    """Whether this machine forks and tells who is whose child."""
    return Path("/proc/self/task").is_dir() and hasattr(os, "fork")


def run(count: int, seed: int, folder: Path) -> Outcome:
    """So many runs in a sweep, a tenth of them killed, and its driver as often."""
    count = max(count, 8)
    words = [*_TRAINING, f"seed=range(0,{count})", "resume=auto"]
    kills = max(1, count // 10)
    outcome = Outcome("R9", f"sweeps of {count} runs, their driver killed {kills} times and single runs as often")
    whole = _compare(words, count, random.Random(seed), folder, outcome)
    for _ in range(2):
        _finish(_started(words, folder / "control", "-c", _FORGETFUL))
    is_same = _table(_sweep(folder / "control")) == _table(whole)
    outcome.controls.append(("that leaves out what was killed, the same", int(is_same), 1))
    return outcome


def _compare(words: list[str], count: int, chance: random.Random, folder: Path, outcome: Outcome, *code: str) -> Path:
    """Do it undisturbed, and killed again and again by the program `code`; returns the folder of the former."""
    assert _finish(_started(words, folder / "whole")) == 0, (folder / "whole" / "out").read_text()[-2000:]
    for _ in range(max(1, count // 10)):
        _kill_once(words, folder / "killed", chance, *code)
    ended = _finish(_started(words, folder / "killed", *code))
    outcome.count(ended == 0, f"it ended with {ended}: {(folder / 'killed' / 'out').read_text()[-500:]}")
    whole, killed = _sweep(folder / "whole"), _sweep(folder / "killed")
    outcome.count(_table(whole) == _table(killed), "the tables differ")
    for log in sorted(killed.glob("*.log")):
        ends = len(re.findall(r"^saved  ", log.read_text(), re.MULTILINE))
        outcome.count(ends == 1, f"{log.name}: trained to its end {ends} times")
    outcome.count(len(list(killed.glob("*.log"))) == count, "logs are missing")
    return whole


def _started(words: list[str], place: Path, *code: str) -> "subprocess.Popen[bytes]":
    """The command in a folder of its own, its output in `out`."""
    place.mkdir(exist_ok=True)
    program = [sys.executable, *(code or ("-m", "dlcourse")), "train", "-m", *words]
    with (place / "out").open("ab") as out:
        return subprocess.Popen(program, cwd=place, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)


def _finish(process: "subprocess.Popen[bytes]") -> int:
    return process.wait(_LIMIT)


def _kill_once(words: list[str], place: Path, chance: random.Random, *code: str) -> None:
    """Begin or go on, kill a run after a while, and after another while the driver."""
    process = _started(words, place, *code)
    with contextlib.suppress(subprocess.TimeoutExpired):
        _wait_for_workers(process)
        process.wait(chance.uniform(0, 1.5))
    if (workers := _children(process.pid)) and chance.random() < 0.9:
        with contextlib.suppress(ProcessLookupError):
            os.kill(chance.choice(workers), signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(chance.uniform(0, 1.5))
    process.kill()
    process.wait()


def _wait_for_workers(process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + _LIMIT
    while process.poll() is None and not _children(process.pid) and time.monotonic() < until:
        time.sleep(0.02)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _sweep(place: Path) -> Path:
    (folder,) = (place / "outputs" / "multirun").iterdir()
    return folder


def _table(folder: Path) -> list[dict[str, str]]:
    with (folder / "summary.csv").open(encoding="utf-8", newline="") as file:
        return [{name: value for name, value in row.items() if name not in _TIMES} for row in csv.DictReader(file)]
