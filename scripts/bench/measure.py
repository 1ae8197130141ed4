"""One loop in a process of its own: what it reports, and what the system says of the process."""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import machine
from bench.contests import Contest, Figures, Work
from bench.loops import dlcourse

SCRIPTS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Run:
    """The single figures of a process: seconds on the clock, seconds of processors, megabytes at its largest.

    `others` is how many processors everybody else kept busy while it ran; None where the system does not say.
    """

    contest: str
    loop: str
    round: int
    parameters: int
    samples_per_second: float
    first_step_seconds: float | None
    evaluation_us: float | None
    training_seconds: float | None
    seconds: float
    processor_seconds: float
    peak_mb: float
    others: float | None


class LoopError(Exception):
    """A loop ended with an error, of which these are the last lines."""


def measure(contest: Contest, loop: str, work: Work, number: int, threads: int | None) -> Run:
    """Run a loop once, as part of round `number`."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        began, busy = time.time(), machine.busy_seconds()
        used = _waited_for(_command(loop, work, folder), folder, threads)
        seconds = time.time() - began
        figures = _figures(loop, folder)
    now = machine.busy_seconds()
    others = None if busy is None or now is None else max(0.0, (now - busy - used[0]) / seconds)
    return Run(
        contest.name,
        loop,
        number,
        figures.parameters,
        figures.samples_per_second,
        None if figures.first_step_at is None else figures.first_step_at - began,
        figures.evaluation_us,
        figures.training_seconds,
        seconds,
        used[0],
        used[1],
        others,
    )


def _command(loop: str, work: Work, folder: Path) -> list[str]:
    if loop in dlcourse.COMMANDS:
        return dlcourse.command(loop, work, folder)
    return [sys.executable, "-m", "bench.child", loop, json.dumps(asdict(work))]


def _waited_for(command: list[str], folder: Path, threads: int | None) -> tuple[float, float]:
    """The processor seconds and the peak megabytes of the command, whose output is in files of the folder."""
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(threads),
            stdout=out,
            stderr=err,
            preexec_fn=None if threads is None else lambda: machine.use_processors(threads),
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise LoopError(f"{' '.join(command)}\n{(folder / 'err').read_text(errors='replace')[-2000:]}")
    unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, kilobytes elsewhere
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit


def _environment(threads: int | None) -> dict[str, str]:
    paths = [str(SCRIPTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "KERAS_BACKEND": "jax"}
    if threads is not None:
        environment |= {f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "MKL", "OPENBLAS")}
    return environment


def _figures(loop: str, folder: Path) -> Figures:
    if loop in dlcourse.COMMANDS:
        return dlcourse.figures(folder)
    return Figures(**json.loads((folder / "out").read_text().splitlines()[-1]))
