"""`-m` in processes of their own, and `dlcourse resume SWEEP`: real runs, stopped, failed, and continued."""

import json
import os
from pathlib import Path

import pytest

from dlcourse.cli.main import main
from dlcourse.cli.sweep import planned_sweep
from dlcourse.config.machine import cores
from dlcourse.runs.weights import read_tensors
from dlcourse.sweeps import workers
from dlcourse.sweeps.local import LocalOptions, jobs_and_threads
from dlcourse.sweeps.plan import Plan, PlannedRun, write_plan
from dlcourse.training import session
from sweep_lab import TINY, Sweeps, less, rows
from torture.same import differences

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def test_each_run_has_a_process_a_log_and_the_bits_it_has_alone(sweeps: Sweeps) -> None:
    folder = sweeps.sweep("seed=1,2,3")
    assert "       3 runs, 2 at a time, 1 thread each\n" in sweeps.out
    assert sweeps.out.count("\nrun    ") == sweeps.out.count("\ndone   ") == 3
    assert [path.name for path in sorted(folder.glob("*.log"))] == ["1.log", "2.log", "3.log"]
    assert "seed 2\n" in (folder / "2.log").read_text() and "\nsaved  report.txt" in (folder / "2.log").read_text()
    assert [(row["rank"], row["seed"]) for row in rows(folder)] == [("1", "1"), ("1", "2"), ("1", "3")]
    assert main(["train", *TINY, "report=light", "seed=2", "device.threads=1", "run.dir=alone"]) == 0
    of_what_was_typed = {"checkpoint: state.json differs", "overrides.yaml differs", "report.json differs"}
    assert set(differences(folder / "2-seed=2", Path("alone"))) <= of_what_was_typed


@pytest.mark.slow
def test_where_no_process_can_be_forked_each_run_is_a_command(
    sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "own" / "experiment").mkdir(parents=True)
    (tmp_path / "own" / "experiment" / "mine.yaml").write_text("# @package _global_\nseed: 7\n")
    forked = sweeps.sweep("--config-dir", "own", "experiment=mine", "optimizer.lr=0.1,0.01")
    monkeypatch.setattr(workers, "can_fork", lambda: False)
    folder = sweeps.sweep("--config-dir", "own", "experiment=mine", "optimizer.lr=0.1,1e30", code=4)
    assert [row["rank"] for row in rows(folder)] == ["1", ""]
    assert "seed 7" in (folder / "1.log").read_text()
    weights = (read_tensors(sweep / "1-optimizer.lr=0.1" / "weights.safetensors") for sweep in (forked, folder))
    first, second = ({name: tensor.tolist() for name, tensor in tensors.items()} for tensors in weights)
    assert first == second


@pytest.mark.slow
def test_a_sweep_that_is_done_stays_as_it_is(sweeps: Sweeps) -> None:
    folder = sweeps.sweep("seed=1,2")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}
    assert sweeps.resume(str(folder)) == 0
    assert "       2 runs   2 are done\n" in sweeps.out and "\nrun    " not in sweeps.out
    assert {path: path.read_bytes() for path in before} == before
    assert sweeps.resume("outputs") == 0
    assert f"sweep  {folder}\n" in sweeps.out


@pytest.mark.slow
def test_what_failed_stays_unless_it_is_tried_again(sweeps: Sweeps) -> None:
    folder = sweeps.sweep("optimizer=sgd", "optimizer.lr=0.1,1e30", code=4)
    assert "\nfailed 2 of 2  the loss became" in sweeps.out and sweeps.out.count("see 2.log") == 1
    (failed,) = (row for row in rows(folder) if not row["rank"])
    assert failed["error"].startswith("error: the loss became")
    assert sweeps.resume(str(folder)) == 4
    assert "1 are done   1 failed: retry=failed tries them again" in sweeps.out and "\nrun    " not in sweeps.out
    assert sweeps.resume(str(folder), "retry=failed") == 4
    assert "\nrun    2 of 2  optimizer.lr=1e+30\n" in sweeps.out


def test_what_cannot_be_built_fails_alone(sweeps: Sweeps) -> None:
    folder = sweeps.sweep("data=xor,reverse", code=4)
    assert [row["rank"] for row in rows(folder)] == ["1", ""]
    assert json.loads((folder / "2-data=reverse" / "run.json").read_text())["status"] == "failed"


