"""The jobs of a sweep in SLURM's queue: submitting them as job arrays, and which of them the cluster still has."""

import itertools
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from dlcourse.errors import ConfigError, DataError, OutputError, UserError
from dlcourse.files import read_regular, write_durably
from dlcourse.runs.folder import output_errors
from dlcourse.sweeps.slurm_job import JOB_SCRIPT, SlurmOptions

JOBS = "slurm.txt"
_PATIENCE = 120.0  # seconds for an answer: the commands of SLURM ask a busy cluster again by themselves
_MAX_BYTES = 2**20
_ENDED = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED"),
    *("REVOKED", "TIMEOUT"),
}
"""The states of jobs that will not run again, as squeue names them; it knows of a job for some minutes after its end."""


class SlurmError(UserError):
    """The cluster does not answer, or not as expected; asked again, it may."""

    exit_code = 3


def submit(folder: Path, options: SlurmOptions, places: Iterable[int]) -> list[int]:
    """Submit the runs at these places of commands.txt, counted from 0, and return the numbers of their job arrays.

    Their numbers in an array are those of the logs, counted from 1, less the array's offset. Each array is recorded in
    slurm.txt as soon as the cluster has it. Raises ConfigError with the words of sbatch if it refuses one, SlurmError if
    the cluster does not answer before the first.
    """
    folder, numbers = folder.absolute(), sorted({place + 1 for place in places})
    most = _most_numbers() if numbers else 1
    recorded, submitted = _offsets(folder), list[int]()
    for full, group in itertools.groupby(numbers, lambda number: (number - 1) // most):
        offset = full * most
        array = array_ranges([number - offset for number in group])
        at_a_time = [] if options.jobs is None else [f"%{options.jobs}"]
        # A limit is that of one array: with one, they follow each other.
        after = [f"--dependency=afterany:{job}" for job in submitted[-1:] if at_a_time]
        words = ["--parsable", f"--array={''.join([array, *at_a_time])}", *after, str(folder / JOB_SCRIPT), str(offset)]
        submitted.append(job := _sbatch(words, submitted))
        recorded[job] = offset
        _record(folder, recorded, job)
    return submitted


def array_ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers as `--array` takes them: `0-7,9`."""
    runs = [
        [number for _, number in group]
        for _, group in itertools.groupby(enumerate(numbers), lambda entry: entry[1] - entry[0])
    ]
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _most_numbers() -> int:
    """How many numbers, from 1 on, an array may have."""
    done = _ask("scontrol", "show", "config", seconds=_PATIENCE)
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", done.stdout, re.MULTILINE)
    if done.returncode or found is None:
        raise SlurmError(f"scontrol does not say how long a job array may be: {_in_one_line(done.stderr)}")
    if int(found[1]) <= 1:
        raise ConfigError(
            "this cluster takes no job arrays (MaxArraySize); write hydra/launcher=local in a job of your own"
        )
    return int(found[1]) - 1


def _sbatch(words: Sequence[str], before: Sequence[int]) -> int:
    done = _ask("sbatch", *words, seconds=None)  # ended by us, it might have submitted the job all the same
    if done.returncode:
        there = f"; submitted before: {', '.join(map(str, before))}" if before else ""
        raise ConfigError(f"sbatch refuses: {_in_one_line(done.stderr)}{there}")
    found = re.fullmatch(r"(\d+)(;.*)?", (done.stdout.splitlines() or [""])[-1].strip(), re.ASCII)
    if found is None:
        raise SlurmError(f"sbatch gives no job number: {_in_one_line(done.stdout)}")
    return int(found[1])


def queued(folder: Path) -> dict[int, str]:
    """The places of the runs that the cluster still has, each with the state of its job: PENDING, RUNNING, COMPLETING, ...

    Raises SlurmError if the cluster does not answer, of which nothing follows; DataError for a slurm.txt that is damaged.
    """
    offsets = _offsets(folder)
    if not offsets:
        return {}
    jobs = ",".join(map(str, offsets))
    done = _ask(
        "squeue", "--noheader", "--array", "--states=all", f"--jobs={jobs}", "--format=%F %K %T", seconds=_PATIENCE
    )
    if done.returncode and "Invalid job id" in done.stderr:  # it has forgotten the only one that was asked for
        return {}
    entries = [line.split() for line in done.stdout.splitlines()]
    try:
        if done.returncode:
            raise ValueError
        return {
            offsets[int(job)] + int(number) - 1: state
            for job, number, state in entries
            if number != "N/A" and state not in _ENDED  # no array: a job of somebody else that has the number by now
        }
    except (ValueError, KeyError):
        said = _in_one_line(done.stderr or done.stdout)
        raise SlurmError(f"squeue does not say what is queued: {said}") from None


def cancel_hint(folder: Path) -> str:
    """How to look at the jobs of a sweep and to cancel them; empty if there are none."""
    jobs = [str(job) for job in _offsets(folder)]
    return f"squeue --jobs={','.join(jobs)} shows the jobs, scancel {' '.join(jobs)} cancels them" if jobs else ""


def _record(folder: Path, offsets: Mapping[int, int], latest: int) -> None:
    """Write slurm.txt: a line for each array, its job number, and what to add to its numbers to get those of the runs."""
    lines = [f"{job} {offset}\n" for job, offset in offsets.items()]
    try:
        with output_errors(folder):
            write_durably(folder / JOBS, "".join(lines).encode())
    except OutputError as error:
        raise OutputError(f"{error}; job {latest} is submitted, and scancel {latest} cancels it") from error


def _offsets(folder: Path) -> dict[int, int]:
    """The arrays that were submitted, by their job numbers."""
    path = folder / JOBS
    text = read_regular(path, _MAX_BYTES).decode(errors="replace") if path.exists() else ""
    entries = [re.fullmatch(r"(\d{1,12}) (\d{1,9})", line, re.ASCII) for line in text.splitlines()]
    if None in entries:
        raise DataError(f"{path} is damaged: its lines are not the numbers of jobs and offsets")
    return {int(entry[1]): int(entry[2]) for entry in entries if entry is not None}


def _ask(*command: str, seconds: float | None) -> "subprocess.CompletedProcess[str]":
    """Run a command of SLURM; raises SlurmError if it cannot be started or takes too long."""
    try:
        return subprocess.run(  # noqa: S603 - numbers, and what the user has asked for
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            check=False,
            start_new_session=True,  # Ctrl-C would end it between the cluster's answer and ours
        )
    except subprocess.TimeoutExpired:
        raise SlurmError(f"{command[0]} has not answered within {seconds:g} seconds") from None
    except OSError as error:
        raise SlurmError(f"cannot start {command[0]}: {(error.strerror or str(error)).lower()}") from None


def _in_one_line(text: str) -> str:
    """What a command of SLURM said, without `sbatch: error:` before each line."""
    lines = (re.sub(r"^(\w+: )?(error|fatal): ", "", line.strip()) for line in text.splitlines())
    return "; ".join(filter(None, lines)) or "it does not say why"
