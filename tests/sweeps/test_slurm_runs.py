"""The runs of a sweep on a cluster that is played here: submitted once, watched, left alone (really: test_slurm_cluster)."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from dlcourse.cli.sweep import planned_sweep
from dlcourse.errors import ConfigError
from dlcourse.runs.result import RunResult
from dlcourse.signals import Stop
from dlcourse.sweeps import slurm_runs
from dlcourse.sweeps.agenda import Agenda
from dlcourse.sweeps.launch import jobs_and_threads, launch, require_waits, written
from dlcourse.sweeps.local import LocalOptions
from dlcourse.sweeps.plan import Plan, PlannedRun
from dlcourse.sweeps.slurm import SlurmError
from dlcourse.sweeps.slurm_job import SlurmOptions
from dlcourse.sweeps.slurm_runs import SlurmRuns

PLAN = Plan(
    tuple(PlannedRun(("data=xor", f"seed={seed}"), (f"seed={seed}",), f"{seed + 1}-seed={seed}") for seed in range(3))
)
DONE = RunResult(Path(), 1, 1.0, "val/accuracy", "max", {"val/accuracy": 0.5}, 1)
NONE: Any = None


class Cluster:
    """What a cluster says of its queue, look after look; the last answer stays."""

    def __init__(self, looks: list[Mapping[int, str] | SlurmError], before: Mapping[int, str] = {}) -> None:
        self.looks, self.before = looks, before
        self.submitted: list[list[int]] = []

    def queued(self, folder: Path) -> Mapping[int, str]:
        if not self.submitted and self.before is not None:
            answer, self.before = self.before, None  # type: ignore[assignment]
            return answer
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(look, SlurmError):
            raise look
        return look

    def submit(self, folder: Path, options: SlurmOptions, places: Iterable[int]) -> list[int]:
        self.submitted.append(list(places))
        return [12]


@pytest.fixture
def do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Agenda]:
    def do(cluster: Cluster, todo: list[int], options: SlurmOptions | None = None, reached: Any = DONE) -> Agenda:
        monkeypatch.setattr(slurm_runs, "queued", cluster.queued)
        monkeypatch.setattr(slurm_runs, "submit", cluster.submit)
        monkeypatch.setattr(slurm_runs, "cancel_hint", lambda folder: "scancel 12 cancels them")
        monkeypatch.setattr(slurm_runs, "_GLANCE", 0.0)
        agenda = Agenda(PLAN, [NONE] * 3, todo)
        SlurmRuns(tmp_path, agenda, options or SlurmOptions(), lambda place: reached).do(Stop())
        return agenda

    return do


def test_logs_have_as_many_digits_as_there_will_be_runs(
    do: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Agenda, "total", 40)
    do(Cluster([{}]), [0])
    assert "printf '%02d'" in (tmp_path / "job.sh").read_text()


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line]


def test_runs_are_submitted_at_once_and_watched_to_their_end(do: Any, tmp_path: Path, capsys: Any) -> None:
    cluster = Cluster(
        [{0: "PENDING", 1: "PENDING", 2: "PENDING"}, {0: "RUNNING", 1: "RUNNING", 2: "PENDING"}, {2: "RUNNING"}, {}]
    )
    do(cluster, [0, 1, 2])
    assert cluster.submitted == [[0, 1, 2]]
    assert lines(capsys.readouterr().out) == [
        "slurm  3 runs as job 12",
        "run    1 of 3  seed=0",
        "run    2 of 3  seed=1",
        "done   1 of 3  val/accuracy 50.00 %   epoch 1   1.0 s",
        "done   2 of 3  val/accuracy 50.00 %   epoch 1   1.0 s",
        "run    3 of 3  seed=2",
        "done   3 of 3  val/accuracy 50.00 %   epoch 1   1.0 s",
    ]
    commands = (tmp_path / "commands.txt").read_text().splitlines()
    assert len(commands) == 3 and f"run.dir='\"'\"'{tmp_path}/2-seed=1'\"'\"'' resume=auto" in commands[1]


def test_what_is_queued_already_is_watched_and_not_submitted_again(do: Any, capsys: Any) -> None:
    cluster = Cluster([{1: "RUNNING"}, {}], before={1: "PENDING"})
    do(cluster, [1, 2])
    assert cluster.submitted == [[2]]
    assert "done   2 of 3" in capsys.readouterr().out


def test_a_run_that_is_queued_again_begins_again(do: Any, capsys: Any) -> None:
    looks: list[Any] = [{0: "RUNNING"}, {0: "COMPLETING"}, {0: "PENDING"}, {0: "RUNNING"}, {}]
    do(Cluster(looks), [0])
    assert capsys.readouterr().out.count("run    1 of 3") == 2


def test_a_run_that_was_cancelled_is_told(do: Any, capsys: Any) -> None:
    do(Cluster([{0: "RUNNING"}, {}]), [0], reached=None)
    assert "failed 1 of 3  ended too early; see 1.log" in capsys.readouterr().out


def test_without_waiting_it_says_how_to_look(do: Any, capsys: Any) -> None:
    do(Cluster([{}]), [0, 1], SlurmOptions(wait=False))
    assert lines(capsys.readouterr().out) == ["slurm  2 runs as job 12", "look   scancel 12 cancels them"]


def test_a_cluster_that_is_silent_for_a_while_is_waited_for(do: Any, capsys: Any) -> None:
    silent = SlurmError("squeue has not answered")
    do(Cluster([silent, silent, {0: "RUNNING"}, silent, {}]), [0])
    assert "done   1 of 3" in capsys.readouterr().out
    with pytest.raises(SlurmError, match=r"^squeue has not answered; the jobs go on: scancel 12 cancels them$"):
        do(Cluster([silent]), [0])


def test_a_signal_ends_the_waiting_and_not_the_jobs(do: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stop, "received", "SIGINT", raising=False)
    monkeypatch.setattr(Stop, "__init__", lambda self: None)
    do(Cluster([{0: "RUNNING"}]), [0])
    assert lines(capsys.readouterr().out)[-1] == "note   the jobs go on; scancel 12 cancels them"


def test_the_options_of_a_launcher_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: name)
    for options in (LocalOptions(jobs=2), SlurmOptions(jobs=3, cpus=2, setup=("module load x",))):
        assert launch(written(options)) == options
    assert jobs_and_threads(SlurmOptions(cpus=2), 5) == (5, 2)
    assert jobs_and_threads(SlurmOptions(jobs=3), 5) == (3, 1)


def test_a_job_with_a_gpu_has_a_run_that_takes_it() -> None:
    runs = [PlannedRun(("data=xor", "device=cpu"), (), "1")]
    with pytest.raises(
        ConfigError, match=r"^hydra.launcher.gpus=1 with device=cpu: the run would leave it idle; write dev"
    ):
        planned_sweep(runs, None, SlurmOptions(gpus=1))
    plan, _ = planned_sweep(runs, None, SlurmOptions(cpus=3))
    assert plan.runs[0].words[-1] == "device.threads=3" and plan.launcher["name"] == "slurm"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (SlurmOptions(jobs=2, wait=False), r"^hydra.launcher.wait=false: a search waits for results"),
        (SlurmOptions(), r"^a search must know how many trials run at a time; write hydra.launcher.jobs=4$"),
    ],
)
def test_a_search_has_to_wait(options: SlurmOptions, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        require_waits(options)
