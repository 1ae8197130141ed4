"""Sweeps on a real SLURM cluster of this one machine: `scripts/test -m slurm`; skipped where it cannot start."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import slurm_cluster
from dlcourse.sweeps.slurm import queued
from torture.same import differences

pytestmark = pytest.mark.slurm

LIMIT = 300.0
TRAINING = (
    *("data=digits", "model=mlp", "model.dropout=0.2", "trainer.epochs=60", "trainer.batch_size=4", "device=cpu"),
    *("trainer.checkpoint.steps=200", "optimizer.lr=0.0003"),
)
OF_WHAT_WAS_TYPED = {
    "config.yaml differs",
    "checkpoint: state.json differs",
    "overrides.yaml differs",
    "report.json differs",
}


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "cluster"
    try:
        variables = slurm_cluster.start(folder)
    except slurm_cluster.ClusterError as error:
        pytest.skip(f"no SLURM cluster can start here: {error}")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    yield folder
    slurm_cluster.stop(folder)


def started(*words: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "dlcourse", "train", "-m", *words]
    with Path("out").open("ab") as out:
        return subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)


def sweep(*words: str, code: int = 0) -> Path:
    """Run a sweep to its end; returns its folder."""
    process = started(*words)
    assert process.wait(LIMIT) == code, Path("out").read_text()[-3000:]
    return newest()


def newest() -> Path:
    return max(Path("outputs/multirun").iterdir())


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, Path("out").read_text()[-3000:]
        time.sleep(0.1)


def status(run: Path) -> str:
    with contextlib.suppress(OSError, ValueError):
        return str(json.loads((run / "run.json").read_text())["status"])
    return ""


def job_of(folder: Path, place: int) -> str:
    """`12_3`: how SLURM names the job of a run in the first array."""
    array = (folder / "slurm.txt").read_text().split()[0]
    return f"{array}_{place + 1}"


def tell(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def kill_slurmd(cluster: Path) -> None:
    process = slurm_cluster._process(cluster, "slurmd")
    assert process is not None
    os.kill(process, signal.SIGKILL)


def start_slurmd(cluster: Path) -> None:
    slurm_cluster._launch(cluster, "slurmd", "-c", "-f", str(cluster / "slurm.conf"))


def test_a_sweep_outlives_its_driver_its_node_and_its_jobs(cluster: Path) -> None:
    words = (*TRAINING, "seed=range(0,8)", "resume=auto")
    on_cluster = ("hydra/launcher=slurm", "hydra.launcher.jobs=2", "hydra.launcher.notice=30")
    driver = started(*words, *on_cluster)
    until(lambda: Path("outputs/multirun").is_dir() and sum(status(run) == "done" for run in newest().glob("*-*")) >= 2)
    folder = newest()
    driver.kill()
    driver.wait()

    def running() -> list[int]:
        return sorted(place for place, state in queued(folder).items() if state == "RUNNING")

    until(lambda: len(running()) == 2)
    preempted, cancelled = running()
    runs = {place: folder / f"{place + 1}-seed={place}" for place in range(8)}
    until(lambda: all((runs[place] / "checkpoints").is_dir() for place in (preempted, cancelled)))
    # It asks again and again while the job is on its way back into the queue.
    notice = subprocess.Popen(["scancel", "--signal=USR1", "--batch", job_of(folder, preempted)])
    tell("scancel", job_of(folder, cancelled))
    until(lambda: status(runs[cancelled]) == "stopped")
    until(lambda: "is queued again" in (folder / f"{preempted + 1}.log").read_text())
    notice.kill()
    notice.wait()
    until(running)
    kill_slurmd(cluster)
    time.sleep(1)
    start_slurmd(cluster)

    assert sweep(*words, *on_cluster) == folder
    assert [status(run) for run in runs.values()] == ["done"] * 8
    assert "from step" in (folder / f"{preempted + 1}.log").read_text()
    shutil.copytree(folder, "on_cluster")
    here = sweep(*TRAINING, "seed=range(0,8)", "hydra.launcher.jobs=2")
    assert here != folder
    for run in runs.values():
        assert set(differences(Path("on_cluster") / run.name, here / run.name)) <= OF_WHAT_WAS_TYPED
    tables = [(sweep / "summary.json").read_text() for sweep in (folder, here)]
    assert tables[0] == tables[1]


def test_a_run_that_outlasts_its_job_goes_on_in_the_next(cluster: Path) -> None:
    """A job of a minute that is told a while before: SLURM looks at its jobs every half minute or so."""
    training = [*TRAINING[:-2], "trainer.epochs=400", "seed=1"]
    training = [word for word in training if word != "trainer.epochs=60"]
    folder = sweep(*training, "hydra/launcher=slurm", "hydra.launcher.time=1", "hydra.launcher.notice=20")
    (log,) = folder.glob("*.log")
    assert log.read_text().count("is queued again") >= 2
    (run,) = (path for path in folder.iterdir() if path.is_dir())
    assert status(run) == "done"
    command = [sys.executable, "-m", "dlcourse", "train", *training, "device.threads=1", "run.dir=alone"]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    assert set(differences(run, Path("alone"))) <= OF_WHAT_WAS_TYPED


def test_a_search_submits_trials_as_their_turn_comes_and_is_the_same_as_here(cluster: Path) -> None:
    tiny = ("data=xor", "data.size=40", "model=mlp", "model.hidden=[4]", "trainer.epochs=2", "device=cpu")
    words = (*tiny, "hydra/sweeper=search", "hydra.sweeper.trials=10", "optimizer.lr=tag(log,interval(1e-3,1e-1))")
    folder = sweep(*words, "hydra/launcher=slurm", "hydra.launcher.jobs=2")
    assert len((folder / "slurm.txt").read_text().splitlines()) >= 5, "two at a time, as their turn comes"
    shutil.copytree(folder, "on_cluster")
    here = sweep(*words, "hydra.launcher.jobs=2")
    assert (Path("on_cluster") / "summary.json").read_text() == (here / "summary.json").read_text()


def test_a_run_that_fails_is_not_queued_again(cluster: Path) -> None:
    tiny = ("data=xor", "data.size=40", "model=mlp", "model.hidden=[4]", "trainer.epochs=2", "device=cpu")
    folder = sweep(*tiny, "optimizer=sgd", "optimizer.lr=0.1,1e30", "hydra/launcher=slurm", code=4)
    assert "the loss became" in (folder / "2.log").read_text()
    assert "is queued again" not in (folder / "2.log").read_text() and not queued(folder)


def test_without_waiting_the_sweep_is_collected_later(cluster: Path) -> None:
    tiny = ("data=xor", "data.size=40", "model=mlp", "model.hidden=[4]", "trainer.epochs=2", "device=cpu")
    words = (*tiny, "seed=0,1", "hydra/launcher=slurm", "hydra.launcher.setup=[export GREETING=hello]")
    folder = sweep(*words, "hydra.launcher.wait=false")
    assert "squeue --jobs=" in Path("out").read_text() and not (folder / "summary.txt").exists()
    until(lambda: not queued(folder))
    refused = subprocess.run(
        [sys.executable, "-m", "dlcourse", "resume", str(folder)], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2 and 'hydra.launcher.setup=["export GREETING=hello"]' in refused.stderr
    told = [str(folder), 'hydra.launcher.setup=["export GREETING=hello"]']
    tell(sys.executable, "-m", "dlcourse", "resume", *told)
    assert (folder / "summary.txt").exists()
    assert len((folder / "slurm.txt").read_text().splitlines()) == 1
