"""Real processes: killed, told to stop, without disk, without memory, with a defect; short runs of what torture does."""

import contextlib
import itertools
import json
import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlcourse.runs.find import checkpoints_of
from dlcourse.runs.folder import RunFolder
from torture import full_disk, real_kill, signals, tensorboard
from torture.outcome import Outcome
from torture.processes import IS_POSSIBLE, TRAINING, Process, difference, done, fork, steps_saved, warm_up

pytestmark = pytest.mark.skipif(not IS_POSSIBLE, reason="needs fork and /proc, which Linux has")

SEED = 20
MEGABYTE = 2**20


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    warm_up(tmp_path_factory.mktemp("warm"))


@pytest.fixture
def running() -> Iterator[Callable[..., Process]]:
    """Starts copies of this process, none of which outlives the test."""
    started: list[Process] = []

    def start(*arguments: object, **options: object) -> Process:
        started.append(fork(*arguments, **options))
        return started[-1]

    yield start
    for process in started:
        process.kill()


def check(outcome: Outcome) -> None:
    print(outcome.row())
    assert outcome.is_good, [outcome.row(), *outcome.failures]


@pytest.mark.slow
def test_a_killed_command_goes_on_to_the_bit(tmp_path: Path) -> None:
    check(real_kill.run(5, SEED, tmp_path))


@pytest.mark.slow
def test_a_signal_saves_the_step_where_it_came(tmp_path: Path) -> None:
    check(signals.run(10, SEED, tmp_path))


def test_a_second_ctrl_c_ends_it_at_once(warm: None, tmp_path: Path) -> None:
    assert signals.second_ctrl_c(tmp_path) == ""


@pytest.mark.slow
@pytest.mark.skipif(not full_disk.is_possible(), reason="this machine does not let us mount small disks (unshare -rm)")
def test_a_full_disk_is_one_line_and_no_loss(tmp_path: Path) -> None:
    check(full_disk.run(2, SEED, tmp_path))


@pytest.mark.slow
def test_tensorboard_shows_each_number_of_a_resumed_run_once(tmp_path: Path) -> None:
    check(tensorboard.run(1, SEED, tmp_path))


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_stopped_sweep_writes_its_summary(
    warm: None, running: Callable[..., Process], tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    words = [word for word in TRAINING if not word.startswith("trainer.epochs=")]
    process = running([*words, "-m", "trainer.epochs=1,200,1", "hydra.launcher.jobs=1"], tmp_path)
    assert process.wait_until(lambda: any(tmp_path.glob("outputs/multirun/*/2-*/checkpoints/step-*")))
    process.send(sent)
    assert (process.wait(), process.err) == (code, "")
    (sweep,) = (tmp_path / "outputs" / "multirun").iterdir()
    assert "not run  2 of 3, interrupted" in (sweep / "summary.txt").read_text()
    stopped = json.loads(next(sweep.glob("2-*/run.json")).read_text())
    assert stopped["status"] == "stopped"
    assert not list(sweep.glob("3-*"))


def test_out_of_memory_is_one_line(warm: None, running: Callable[..., Process], tmp_path: Path) -> None:
    def have_little() -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * os.sysconf("SC_PAGE_SIZE") + 400 * MEGABYTE
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    words = [
        "train",
        "data=digits",
        "model.hidden=[30000]",
        "trainer.batch_size=full",
        "device=cpu",
        "device.threads=1",
    ]
    process = running([*words, "run.dir=run"], tmp_path, have_little)
    assert process.wait() == 3, process.err
    (line,) = process.err.splitlines()
    assert line.startswith(
        "dlcourse: error: out of memory with 1294 examples in a batch; use a smaller trainer.batch_size"
    )
    assert "dlcourse resume" in line
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "failed"
    assert steps_saved(tmp_path / "run") == 0


def test_a_defect_leaves_its_traceback_and_the_checkpoint(
    warm: None, running: Callable[..., Process], tmp_path: Path
) -> None:
    def have_a_defect() -> None:
        from dlcourse.tasks.task import LossTask

        original, batches = LossTask.train_step, itertools.count(1)

        def train_step(self: LossTask, batch: object) -> object:
            if next(batches) == 3:
                raise ZeroDivisionError("the defect")
            return original(self, batch)

        LossTask.train_step = train_step

    words, run, other = [*TRAINING, "trainer.checkpoint.steps=1"], tmp_path / "run", tmp_path / "other"
    process = running([*words, "run.dir=run"], tmp_path, have_a_defect)
    assert process.wait() == 1
    (line,) = process.err.splitlines()
    assert line.startswith("dlcourse: internal error: ZeroDivisionError: the defect; its traceback is in ")
    assert (tmp_path / line.rpartition(" is in ")[2]).samefile(run / "error.txt")
    assert "in train_step" in (run / "error.txt").read_text()
    assert json.loads((run / "run.json").read_text())["status"] == "failed"
    newest, damaged = checkpoints_of(RunFolder(run)).newest()
    assert (newest.step, damaged) == (2, [])
    assert done(running(["resume", "run"], tmp_path)) == ""
    assert done(running([*words, "run.dir=other"], tmp_path)) == ""
    assert difference(run, other) == ""


class TestWorkers:
    """Of a DataLoader, which are processes of their own."""

    @pytest.fixture
    def words(self, tmp_path: Path) -> list[str]:
        draw = np.random.default_rng(0)
        for number in range(60):
            folder = tmp_path / "pictures" / ("left", "right")[number % 2]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(draw.integers(0, 256, (8, 8), np.uint8)).save(folder / f"{number}.png")
        options = ["data.folder=pictures", "data.size=8", "data.workers=2", "trainer.epochs=400"]
        return ["train", "data=images", "model=mlp", *options, "device=cpu", "device.threads=1", "run.dir=run"]

    @staticmethod
    def workers(process: Process) -> list[int]:
        return [int(word) for word in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]

    @staticmethod
    def evaluated(run: Path) -> int:
        """How many epochs were evaluated so far, -1 before the first checkpoint."""
        return (run / "metrics.jsonl").read_text().count('"val/loss"') if steps_saved(run) >= 0 else -1

    def test_one_killed_is_one_line(
        self, warm: None, running: Callable[..., Process], tmp_path: Path, words: list[str]
    ) -> None:
        process = running([*words, "trainer.batch_size=2", "trainer.checkpoint.steps=5"], tmp_path)
        assert process.wait_until(lambda: steps_saved(tmp_path / "run") >= 10)

        def kill_workers() -> bool:  # again and again: those that had nothing more to do are not missed
            for worker in self.workers(process):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
            return False

        process.wait_until(kill_workers)
        assert process.wait() == 3, process.err
        (line,) = process.err.splitlines()
        assert line.startswith("dlcourse: error: a process that reads images was killed")
        assert "dlcourse resume" in line
        assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "failed"
        assert steps_saved(tmp_path / "run") >= 10

    @pytest.mark.parametrize("epochs", [0, 1, 3])
    def test_ctrl_c_to_all_of_them_saves_and_is_quiet(
        self, warm: None, running: Callable[..., Process], tmp_path: Path, words: list[str], epochs: int
    ) -> None:
        process = running([*words, "trainer.batch_size=20"], tmp_path)  # most of the time, processes are being made
        assert process.wait_until(lambda: self.evaluated(tmp_path / "run") >= epochs)
        process.send(signal.SIGINT, to_all=True)
        assert (process.wait(), process.err) == (130, "")
        assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "stopped"
