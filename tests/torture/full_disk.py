"""R8: a disk that is really full, at many sizes: one line, exit 3, what was saved stays, and with more space it goes on.

Where nothing but TensorBoard's file had no room, the run ends well with a warning: these cases are counted apart.

The disks are small tmpfs in a user namespace of their own: this module starts itself in one by `unshare -rm`.
"""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from dlcourse.runs.find import checkpoints_of
from dlcourse.runs.folder import RunFolder
from torture.outcome import Outcome
from torture.processes import STEPS, TRAINING, difference, done, fork, numbered, warm_up

_WORDS = (*TRAINING, "trainer.checkpoint.steps=9", "run.dir=disk/run")
_SMALLEST, _PAGE, _PLENTY = 8, 4, 65536
"""In KiB."""
_NAMESPACE = ("unshare", "-rm")
_ONLY_BOARD = "all but TensorBoard's file, exit 0"


def is_possible() -> bool:
    """Whether this machine lets us mount small disks of our own."""
    try:
        command = [*_NAMESPACE, "sh", "-c", "mount -t tmpfs -o size=64k tmpfs /mnt"]
        return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def run(count: int, seed: int, folder: Path) -> Outcome:
    """`count` sizes between too small for anything and almost enough; raises RuntimeError where `is_possible` is not."""
    command = [*_NAMESPACE, sys.executable, "-m", "torture.full_disk", str(count), str(seed), str(folder)]
    ended = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise RuntimeError(ended.stderr[-2000:])
    return Outcome(**json.loads(ended.stdout.splitlines()[-1]))


def _run_inside(count: int, seed: int, folder: Path) -> Outcome:
    rng, started = random.Random(seed), time.monotonic()
    warm_up(folder)
    folders = numbered(folder)
    outcome = Outcome("R8", "")
    seen = {"nothing": 0, "no checkpoint": 0, "a checkpoint": 0, "all but the report": 0, _ONLY_BOARD: 0}
    with _disk(next(folders), _PLENTY) as first:
        reference, enough = first / "disk" / "run", _use(first)
        for number in range(count):
            width = (enough - _SMALLEST) / count
            size = _SMALLEST + int((number + rng.random()) * width) // _PAGE * _PAGE
            with _disk(next(folders), size) as case:
                kind, problem = _case(case, reference)
            seen[kind] += 1
            outcome.count(not problem, f"{size} KiB of {enough} (seed {seed}), {kind} there: {problem}")
    outcome.what = "full disk, leaving " + ", ".join(f"{kind} {times}" for kind, times in seen.items())
    outcome.seconds = time.monotonic() - started
    return outcome


def _use(case: Path) -> int:
    """Run it where there is plenty of space; returns how many KiB it used at most."""
    process, most = fork(_WORDS, case, pictures=True), 0
    while process.poll() is None:
        disk = os.statvfs(case / "disk")
        most = max(most, (disk.f_blocks - disk.f_bfree) * disk.f_frsize // 1024)
        time.sleep(0.0005)
    assert not (problem := done(process)), problem
    return most


def _case(case: Path, reference: Path) -> tuple[str, str]:
    """How much was there when the disk was full, and what was wrong."""
    run, process = case / "disk" / "run", fork(_WORDS, case, pictures=True)
    problem = _told_well(process.wait(), process.err)
    checkpoint, damaged = checkpoints_of(RunFolder(run)).newest() if run.is_dir() else (None, [])
    if process.poll() == 0:
        kind = _ONLY_BOARD
    elif checkpoint:
        kind = "all but the report" if checkpoint.step == STEPS else "a checkpoint"
    else:
        kind = "no checkpoint" if (run / "config.yaml").exists() else "nothing"
    if problem or damaged:
        return kind, problem or damaged[0]
    if checkpoint and f"step {checkpoint.step} is safe" not in process.err and kind != _ONLY_BOARD:
        return kind, f"step {checkpoint.step} is there, and it says: {process.err}"
    subprocess.run(["mount", "-o", f"remount,size={_PLENTY}k", case / "disk"], check=True)
    if kind == "nothing":
        if run.exists():
            run.rename(case / "disk" / "unborn")
        again = fork(_WORDS, case, pictures=True)
    else:
        again = fork(("resume", "disk/run"), case, pictures=True)
    return kind, done(again) or difference(run, reference)


def _told_well(code: int, err: str) -> str:
    """Nothing where it ended with exit 3 and one line; or well, where nothing but TensorBoard's file had no room."""
    lines = err.splitlines()
    errors = [line for line in lines if not line.startswith("dlcourse: warning: TensorBoard's file cannot be written")]
    if code == 0 and not errors and len(lines) == 1:
        return ""
    is_one_line = len(errors) == 1 and len(lines) <= 2 and errors[0].startswith("dlcourse: error: cannot write in ")
    return "" if code == 3 and is_one_line and "no space left" in errors[0] else f"exit {code}: {err[-600:]}"


@contextmanager
def _disk(folder: Path, size: int) -> Iterator[Path]:
    """A folder with a disk of so many KiB in it."""
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", disk], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", disk], check=True)


if __name__ == "__main__":
    print(json.dumps(asdict(_run_inside(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))))
