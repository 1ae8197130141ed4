"""A run as a job of SLURM: the options that cannot be, and job.sh under a real bash, with signals and stand-ins."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dlcourse.errors import ConfigError, OutputError
from dlcourse.sweeps.slurm_job import SlurmOptions, check, slurm_options, write_job

BASH = shutil.which("bash")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of stand-ins for SLURM's commands, first on the PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("sbatch", "scontrol"):
        (folder / name).write_text(f'#!/bin/sh\necho "{name} $*" >>"{folder}/asked"\n')
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return folder


def test_the_options_are_checked_and_converted(programs: Path) -> None:
    assert slurm_options({}) == SlurmOptions()
    given = {"jobs": 2, "mem": 4000, "time": "1:30:00", "account": 17, "sbatch": ["--qos=long"], "setup": ["cd 'a b'"]}
    assert slurm_options(given) == SlurmOptions(
        jobs=2, mem=4000, time="1:30:00", account=17, sbatch=("--qos=long",), setup=("cd 'a b'",)
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"jobs": 0}, "hydra.launcher.jobs must be a whole number >= 1 or null, got 0"),
        ({"cpus": "two"}, "hydra.launcher.cpus must be a whole number >= 1, got 'two'"),
        ({"gpus": -1}, "hydra.launcher.gpus must be a whole number >= 1 or null, got -1"),
        ({"wait": 1}, "hydra.launcher.wait must be true or false, got 1"),
        ({"setup": "module load cuda"}, "write hydra.launcher.setup=[module load cuda]"),
        ({"minutes": 5}, "unknown option 'hydra.launcher.minutes'"),
        ({"notice": 0}, "hydra.launcher.notice must be a whole number in [1, 65535], got 0"),
        ({"notice": 70000}, "hydra.launcher.notice must be a whole number in [1, 65535], got 70000"),
        (
            {"time": 2},
            "hydra.launcher.notice=120 must be shorter than hydra.launcher.time, which is 120 seconds; "
            "write hydra.launcher.notice=60, or a longer time",
        ),
        ({"time": "0:30", "notice": 60}, "which is 60 seconds; write hydra.launcher.notice=30"),
        ({"time": -3}, "hydra.launcher.time must be a number > 0 or text, got -3"),
        (
            {"time": "soon"},
            "hydra.launcher.time must be minutes, or a time as SLURM writes it, got 'soon'; "
            "write hydra.launcher.time=90, 1:30:00 or 2-00:00:00",
        ),
        ({"time": "0:00"}, "hydra.launcher.time must be minutes"),
        ({"time": "1.5"}, "hydra.launcher.time must be minutes"),
        ({"time": "1:00:00:00"}, "hydra.launcher.time must be minutes"),
        ({"time": "UNLIMITED"}, "hydra.launcher.time must be minutes"),
        ({"time": "9" * 5000}, "hydra.launcher.time must be minutes"),
        (
            {"mem": "4 G"},
            "hydra.launcher.mem must be a word without spaces and quotes, got '4 G'; write hydra.launcher.mem=4G",
        ),
        ({"partition": "a\nb"}, "hydra.launcher.partition must be a word without spaces and quotes, got 'a\\nb'"),
        ({"account": "$(id)"}, "hydra.launcher.account must be a word without spaces and quotes, got '$(id)'"),
        ({"account": ""}, "hydra.launcher.account must be a word without spaces and quotes, got ''"),
        (
            {"setup": ["true", "a\nb"]},
            "hydra.launcher.setup must be a list of lines, without line breaks or other control characters in them, "
            "got 'a\\nb'; write hydra.launcher.setup=['module load cuda','...']",
        ),
        ({"sbatch": ["--comment=a\rb"]}, "hydra.launcher.sbatch must be a list of lines"),
        ({"sbatch": ["--comment=a\x7f"]}, "hydra.launcher.sbatch must be a list of lines"),
        (
            {"sbatch": ["-q long"]},
            "hydra.launcher.sbatch must be a list of options that begin with --, got '-q long'; "
            "write hydra.launcher.sbatch=['--qos=long']",
        ),
        ({"sbatch": ["--"]}, "hydra.launcher.sbatch must be a list of options that begin with --, got '--'"),
        ({"sbatch": ["qos=long"]}, "hydra.launcher.sbatch must be a list of options that begin with --"),
        ({"sbatch": ["--time=5"]}, "hydra.launcher.sbatch: --time has an option of its own; write hydra.launcher.time"),
        (
            {"sbatch": ["--array 1-5"]},
            "hydra.launcher.sbatch: --array has an option of its own; write hydra.launcher.jobs",
        ),
        ({"sbatch": ["--no-requeue"]}, "hydra.launcher.sbatch: --no-requeue is for dlcourse to choose; leave it out"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(options: dict[str, Any], told: str, programs: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        slurm_options(options)
    assert told in str(raised.value) and "\n" not in str(raised.value)


def test_where_there_is_no_sbatch_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"needs sbatch, which is not on the PATH; .*write hydra/launcher=local"):
        check(SlurmOptions())


@pytest.mark.parametrize(
    ("given", "minutes"),
    [
        *((60, 60), (0.25, 1), (1.5, 2), ("90", 90), ("1:30", 2), ("1:00", 1), ("1:30:00", 90), ("0:00:01", 1)),
        *(("2-00:00:00", 2880), ("1-1", 1500), ("1-1:1", 1501), ("1-1:1:1", 1502), ("0-0:5", 5)),
    ],
)
def test_the_limit_is_what_slurm_makes_of_it(given: float | str, minutes: int, tmp_path: Path) -> None:
    write_job(tmp_path, SlurmOptions(time=given, notice=1), [])
    assert f"#SBATCH --time={minutes} --signal=B:USR1@1 --requeue\n" in (tmp_path / "job.sh").read_text()


def test_the_script_asks_for_what_the_options_say(tmp_path: Path) -> None:
    folder = tmp_path / "it's 50%"
    folder.mkdir()
    options = SlurmOptions(
        cpus=3, gpus=2, mem="4G", partition="gpu", account=17, sbatch=("--qos=long", "--mail-type=END")
    )
    write_job(folder, options, [])
    lines = (folder / "job.sh").read_text().splitlines()
    quoted = str(folder).replace("%", "%%").replace("'", "'\"'\"'")
    assert [line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH")] == [
        "--job-name=dlcourse",
        "--nodes=1 --ntasks=1 --cpus-per-task=3",
        "--time=60 --signal=B:USR1@120 --requeue",
        f"--open-mode=append --output='{quoted}/slurm-%A_%a.out'",
        *("--gres=gpu:2", "--mem=4G", "--partition=gpu", "--account=17", "--qos=long", "--mail-type=END"),
    ]
    first = next(number for number, line in enumerate(lines) if line and not line.startswith("#"))
    assert not any(line.startswith("#SBATCH") for line in lines[first:]), "sbatch reads no further"


def test_a_folder_that_slurm_cannot_write_to_is_refused(tmp_path: Path) -> None:
    for name in ("a\\b", "a\nb"):
        (tmp_path / name).mkdir()
        with pytest.raises(ConfigError, match=r"SLURM cannot write to a path with a backslash.* write run.root=FOLDER"):
            write_job(tmp_path / name, SlurmOptions(), [])
        assert list((tmp_path / name).iterdir()) == []
    with pytest.raises(OutputError):
        write_job(tmp_path / "missing", SlurmOptions(), [])


class Jobs:
    """Does runs of a sweep by job.sh, as the job 12_N of a cluster would."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder = folder
        self._asked = programs / "asked"
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, number: int, offset: int = 0) -> "subprocess.Popen[bytes]":
        """Start the script; what itself prints, and the shell about it, is in slurm-12_NUMBER.out."""
        variables = {"SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": str(number), "SLURMD_NODENAME": "node7"}
        with (self.folder / f"slurm-12_{number}.out").open("wb") as output:
            command = [str(BASH), str(self.folder / "job.sh"), str(offset)]
            process = subprocess.Popen(
                command, stdout=output, stderr=output, env=os.environ | variables, start_new_session=True
            )
        self._started.append(process)
        return process

    def do(self, number: int, offset: int = 0) -> int:
        return self.start(number, offset).wait(60)

    def asked(self) -> list[str]:
        """What the scripts have asked of scontrol so far."""
        return self._asked.read_text().splitlines() if self._asked.exists() else []

    def kill(self) -> None:
        for process in self._started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture
