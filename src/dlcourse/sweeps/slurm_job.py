"""A run as a job of SLURM: what it asks for (`hydra/launcher=slurm`), and job.sh, the script that does it."""

import math
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from dlcourse.config.options import Count, Positive, Range, check_options
from dlcourse.errors import ConfigError
from dlcourse.files import write_durably
from dlcourse.runs.folder import output_errors

JOB_SCRIPT, COMMANDS = "job.sh", "commands.txt"
_OPTIONS = "hydra.launcher"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HAS_AN_OPTION = {"--array": "jobs", "--cpus-per-task": "cpus", "--signal": "notice", "--time": "time"}
_NOT_TO_CHANGE = {
    *("--chdir", "--clusters", "--dependency", "--error", "--no-requeue", "--open-mode", "--output", "--parsable"),
    *("--requeue", "--test-only", "--wait", "--wrap"),
}
"""Options of sbatch without which a job would not be found, or its run not be continued."""

Word = Count | str
Notice = Annotated[int, Range(ge=1, le=65535)]


@dataclass(frozen=True)
class SlurmOptions:
    """How `hydra/launcher=slurm` submits the runs of a sweep, each as a job of its own.

    `jobs` of them run at a time, by default as many as the cluster takes. Each has `cpus` processors and as many threads,
    `gpus`, and `mem` of memory (4G). `time` is its limit: minutes, or as SLURM writes it, 1:30:00 or 2-00:00:00. A run
    that takes longer is told to save `notice` seconds before, and continues as a job that is queued again. `sbatch` are
    further options of sbatch, `setup` lines of the shell before the run. With `wait` the command waits for the runs.
    """

    jobs: Count | None = None
    cpus: Count = 1
    gpus: Count | None = None
    mem: Word | None = None
    time: Positive | str = 60
    notice: Notice = 120
    partition: Word | None = None
    account: Word | None = None
    sbatch: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    wait: bool = True


def slurm_options(options: Mapping[str, Any]) -> SlurmOptions:
    """The checked options of `hydra/launcher=slurm`; raises ConfigError."""
    checked = SlurmOptions(**check_options(SlurmOptions, options, where=_OPTIONS))
    check(checked)
    return checked


def check(options: SlurmOptions) -> None:
    """Raise ConfigError if sbatch would refuse these or take them for something else, or if there is no sbatch."""
    _check_times(options)
    for name, example in (("mem", "4G"), ("partition", "gpu"), ("account", "lab")):
        word = getattr(options, name)
        if word is not None and not re.fullmatch(r"[\w.,:+-]+", str(word)):
            raise ConfigError(
                f"{_OPTIONS}.{name} must be a word without spaces and quotes, got {word!r}; "
                f"write {_OPTIONS}.{name}={example}"
            )
    for name, example in (("sbatch", "--qos=long"), ("setup", "module load cuda")):
        for line in getattr(options, name):
            if _CONTROL.search(line):
                raise ConfigError(
                    f"{_OPTIONS}.{name} must be a list of lines, without line breaks or other control characters in them, "
                    f"got {line!r}; write {_OPTIONS}.{name}=['{example}','...']"
                )
    for line in options.sbatch:
        _check_sbatch(line)
    if shutil.which("sbatch") is None:
        raise ConfigError(
            "hydra/launcher=slurm needs sbatch, which is not on the PATH; run this on a login node of the cluster, or write "
            "hydra/launcher=local"
        )


def _check_times(options: SlurmOptions) -> None:
    seconds = 60 * _minutes(options.time)
    if options.notice >= seconds:
        raise ConfigError(
            f"{_OPTIONS}.notice={options.notice} must be shorter than {_OPTIONS}.time, which is {seconds} seconds; "
            f"write {_OPTIONS}.notice={seconds // 2}, or a longer time"
        )


def _check_sbatch(line: str) -> None:
    name = re.split(r"[\s=]", line, maxsplit=1)[0]
    if not re.fullmatch(r"--[a-z][\w-]*", name):
        raise ConfigError(
            f"{_OPTIONS}.sbatch must be a list of options that begin with --, got {line!r}; "
            f"write {_OPTIONS}.sbatch=['--qos=long']"
        )
    if own := _HAS_AN_OPTION.get(name):
        raise ConfigError(f"{_OPTIONS}.sbatch: {name} has an option of its own; write {_OPTIONS}.{own}=...")
    if name in _NOT_TO_CHANGE:
        raise ConfigError(f"{_OPTIONS}.sbatch: {name} is for dlcourse to choose; leave it out")


def _minutes(time: float | str) -> int:
    """The limit in whole minutes, to which SLURM rounds up; raises ConfigError for none, and for what SLURM cannot read."""
    seconds = _seconds(time) if isinstance(time, str) else 60 * time
    if seconds <= 0:
        raise ConfigError(
            f"{_OPTIONS}.time must be minutes, or a time as SLURM writes it, got {time!r}; "
            f"write {_OPTIONS}.time=90, 1:30:00 or 2-00:00:00"
        )
    return math.ceil(seconds / 60)