@pytest.mark.slow
def test_a_run_that_ends_before_it_has_begun_is_missed_and_done_with_the_next_resume(
    sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        run = session.run
        patch.setattr(session, "run", lambda config, words: os._exit(0) if config.seed == 1 else run(config, words))
        folder = sweeps.sweep("seed=1,2", code=4)
    assert "\nfailed 1 of 2  ended too early; see 1.log\n" in sweeps.out
    assert "\nnot run  1 of 2, interrupted\n" in sweeps.out
    assert sweeps.resume(str(folder)) == 0, sweeps.err
    assert [row["seed"] for row in rows(folder)] == ["1", "2"]


@pytest.mark.slow
def test_the_newest_sweep_of_the_same_runs_is_continued(sweeps: Sweeps) -> None:
    folder = sweeps.sweep("seed=1,2", "resume=auto")
    assert sweeps.sweep("seed=1,2", "resume=auto") == folder
    assert "2 are done" in sweeps.out
    assert sweeps.sweep("seed=1,3", "resume=auto") != folder
    assert sweeps.sweep("seed=1,2") != folder


def test_a_run_that_takes_too_long_has_failed(sweeps: Sweeps) -> None:
    folder = sweeps.sweep("trainer.epochs=1,100000", "hydra.launcher.minutes=0.05", code=4)
    assert rows(folder)[-1]["error"] == "error: took longer than 0.05 minutes"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["hydra.launcher.jobs=two"], "hydra.launcher.jobs must be a whole number >= 1 or null, got 'two'"),
        (["hydra.launcher.jobs=0"], "hydra.launcher.jobs must be a whole number >= 1 or null, got 0"),
        (["hydra.launcher.minutes=-1"], "hydra.launcher.minutes must be a number > 0 or null, got -1"),
        (
            ["resume=auto", "hydra/launcher=dlcourse"],
            "resume=auto with -m is for several runs with hydra/launcher=local",
        ),
        (
            ["trainer.epochs=1,2", "trainer.time=1s"],
            "trainer.epochs=1 and trainer.time=1s both say how long to train; leave one of them out (in the run with",
        ),
        (["resume=never"], "'resume=never' does not go with -m; write resume=auto"),
        (
            ["trainer.epochs=1,0"],
            "trainer.epochs must be a whole number >= 1, got 0 (in the run with seed=1 trainer.epochs=0)",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(words: list[str], told: str, sweeps: Sweeps) -> None:
    assert sweeps.attempt("-m", *less(words), "seed=1,2", *words) == 2
    assert told in sweeps.err and sweeps.err.count("\n") == 1
    assert not Path("outputs").exists()


@pytest.mark.slow
def test_a_sweep_resumes_with_nothing_but_retry(sweeps: Sweeps) -> None:
    folder = sweeps.sweep("seed=1,2")
    assert sweeps.resume(str(folder), "trainer.epochs=9") == 2
    assert sweeps.err == "dlcourse: error: 'trainer.epochs=9': of a sweep, resume takes retry=failed and nothing else\n"


def test_a_strangers_list_of_runs_is_checked_like_a_command_line(
    sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "hidden")
    for words, told in (
        (["hydra.run.dir=/x"], "'hydra.run.dir' cannot be set"),
        (["+model._target_=os.system"], "'_target_' is reserved"),
        (["run.name=${oc.env:SECRET}"], "'${oc.env:...}' cannot be used"),
        (["trainer.epochs=1,2"], "has several values"),
    ):
        folder = Path("sweep")
        folder.mkdir(exist_ok=True)
        write_plan(folder, Plan((PlannedRun((*TINY[:4], *words), (), "1"),), None, {}))
        assert sweeps.resume("sweep") == 2
        assert told in sweeps.err and sweeps.err.count("\n") == 1 and "hidden" not in sweeps.err
        assert [path.name for path in folder.iterdir()] == ["sweep.json"]


def test_a_gpu_takes_one_run_at_a_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runs = [PlannedRun(("data=xor", f"seed={seed}"), (), str(seed)) for seed in (1, 2)]
    monkeypatch.setattr("dlcourse.sweeps.local.cores", lambda: 2)
    monkeypatch.setattr("dlcourse.cli.sweep._NVIDIA_DRIVER", tmp_path / "none")
    plan, configs = planned_sweep(runs, None, LocalOptions())
    assert plan.launcher["jobs"] is None and configs[0].device.options["threads"] == 1
    assert plan.runs[0].words[-1] == "device.threads=1"
    monkeypatch.setattr("dlcourse.cli.sweep._NVIDIA_DRIVER", tmp_path)
    plan, configs = planned_sweep(runs, None, LocalOptions())
    assert plan.launcher["jobs"] == 1 and configs[0].device.options["threads"] is None
    assert planned_sweep(runs, None, LocalOptions(jobs=2))[0].launcher["jobs"] == 2


def test_jobs_and_threads() -> None:
    assert jobs_and_threads(LocalOptions(), 1) == (1, None)
    assert jobs_and_threads(LocalOptions(), 100) == (cores(), 1 if cores() > 1 else None)
    assert jobs_and_threads(LocalOptions(jobs=3), 2) == (2, 1)
    assert jobs_and_threads(LocalOptions(jobs=1), 5) == (1, None)
    assert jobs_and_threads(LocalOptions(threads=10**6), 5) == (1, 10**6)
