"""Jobs of dlcourse.sweeps.slurm on a real SLURM, a cluster of this machine; and what scripts/slurm says without one."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import slurm_cluster
from conftest import REPOSITORY
from dlcourse.errors import ConfigError
from dlcourse.sweeps.slurm import SlurmError, cancel_hint, queued, submit
from dlcourse.sweeps.slurm_job import SlurmOptions, slurm_options, write_job
from slurm_cluster import DAEMONS, ClusterError, start, stop

BASH = str(shutil.which("bash"))
PATIENT = "while :; do sleep 0.05; done"
SAVES = f"trap 'echo saved; exit 143' USR1 TERM; {PATIENT}"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cluster whose job arrays have the numbers 1 to 3."""
    folder = tmp_path_factory.mktemp("cluster")
    try:
        variables = start(folder, max_array_size=4)
    except ClusterError as error:
        pytest.skip(str(error))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield
    stop(folder)


@pytest.fixture
def sweep(cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a sweep, of whose jobs none outlives the test."""
    folder = tmp_path / 'it\'s "5%a" of $HOME'
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    yield folder
    if found := re.search(r"scancel [\d ]*\d", cancel_hint(folder)):
        subprocess.run(found[0].split(), capture_output=True, check=False)
    until(lambda: queued(folder) == {})


def until(holds: Callable[[], bool]) -> None:
    """Wait until it does."""
    last = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < last, subprocess.run(["squeue"], capture_output=True, text=True, check=True).stdout
        time.sleep(0.05)


def shell(text: str) -> list[str]:
    return [BASH, "-c", text]


def log(sweep: Path, number: int) -> str:
    path = sweep / f"{number}.log"
    return path.read_text() if path.exists() else ""


def watch(sweep: Path) -> list[list[str]]:
    """Wait until nothing of a sweep is queued; returns the states of its jobs at each look."""
    seen = [list(queued(sweep).values())]

    def done() -> bool:
        seen.append(list(queued(sweep).values()))
        return not seen[-1]

    until(done)
    return seen


def tell(*command: str) -> None:
    subprocess.run(command, check=True)


@pytest.mark.slurm
def test_runs_are_done_as_many_at_a_time_as_asked_for(sweep: Path) -> None:
    # Two meet only if they run at the same time.
    meet = "touch here.{0}; until [ -e here.{1} ]; do sleep 0.05; done; echo met {1} on $OMP_NUM_THREADS; exit {0}"
    commands = [shell(meet.format(number, (2, 1, 4, 3)[number - 1])) for number in (1, 2, 3, 4)]
    options = slurm_options({"jobs": 2, "time": "0:10:00", "setup": ["export A='1 2' # and", 'echo "setup $A"']})
    write_job(sweep, options, commands)
    jobs = submit(sweep, options, [0, 1, 2, 3])
    assert (
        len(jobs) == 2 and set(queued(sweep)) == {0, 1, 2, 3} and set(queued(sweep).values()) <= {"PENDING", "RUNNING"}
    )
    assert (sweep / "slurm.txt").read_text() == f"{jobs[0]} 0\n{jobs[1]} 3\n"
    until((sweep / "3.log").exists)  # and then the fourth, of another array, which it does not meet
    Path("here.4").touch()
    assert max(states.count("RUNNING") for states in watch(sweep)) <= 2
    for number, other in ((1, 2), (2, 1), (3, 4), (4, 3)):
        said = rf"slurm  job \d+_{(number - 1) % 3 + 1} on \S+\nsetup 1 2\nmet {other} on 1\n"
        assert re.fullmatch(said, log(sweep, number))
    assert sorted(path.name for path in sweep.iterdir()) == [
        *("1.log", "2.log", "3.log", "4.log", "commands.txt", "job.sh", "slurm.txt"),
    ]


@pytest.mark.slurm
def test_later_arrays_wait_for_those_before(sweep: Path) -> None:
    options = SlurmOptions(jobs=1)
    write_job(sweep, options, [shell(f"echo {number} >>order; sleep 1") for number in range(1, 6)])
    first, second = submit(sweep, options, [0, 1, 4])
    reasons = subprocess.run(
        ["squeue", "--noheader", f"--jobs={second}", "--format=%E"], capture_output=True, text=True, check=True
    ).stdout
    assert reasons.startswith(f"afterany:{first}")
    assert max(states.count("RUNNING") for states in watch(sweep)) == 1
    assert Path("order").read_text() == "1\n2\n5\n"


@pytest.mark.slurm
def test_a_preempted_run_is_queued_again_and_continues(sweep: Path) -> None:
    write_job(sweep, SlurmOptions(), [shell(f"[ -e begun ] && exit 0; touch begun; {SAVES}")])
    (job,) = submit(sweep, SlurmOptions(), [0])
    until(Path("begun").exists)
    tell("scancel", "--signal=USR1", "--batch", f"{job}_1")
    until(lambda: log(sweep, 1).endswith("is queued again\n"))
    assert ["PENDING"] in watch(sweep)
    assert re.sub(r" on \S+", "", log(sweep, 1)) == (
        f"slurm  job {job}_1\nsaved\nslurm  job {job}_1 is queued again\nslurm  job {job}_1\n"
    )


@pytest.mark.slurm
def test_a_run_that_reaches_the_limit_is_told_to_save_before_and_queued_again(sweep: Path) -> None:
    options = SlurmOptions(time=1, notice=59)
    write_job(sweep, options, [shell(f"[ -e begun ] && exit 0; touch begun; {SAVES}")])
    submit(sweep, options, [0])
    watch(sweep)
    assert log(sweep, 1).count("saved\n") == log(sweep, 1).count("is queued again\n") == 1
    assert log(sweep, 1).count("slurm  job ") == 3


@pytest.mark.slurm
@pytest.mark.parametrize("first", [[], ["--signal=USR1", "--batch"]])
def test_a_cancelled_run_is_not_queued_again(first: list[str], sweep: Path) -> None:
    """Also if it was told to save before, and is still at it."""
    patient = "trap 'echo saves' USR1; trap 'echo told; exit 143' TERM; touch begun"
    write_job(sweep, SlurmOptions(), [shell(f"{patient}; {PATIENT}")] * 2)
    (job,) = submit(sweep, SlurmOptions(), [1])
    until(Path("begun").exists)
    if first:
        tell("scancel", *first, f"{job}_2")
        until(lambda: "saves" in log(sweep, 2))
    tell("scancel", str(job))
    until(lambda: queued(sweep) == {})
    assert "told\n" in log(sweep, 2) and "queued again" not in log(sweep, 2)
    state = subprocess.run(["scontrol", "show", "job", f"{job}_2"], capture_output=True, text=True, check=True).stdout
    assert "JobState=CANCELLED" in state and "Restarts=0" in state
    assert "CANCELLED AT" in (sweep / f"slurm-{job}_2.out").read_text()


@pytest.mark.slurm
def test_a_failed_run_is_not_queued_again(sweep: Path) -> None:
    write_job(sweep, SlurmOptions(), [shell("echo run; exit 143")])
    submit(sweep, SlurmOptions(), [0])
    until(lambda: queued(sweep) == {})
    assert log(sweep, 1).count("run\n") == 1


@pytest.mark.slurm
def test_a_job_that_never_existed_is_not_queued(sweep: Path) -> None:
    (sweep / "slurm.txt").write_text("99999 0\n")
    assert queued(sweep) == {}
    (sweep / "slurm.txt").write_text("99999 0\n99998 3\n")
    assert queued(sweep) == {}


@pytest.mark.slurm
def test_what_the_cluster_refuses_is_told_in_its_words(sweep: Path) -> None:
    for options, told in (
        (SlurmOptions(partition="nowhere"), "sbatch refuses: .*[Ii]nvalid partition"),
        (SlurmOptions(mem="900T"), "sbatch refuses: .*[Mm]emory specification"),
        (SlurmOptions(sbatch=("--no-such-option",)), "sbatch refuses: .*no-such-option"),
    ):
        write_job(sweep, options, [["true"]])
        with pytest.raises(ConfigError, match=told) as raised:
            submit(sweep, options, [0])
        assert "\n" not in str(raised.value) and not (sweep / "slurm.txt").exists()


@pytest.mark.slurm
def test_a_cluster_that_is_down_is_not_an_empty_queue(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (sweep / "slurm.txt").write_text("1 0\n")
    config = Path(os.environ["SLURM_CONF"]).read_text()
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        (sweep / "slurm.conf").write_text(re.sub(r"(SlurmctldPort)=\d+", rf"\1={port}\nMessageTimeout=1", config))
        with monkeypatch.context() as patch:
            patch.setenv("SLURM_CONF", str(sweep / "slurm.conf"))
            with pytest.raises(SlurmError, match="Unable to contact slurm controller"):
                queued(sweep)


@pytest.mark.slurm
def test_a_cluster_that_cannot_start_leaves_nothing_running(
    cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm_cluster, "_START_UP", 2.0)
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(slurm_cluster, "_free_ports", lambda: (port, port))
        with pytest.raises(ClusterError, match=r"does not start: .*Address already in use"):
            start(tmp_path)
    assert not [name for name in DAEMONS if slurm_cluster._process(tmp_path, name)]


def script(*words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"PYTHON": sys.executable} | variables
    command = [BASH, str(REPOSITORY / "scripts" / "slurm"), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_script_says_in_one_line_why_there_is_no_cluster(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "dirname").symlink_to(str(shutil.which("dirname")))
    done = script("start", str(tmp_path / "cluster"), PATH=str(tools))
    assert done.returncode == 1 and done.stdout == "" and not (tmp_path / "cluster").exists()
    assert re.fullmatch(r"scripts/slurm: error: .*sbatch.* not found on the PATH; apt install .*\n", done.stderr)
    done = script("start", str(tmp_path), MAX_ARRAY_SIZE="many")
    assert done.returncode == 1 and done.stderr.endswith("MAX_ARRAY_SIZE must be a whole number, got 'many'\n")
    assert script("begin").returncode == 2
    assert script("stop", str(tmp_path / "cluster")).returncode == 0