def _seconds(text: str) -> int:
    """What SLURM reads in minutes, minutes:seconds, hours:minutes:seconds, and behind days-; 0 if it cannot."""
    if not re.fullmatch(r"(\d{1,6}-)?\d{1,6}(:\d{1,6}){0,2}", text, re.ASCII):
        return 0
    days, dash, rest = text.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    if not dash and len(parts) < 3:  # hours come first only with minutes and seconds behind them
        parts.insert(0, 0)
    return 86400 * int(days or 0) + sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))


_SCRIPT = r"""#!/bin/bash
# The runs of a sweep as jobs of SLURM. dlcourse has written this, and submits it as a job array:
#
#     sbatch --array=NUMBERS job.sh OFFSET
#
# A job does one run: that of OFFSET + its number in the array, which is the number of a line in commands.txt. What the
# run prints is in the log of that number, such as 03.log. What SLURM has to say about the job, such as that its node
# went down, is in slurm-JOB_NUMBER.out.
#
# Before the job's time is up, SLURM sends USR1. The run saves itself and ends with code 143, and the job is queued again to
# continue it. A job that fails or is cancelled (TERM) is not queued again.
#
#SBATCH --job-name=dlcourse
#SBATCH --nodes=1 --ntasks=1 --cpus-per-task={cpus}
#SBATCH --time={minutes} --signal=B:USR1@{notice} --requeue
#SBATCH --open-mode=append --output={output}
{more}
told_to_save= cancelled= run=
trap 'told_to_save=1 interrupted=1; [ -z "$run" ] || kill -USR1 "$run" 2>/dev/null' USR1
trap 'cancelled=1 interrupted=1; [ -z "$run" ] || kill -TERM "$run" 2>/dev/null' TERM

folder={folder}
number=$(($1 + SLURM_ARRAY_TASK_ID))
job="$SLURM_ARRAY_JOB_ID"_"$SLURM_ARRAY_TASK_ID" # a bare job number may mean the whole array
trap '[ -s "$folder/slurm-$job.out" ] || rm -f "$folder/slurm-$job.out"' EXIT
exec >>"$folder/$(printf '%0{digits}d' "$number").log" 2>&1 || exit 1
echo "slurm  job $job on $SLURMD_NODENAME"

fail() {{
    echo "error: $1"
    exit 1
}}
(
{setup}    export OMP_NUM_THREADS={cpus}
    command=$(sed -n "$number"p "$folder/commands.txt")
    [ -n "$command" ] || fail "commands.txt has no line $number"
    eval "exec $command"
) &
sleep 0.1 # a signal to a process that bash has just begun is lost: it has the traps of this one for a moment
run=$!
[ -z "$told_to_save" ] || kill -USR1 "$run" 2>/dev/null
[ -z "$cancelled" ] || kill -TERM "$run" 2>/dev/null
interrupted=1
while [ -n "$interrupted" ]; do # a signal ends the waiting, not the run
    interrupted=
    wait "$run"
    code=$?
done

# 138: USR1 came before the run listened to it. -1: bash does not know, as another signal came just as the run ended.
if [ -n "$told_to_save" ] && [ -z "$cancelled" ]; then
    case $code in
    143 | 138 | -1)
        echo "slurm  job $job is queued again"
        scontrol requeue "$job"
        ;;
    esac
fi
exit "$code"
"""


def write_job(folder: Path, options: SlurmOptions, commands: Sequence[Sequence[str]], total: int = 0) -> None:
    """Write job.sh and commands.txt for the commands of all runs of a sweep, in its folder.

    `total` is how many there will be, if some of them are not known yet: the names of the logs have as many digits.
    Raises ConfigError for a folder whose name SLURM cannot write to, OutputError if the system refuses.
    """
    folder = folder.absolute()
    if "\\" in str(folder) or _CONTROL.search(str(folder)):
        raise ConfigError(
            f"SLURM cannot write to a path with a backslash or a control character, got {str(folder)!r}; "
            "write run.root=FOLDER for another place"
        )
    output = str(folder).replace("%", "%%") + "/slurm-%A_%a.out"
    text = _SCRIPT.format(
        cpus=options.cpus,
        minutes=_minutes(options.time),
        notice=options.notice,
        output=shlex.quote(output),
        more="".join(f"#SBATCH {line}\n" for line in _more(options)),
        folder=shlex.quote(str(folder)),
        digits=len(str(max(total, len(commands)))),
        setup="".join(map(_setup, options.setup)),
    )
    lines = "".join(f"{_one_line(command)}\n" for command in commands)
    with output_errors(folder):
        write_durably(folder / COMMANDS, lines.encode("utf-8", "surrogateescape"))
        write_durably(folder / JOB_SCRIPT, text.encode("utf-8", "surrogateescape"))


def _more(options: SlurmOptions) -> list[str]:
    words = {"gres": options.gpus and f"gpu:{options.gpus}", "mem": options.mem}
    words |= {"partition": options.partition, "account": options.account}
    return [*(f"--{name}={word}" for name, word in words.items() if word is not None), *options.sbatch]


def _setup(line: str) -> str:
    failed = f"this line of {_OPTIONS}.setup failed: {line}"
    return f"    eval {shlex.quote(line)} || fail {shlex.quote(failed)}\n"


def _one_line(command: Sequence[str]) -> str:
    """The command quoted for bash, which has a way to write a line break without one."""
    return shlex.join(command).replace("\n", "'$'\\n''")