def jobs(tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    if sys.platform != "linux":
        pytest.skip("the numbers of signals are those of Linux")
    folder = tmp_path / 'it\'s "50%" $HOME'
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    made = Jobs(folder, programs)
    yield made
    made.kill()


def wait_for(path: Path, holds: Callable[[Path], bool] = Path.exists) -> None:
    until = time.monotonic() + 60
    while not holds(path):
        assert time.monotonic() < until, f"nothing at {path}"
        time.sleep(0.01)


def shell(text: str) -> list[str]:
    """A command that runs until it is told to end."""
    return [str(BASH), "-c", f"{text}; touch here; while :; do sleep 0.02; done"]


def test_a_job_does_the_run_of_its_number_and_prints_into_the_log_of_that(jobs: Jobs) -> None:
    words = ["a b", "it's", '"', "$HOME", "`id`", "%d", "\\n", "two\nlines", "*", "", "ä"]
    commands = [
        ["false"],
        ["printf", "<%s>", *words],
        *[["false"]] * 7,
        [str(BASH), "-c", "echo $OMP_NUM_THREADS; exit 7"],
    ]
    write_job(jobs.folder, SlurmOptions(cpus=3), commands)
    assert len((jobs.folder / "commands.txt").read_text().splitlines()) == 10
    assert jobs.do(2) == 0
    printed = "".join(f"<{word}>" for word in words)
    assert (jobs.folder / "02.log").read_text() == f"slurm  job 12_2 on node7\n{printed}"
    assert jobs.do(3, offset=7) == 7
    assert (jobs.folder / "10.log").read_text() == "slurm  job 12_3 on node7\n3\n"
    assert jobs.do(3, offset=7) == 7
    assert (jobs.folder / "10.log").read_text() == "slurm  job 12_3 on node7\n3\n" * 2
    assert jobs.asked() == [] and not list(jobs.folder.glob("*.out"))


def test_the_setup_comes_first_and_its_failure_ends_the_job(jobs: Jobs) -> None:
    setup = ("export WHERE='a b' # the scratch folder", 'echo "$WHERE"')
    command = [str(BASH), "-c", 'echo "run in $WHERE"']
    write_job(jobs.folder, SlurmOptions(setup=setup), [command])
    assert jobs.do(1) == 0
    assert (jobs.folder / "1.log").read_text() == "slurm  job 12_1 on node7\na b\nrun in a b\n"
    write_job(jobs.folder, SlurmOptions(setup=("set -e", "module_ load 'cuda", "touch here")), [command])
    assert jobs.do(1) == 1
    said = (jobs.folder / "1.log").read_text()
    assert said.endswith("\nerror: this line of hydra.launcher.setup failed: module_ load 'cuda\n")
    assert said.count("run in") == 1 and not Path("here").exists() and jobs.asked() == []


def test_what_the_setup_sets_does_not_change_the_rest(jobs: Jobs) -> None:
    write_job(jobs.folder, SlurmOptions(setup=("set -euo pipefail",)), [shell("trap 'exit 143' USR1")])
    job = jobs.start(1)
    wait_for(Path("here"))
    job.send_signal(signal.SIGUSR1)
    assert job.wait(60) == 143
    assert jobs.asked() == ["scontrol requeue 12_1"]


def test_a_job_without_a_run_says_so(jobs: Jobs) -> None:
    write_job(jobs.folder, SlurmOptions(), [["true"]])
    assert jobs.do(2) == 1
    assert (jobs.folder / "2.log").read_text().endswith("error: commands.txt has no line 2\n")


def test_what_slurm_says_of_a_job_stays(jobs: Jobs) -> None:
    write_job(jobs.folder, SlurmOptions(), [shell("trap 'exit 143' TERM")])
    job = jobs.start(1)
    wait_for(Path("here"))
    with (jobs.folder / "slurm-12_1.out").open("a") as file:
        file.write("JOB 12 ON node7 CANCELLED")
    job.send_signal(signal.SIGTERM)
    job.wait(60)
    assert (jobs.folder / "slurm-12_1.out").read_text() == "JOB 12 ON node7 CANCELLED"


def test_a_log_that_cannot_be_written_is_told_to_slurm(jobs: Jobs) -> None:
    write_job(jobs.folder, SlurmOptions(), [["touch", "here"]])
    (jobs.folder / "1.log").mkdir()
    assert jobs.do(1) != 0
    assert "1.log: Is a directory" in (jobs.folder / "slurm-12_1.out").read_text()
    assert not Path("here").exists()


@pytest.mark.parametrize(
    ("run", "signals", "code", "requeued"),
    [
        ("trap 'echo USR1; exit 143' USR1", ["USR1"], 143, True),
        ("trap 'echo USR1; exit 0' USR1", ["USR1"], 0, False),
        ("trap 'echo USR1; exit 1' USR1", ["USR1"], 1, False),
        ("true", ["USR1"], 138, True),  # it does not listen yet
        ("trap 'echo TERM; exit 143' TERM", ["TERM"], 143, False),
        ("trap 'echo USR1' USR1; trap 'echo TERM; exit 143' TERM", ["USR1", "TERM"], 143, False),
        ("trap 'echo TERM' TERM; trap 'echo USR1; exit 143' USR1", ["TERM", "USR1"], 143, False),
    ],
)
def test_only_a_run_that_was_told_to_save_and_did_is_queued_again(
    run: str, signals: list[str], code: int, requeued: bool, jobs: Jobs
) -> None:
    write_job(jobs.folder, SlurmOptions(), [[], [], shell(run)])
    job = jobs.start(3)
    wait_for(Path("here"))
    log, told = jobs.folder / "3.log", "slurm  job 12_3 on node7\n"
    for name in signals:
        wait_for(log, lambda path: path.read_text() == told)  # noqa: B023 - called in this turn
        job.send_signal(getattr(signal, f"SIG{name}"))
        told += f"{name}\n" * (f"echo {name}" in run)
    assert job.wait(60) == code
    again = "slurm  job 12_3 is queued again\n"
    assert log.read_text().endswith(again if requeued else told)
    assert told in log.read_text()
    assert jobs.asked() == ["scontrol requeue 12_3"] * requeued


@pytest.mark.parametrize("code", [1, 137, 138, 143])
def test_a_run_that_ends_by_itself_is_not_queued_again(code: int, jobs: Jobs) -> None:
    write_job(jobs.folder, SlurmOptions(), [[str(BASH), "-c", f"exit {code}"]])
    assert jobs.do(1) == code
    assert jobs.asked() == []


def test_a_second_signal_does_not_end_the_waiting(jobs: Jobs) -> None:
    run = """trap 'n=$((n + 1)); echo "told $n"; [ $n -lt 3 ] || exit 143' USR1"""
    write_job(jobs.folder, SlurmOptions(), [shell(run)])
    job, log, told = jobs.start(1), jobs.folder / "1.log", "slurm  job 12_1 on node7\n"
    wait_for(Path("here"))
    for time_ in (1, 2, 3):
        assert job.poll() is None and jobs.asked() == []
        job.send_signal(signal.SIGUSR1)
        told += f"told {time_}\n"
        wait_for(log, lambda path: path.read_text().startswith(told))  # noqa: B023 - called in this turn
    assert job.wait(60) == 143
    assert jobs.asked() == ["scontrol requeue 12_1"]


@pytest.mark.parametrize(("name", "code", "requeued"), [("USR1", 138, True), ("TERM", 143, False)])
def test_a_signal_in_the_setup_keeps_the_run_from_starting(name: str, code: int, requeued: bool, jobs: Jobs) -> None:
    setup = ("touch here; until [ -e go ]; do sleep 0.02; done",)
    write_job(jobs.folder, SlurmOptions(setup=setup), [["touch", "begun"]])
    job = jobs.start(1)
    wait_for(Path("here"))
    job.send_signal(getattr(signal, f"SIG{name}"))
    assert job.wait(60) == code
    assert not Path("begun").exists()
    assert jobs.asked() == ["scontrol requeue 12_1"] * requeued


def test_a_signal_at_any_moment_of_the_start_is_heeded(jobs: Jobs) -> None:
    write_job(jobs.folder, SlurmOptions(), [shell("trap 'exit 143' USR1")] * 9)
    for number in range(1, 9):
        job = jobs.start(number)
        wait_for(jobs.folder / f"{number}.log")
        time.sleep(0.002 * number)
        job.send_signal(signal.SIGUSR1)
        assert job.wait(60) in (138, 143)
    assert jobs.asked() == [f"scontrol requeue 12_{number}" for number in range(1, 9)]
