"""The jobs of a sweep in SLURM's queue, asked of stand-ins for its commands; tests/test_slurm_cluster.py asks a real one."""

import errno
import os
import shlex
from pathlib import Path

import pytest

from dlcourse.errors import ConfigError, DataError, OutputError
from dlcourse.sweeps import slurm
from dlcourse.sweeps.slurm import SlurmError, array_ranges, cancel_hint, queued, submit
from dlcourse.sweeps.slurm_job import SlurmOptions


class StandIns:
    """Stand-ins for sbatch, squeue and scontrol, which say what they are told to, and note what they were asked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.say("scontrol", "ClusterName = here\nMaxArraySize            = 1001\nMaxJobCount = 10000\n")
        self.say("squeue", "")
        self.accept(12)

    def say(self, name: str, text: str = "", *, error: str = "", code: int = 0) -> None:
        """Let a command print these and end with this code."""
        output = f"printf %s {shlex.quote(text)}; printf %s {shlex.quote(error)} >&2; exit {code}"
        self._write(name, output)

    def accept(self, first: int, most: int = 100, suffix: str = "") -> None:
        """Let sbatch give one job number after the other, from the first on, and refuse once there are so many."""
        refuse = (
            "printf 'sbatch: error: QOSMaxSubmit\\nsbatch: error: Batch job submission failed: limit\\n' >&2; exit 1"
        )
        count = f'n=$(grep -c ^sbatch "{self._folder}/asked")'
        self._write("sbatch", f'{count}; [ "$n" -le {most} ] || {{ {refuse}; }}; echo "$((n + {first - 1})){suffix}"')

    def hang(self, name: str) -> None:
        """Let a command not answer."""
        self._write(name, "exec sleep 60")

    def _write(self, name: str, text: str) -> None:
        (self._folder / name).write_text(f'#!/bin/sh\necho "{name} $*" >>"{self._folder}/asked"\n{text}\n')
        (self._folder / name).chmod(0o755)

    def asked(self, name: str) -> list[str]:
        """What a command has been asked so far."""
        path = self._folder / "asked"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.removeprefix(f"{name} ") for line in lines if line.startswith(f"{name} ")]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIns:
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return StandIns(folder)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    folder = tmp_path / "sweep"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([], ""),
        ([3], "3"),
        ([1, 2, 3], "1-3"),
        ([0, 1, 2, 3, 4, 5, 6, 7, 9], "0-7,9"),
        ([1, 3, 5], "1,3,5"),
        ([1, 2, 5, 7, 8], "1-2,5,7-8"),
    ],
)
def test_ranges_are_compact(numbers: list[int], text: str) -> None:
    assert array_ranges(numbers) == text


def test_one_array_has_the_runs_by_the_numbers_of_their_logs(cluster: StandIns, sweep: Path) -> None:
    assert submit(sweep, SlurmOptions(jobs=2), [5, 0, 1, 2, 2]) == [12]
    assert cluster.asked("sbatch") == [f"--parsable --array=1-3,6%2 {sweep}/job.sh 0"]
    assert cluster.asked("scontrol") == ["show config"]
    assert (sweep / "slurm.txt").read_text() == "12 0\n"
    assert submit(sweep, SlurmOptions(), [3]) == [13]
    assert cluster.asked("sbatch")[1:] == [f"--parsable --array=4 {sweep}/job.sh 0"]
    assert (sweep / "slurm.txt").read_text() == "12 0\n13 0\n"


def test_nothing_to_submit_asks_nobody(cluster: StandIns, sweep: Path) -> None:
    assert submit(sweep, SlurmOptions(), []) == []
    assert cluster.asked("sbatch") == cluster.asked("scontrol") == [] and list(sweep.iterdir()) == []


@pytest.mark.parametrize("jobs", [None, 2])
def test_a_longer_sweep_is_several_arrays_which_share_the_limit(
    jobs: int | None, cluster: StandIns, sweep: Path
) -> None:
    cluster.say("scontrol", "MaxArraySize            = 5\n")
    assert submit(sweep, SlurmOptions(jobs=jobs), [0, 1, 2, 3, 4, 7, 9, 11]) == [12, 13, 14]
    limit, first, second = (
        ("", "", "") if jobs is None else ("%2", " --dependency=afterany:12", " --dependency=afterany:13")
    )
    assert cluster.asked("sbatch") == [
        f"--parsable --array=1-4{limit} {sweep}/job.sh 0",
        f"--parsable --array=1,4{limit}{first} {sweep}/job.sh 4",
        f"--parsable --array=2,4{limit}{second} {sweep}/job.sh 8",
    ]
    assert (sweep / "slurm.txt").read_text() == "12 0\n13 4\n14 8\n"


def test_the_jobs_of_one_cluster_of_several_have_its_name_behind(cluster: StandIns, sweep: Path) -> None:
    cluster.accept(12, suffix=";here")
    assert submit(sweep, SlurmOptions(), [0]) == [12]


def test_a_refusal_is_told_in_the_words_of_sbatch(cluster: StandIns, sweep: Path) -> None:
    cluster.accept(12, most=0)
    with pytest.raises(ConfigError) as raised:
        submit(sweep, SlurmOptions(), [0])
    assert str(raised.value) == "sbatch refuses: QOSMaxSubmit; Batch job submission failed: limit"
    assert not (sweep / "slurm.txt").exists()


def test_what_was_submitted_before_a_refusal_is_known(cluster: StandIns, sweep: Path) -> None:
    cluster.say("scontrol", "MaxArraySize            = 2\n")
    cluster.accept(12, most=2)
    with pytest.raises(ConfigError, match=r"failed: limit; submitted before: 12, 13$"):
        submit(sweep, SlurmOptions(), [0, 1, 2])
    assert (sweep / "slurm.txt").read_text() == "12 0\n13 1\n"


def test_a_cluster_that_does_not_answer_is_no_mistake_of_the_user(
    cluster: StandIns, sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.say("scontrol", error="slurm_load_ctl_conf error: Unable to contact slurm controller\n", code=1)
    with pytest.raises(SlurmError, match="how long a job array may be: slurm_load_ctl_conf error: Unable to contact"):
        submit(sweep, SlurmOptions(), [0])
    cluster.say("scontrol", "MaxArraySize            = 1\n")
    with pytest.raises(ConfigError, match=r"takes no job arrays .*; write hydra/launcher=local"):
        submit(sweep, SlurmOptions(), [0])
    cluster.say("scontrol", "MaxArraySize            = 1001\n")
    cluster.say("sbatch", "Have a nice day\n")
    with pytest.raises(SlurmError, match="sbatch gives no job number: Have a nice day"):
        submit(sweep, SlurmOptions(), [0])
    monkeypatch.setenv("PATH", str(sweep))
    with pytest.raises(SlurmError, match="cannot start scontrol: no such file or directory"):
        submit(sweep, SlurmOptions(), [0])
    assert list(sweep.iterdir()) == []


def test_an_array_that_cannot_be_recorded_is_told(
    cluster: StandIns, sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(slurm, "write_durably", refuse)
    with pytest.raises(
        OutputError, match=r"no space left on device; .*; job 12 is submitted, and scancel 12 cancels it$"
    ):
        submit(sweep, SlurmOptions(), [0])


def test_nothing_is_submitted_over_a_damaged_list_of_jobs(cluster: StandIns, sweep: Path) -> None:
    (sweep / "slurm.txt").write_text("twelve\n")
    with pytest.raises(DataError, match=r"slurm\.txt is damaged"):
        submit(sweep, SlurmOptions(), [0])
    assert cluster.asked("sbatch") == [] and (sweep / "slurm.txt").read_text() == "twelve\n"


def test_what_is_queued_is_told_by_places(cluster: StandIns, sweep: Path) -> None:
    (sweep / "slurm.txt").write_text("12 0\n13 4\n")
    cluster.say(
        "squeue",
        "12 1 RUNNING\n12 3 COMPLETED\n12 4 COMPLETING\n12 N/A RUNNING\n13 1 PENDING\n13 4 SUSPENDED\n13 3 FAILED\n",
    )
    assert queued(sweep) == {0: "RUNNING", 3: "COMPLETING", 4: "PENDING", 7: "SUSPENDED"}
    assert cluster.asked("squeue") == ["--noheader --array --states=all --jobs=12,13 --format=%F %K %T"]


def test_nothing_is_queued_if_the_cluster_knows_of_nothing(cluster: StandIns, sweep: Path) -> None:
    assert queued(sweep) == {} and cluster.asked("squeue") == []
    (sweep / "slurm.txt").write_text("12 0\n")
    assert queued(sweep) == {}
    cluster.say("squeue", error="slurm_load_jobs error: Invalid job id specified\n", code=1)
    assert queued(sweep) == {}


def test_no_answer_is_not_an_empty_queue(cluster: StandIns, sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (sweep / "slurm.txt").write_text("12 0\n")
    for text, error, code in (
        ("", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n", 1),
        ("", "", 1),
        ("the queue is as of 9:00\n", "", 0),
        ("12 1\n", "", 0),
        ("99 1 PENDING\n", "", 0),
    ):
        cluster.say("squeue", text, error=error, code=code)
        with pytest.raises(SlurmError, match="squeue does not say what is queued: ") as raised:
            queued(sweep)
        assert "\n" not in str(raised.value) and raised.value.exit_code == 3
    monkeypatch.setattr(slurm, "_PATIENCE", 0.1)
    cluster.hang("squeue")
    with pytest.raises(SlurmError, match=r"squeue has not answered within 0\.1 seconds"):
        queued(sweep)


@pytest.mark.parametrize(
    "text", ["12\n", "12 0 7\n", "12 x\n", "$(touch here) 0\n", "12 0\n\n13 0\n", "1" * 13 + " 0\n"]
)
def test_a_damaged_list_of_jobs_is_told(text: str, cluster: StandIns, sweep: Path) -> None:
    (sweep / "slurm.txt").write_text(text)
    for ask in (queued, cancel_hint):
        with pytest.raises(DataError, match=r"slurm\.txt is damaged"):
            ask(sweep)
    assert cluster.asked("squeue") == []


def test_how_to_cancel_is_told(sweep: Path) -> None:
    assert cancel_hint(sweep) == ""
    (sweep / "slurm.txt").write_text("12 0\n13 4\n")
    assert cancel_hint(sweep) == "squeue --jobs=12,13 shows the jobs, scancel 12 13 cancels them"
