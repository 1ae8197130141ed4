"""Runs that were stopped, killed or cut short end as if nothing had happened, and what cannot go on says so."""

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from dlcourse.cli.main import main
from dlcourse.cli.resume import changed
from dlcourse.config.run_config import RunConfig
from dlcourse.device import Device
from dlcourse.errors import ConfigError
from dlcourse.optim.step import ScheduledOptimizer
from dlcourse.runs.find import find_started
from dlcourse.runs.folder import RunFolder
from dlcourse.runs.resume import _differences, find_same, read_start
from dlcourse.signals import StoppedError
from dlcourse.training import session
from dlcourse.training.trainer import Trainer
from hooks import after_step
from torture.families import family
from torture.same import differences
from torture.warm import TINY, TINY_CNN, compose, last_of_each

TESTS = Path(__file__).parents[1]
MLP = (*TINY, "data=digits", "data.subset=160", "model=mlp", "model.hidden=[24]", "model.dropout=0.3")
BY_HAND = ("trainer.checkpoint.steps=null",)
"""Saved at the start, at the end and where it is told to stop."""


class Bench:
    """Runs `dlcourse` in this process, in an empty folder, with pictures left blank."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        self.out, self.err = "", ""

    def __call__(self, *words: object, stop_at: int | None = None, signal_name: str = "SIGTERM") -> int:
        """The exit code of a command, which is told to stop within one of its steps."""
        self._capsys.readouterr()
        with self._monkeypatch.context() as patch:
            if stop_at is not None:
                after_step(patch, stop_at, lambda: signal.raise_signal(getattr(signal, signal_name)))
            code = main(list(last_of_each([str(word) for word in words])))
        self.out, self.err = self._capsys.readouterr()
        return code

    def train(self, *words: object, run: str = "run") -> Path:
        """The folder of a whole training."""
        assert self("train", *words, f"run.dir={run}") == 0, self.err
        return Path(run)

    def stopped(self, step: int, *words: object, run: str = "run") -> Path:
        """The folder of a training that was told to stop within a step."""
        assert self("train", *words, f"run.dir={run}", stop_at=step) == 143, self.err
        return Path(run)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Bench]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dlcourse.runs.logger.to_image", lambda picture: np.zeros((4, 4, 3), np.uint8))
    threads = torch.get_num_threads()
    heeds_ctrl_c = signal.signal(signal.SIGINT, signal.default_int_handler)  # also in the background of a shell
    yield Bench(monkeypatch, capsys)
    signal.signal(signal.SIGINT, heeds_ctrl_c)
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`whole`, a finished run of MLP, and `stopped`, one that was told to stop within step 17; copied, not changed."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dlcourse.runs.logger.to_image", lambda picture: np.zeros((4, 4, 3), np.uint8))
        assert main(["train", *MLP, f"run.dir={folder / 'whole'}"]) == 0
        after_step(patch, 17, lambda: signal.raise_signal(signal.SIGTERM))
        assert main(["train", *MLP, f"run.dir={folder / 'stopped'}"]) == 143
    return folder


def copied(run: Path) -> Path:
    shutil.copytree(run, "run")
    return Path("run")


def hashes(run: Path) -> dict[str, str]:
    """Every file but the lock, which says who last looked."""
    files = [path for path in sorted(run.rglob("*")) if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def newest(run: Path) -> Path:
    return max((run / "checkpoints").glob("step-*"))


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def killed(part: str, count: int, seed: int = 0) -> dict[str, Any]:
    """What the harness of R1 found, in a process of its own as it forks; scripts/torture draws other seeds."""
    with tempfile.TemporaryDirectory(prefix="dlcourse-kill-", dir=_quick_place()) as folder:
        ended = subprocess.run(
            [sys.executable, "-m", "torture.kill", str(count), str(seed), folder, part],
            cwd=TESTS,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
    assert ended.stdout, ended.stderr
    outcome: dict[str, Any] = json.loads(ended.stdout)
    assert outcome["failures"] == []
    assert outcome["passed"] == outcome["total"]
    return outcome


def _quick_place() -> str | None:
    """In memory, where there is room."""
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > 200e6 else None


@pytest.mark.slow
def test_ninety_kills_of_every_family_at_random_moments_end_bit_exact() -> None:
    """R1; with those at set steps below, more than a hundred."""
    assert killed("kills", 90)["total"] == 90


@pytest.mark.slow
def test_kills_at_set_steps_end_bit_exact_and_with_no_defect_they_do() -> None:
    """R1: its controls."""
    outcome = killed("controls", 0)
    assert outcome["total"] == 19
    assert len(outcome["controls"]) == 9
    for name, exact, of in outcome["controls"]:
        assert exact == 0 < of, f"blind: {name}"


def test_a_chain_of_ten_resumes_is_bit_exact(bench: Bench) -> None:
    whole = bench.train(*MLP, *BY_HAND, run="whole")
    run = bench.stopped(2, *MLP, *BY_HAND)
    for count, step in enumerate((3, 4, 7, 9, 10, 13, 18, 20, 25)):
        name, code = (("SIGTERM", 143), ("SIGINT", 130), ("SIGUSR1", 143))[count % 3]
        assert bench("resume", run, stop_at=step, signal_name=name) == code, bench.err
        assert newest(run).name.startswith(f"step-{step:08d}")
    assert bench("resume", run) == 0
    assert differences(run, whole) == []


_OF_THE_CHECKLIST = {
    "the random state": ("mlp", [10]),
    "the order of data in the middle of an epoch": ("language", [5]),
    "the place in the data, twice in one epoch": ("mlp", [11, 14, 16]),
    "the end of an epoch": ("mlp", [9]),
    "the last step of all": ("mlp", [27]),
    "augmentation, which is drawn anew in each epoch": ("cnn", [9]),
    "statistics of batch norm": ("resnet", [7]),
    "the scheduler, by epochs": ("cnn", [9, 16]),
    "the scheduler, by updates": ("resnet", [8]),
    "gradients on the way to an update": ("accumulate", [6, 13]),
    "the moving average and its count": ("diffusion", [4, 20]),
    "averages of the weights, and what was watched": ("averages", [4, 15]),
    "the network behind the moving average": ("diffusion", [13]),
    "the best epoch and patience": ("patience", [12, 20]),
    "which of two optimizers is next": ("wasserstein", [7]),
    "running vectors of spectral norm": ("gan", [12]),
    "the warm-up of the divergence": ("vae", [8]),
    "the followed variance": ("gaussian", [11]),
    "games, remembered moves and the target network": ("dqn", [7, 14]),
    "games of a table": ("table", [5, 9]),
    "games of an actor and a critic": ("actor_critic", [11]),
    "the features fitted to the data": ("polynomial", [21]),
    "weights that came from another run": ("transfer", [7]),
    "frozen parameters, which have no moments": ("frozen", [11]),
    "pictures read from files": ("images", [9]),
}


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run to start from, and data for all families."""
    folder = tmp_path_factory.mktemp("families")
    session.run(compose(*TINY_CNN, "trainer.epochs=1", f"run.dir={folder / 'run'}"), [])
    return folder


@pytest.mark.parametrize("state", _OF_THE_CHECKLIST)
def test_not_lost_on_resume(state: str, bench: Bench, warm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, stops = _OF_THE_CHECKLIST[state]
    config = family(name, warm, warm / "run")
    never = dataclasses.replace(config.trainer.checkpoint, steps=None)
    config = dataclasses.replace(config, trainer=dataclasses.replace(config.trainer, checkpoint=never))
    session.run(at(config, "whole"), [])
    with monkeypatch.context() as patch, pytest.raises(StoppedError):
        after_step(patch, stops[0], lambda: signal.raise_signal(signal.SIGTERM))
        session.run(at(config, "run"), [])
    for step in stops[1:]:
        assert bench("resume", "run", stop_at=step) == 143, bench.err
    assert bench("resume", "run") == 0, bench.err
    assert differences(Path("run"), Path("whole")) == []


def at(config: RunConfig, folder: str) -> RunConfig:
    return dataclasses.replace(config, run=dataclasses.replace(config.run, dir=folder))


def test_not_lost_on_resume_the_scale_of_float16_gradients() -> None:
    device = Device(torch.device("cpu"), "float16")

    def descent(module: nn.Module) -> ScheduledOptimizer:
        return ScheduledOptimizer(torch.optim.Adam(module.parameters(), lr=0.01), lambda update: 1.0, device)

    def steps(descent: ScheduledOptimizer, module: nn.Module, count: int) -> None:
        for _ in range(count):
            descent.step(module(torch.ones(2, 3)).square().mean())

    whole, part, rest = (nn.Linear(3, 1) for _ in range(3))
    part.load_state_dict(whole.state_dict())
    descending, stopped, resumed = descent(whole), descent(part), descent(rest)
    steps(descending, whole, 3)
    assert descending.step(whole(torch.ones(2, 3)).mean() * 1e35)  # overflows: the scale is halved
    steps(descending, whole, 3)
    steps(stopped, part, 3)
    stopped.step(part(torch.ones(2, 3)).mean() * 1e35)
    state = stopped.state_dict()
    assert state["scaler"]["scale"] == 2.0**15
    rest.load_state_dict(part.state_dict())
    resumed.load_state_dict(state)
    steps(resumed, rest, 3)
    assert resumed.state_dict()["scaler"] == descending.state_dict()["scaler"]
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), rest.parameters(), strict=True))


@pytest.mark.parametrize("name", ["mlp", "vae", "gan", "diffusion"])
def test_evaluating_does_not_shift_the_random_state_of_training(
    name: str, bench: Bench, warm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The evaluation of a generative model draws codes, samples or times itself."""
    config = family(name, warm, warm / "run")
    for eval_every in (1, 3):
        trainer = dataclasses.replace(config.trainer, weights="last", eval_every=eval_every)
        session.run(at(dataclasses.replace(config, trainer=trainer), f"every-{eval_every}"), [])
    often, seldom = (Path(f"every-{eval_every}") for eval_every in (1, 3))
    assert (often / "weights.safetensors").read_bytes() == (seldom / "weights.safetensors").read_bytes()
    assert [len(evaluated(run)) for run in (often, seldom)] == [3, 1]


def evaluated(run: Path) -> list[int]:
    """The epochs that were evaluated."""
    records = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [record["epoch"] for record in records if "val/loss" in record]


def test_a_resumed_run_shows_each_number_once_in_tensorboard(bench: Bench, runs: Path) -> None:
    run = copied(runs / "stopped")
    assert bench("resume", run) == 0
    board = EventAccumulator(str(run), size_guidance={"scalars": 0}).Reload()
    tags = board.Tags()["scalars"]
    shown = Counter((tag, event.step) for tag in tags for event in board.Scalars(tag))
    logged = Counter(
        (tag, record["step"])
        for record in map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
        for tag in record
        if "/" in tag
    )
    assert shown == logged
    assert set(shown.values()) == {1}


def test_resume_of_a_finished_run_says_so_and_changes_nothing(bench: Bench, runs: Path) -> None:
    run = copied(runs / "whole")
    before = hashes(run)
    assert bench("resume", run) == 0
    assert "run is already complete (3 epochs)" in bench.out
    assert hashes(run) == before


def test_more_epochs_of_a_finished_run_equal_the_longer_run(bench: Bench) -> None:
    constant = (*(word for word in MLP if "epochs" not in word), "scheduler=constant")
    longer = bench.train(*constant, "trainer.epochs=5", run="longer")
    run = bench.train(*constant, "trainer.epochs=2")
    assert bench("resume", run, "trainer.epochs=5") == 0
    assert "5 epochs instead of 2; schedule 'constant': the learning rate stays 0.001" in bench.out
    assert differences(run, longer) == []


def test_more_epochs_with_a_falling_rate_say_what_it_jumps_to(bench: Bench, runs: Path) -> None:
    run = copied(runs / "whole")
    assert bench("resume", run, "trainer.epochs=6") == 0
    note = re.search(
        r"6 epochs instead of 3; schedule 'cosine': the learning rate continues at (\S+) \(was 0\)", bench.out
    )
    assert note is not None, bench.out
    assert float(note[1]) == pytest.approx(0.0005, rel=0.01)  # half way down


@pytest.mark.parametrize("accumulate", [1, 4])
def test_the_note_on_more_epochs_tells_the_rate_of_the_next_update_with_and_without_them(
    accumulate: int, bench: Bench
) -> None:
    """Stopped at step 10, where four batches to an update are two updates and half of a third."""
    words = (*MLP, *BY_HAND, "trainer.log_every=1", f"trainer.accumulate={accumulate}")
    whole, run = bench.train(*words, run="whole"), bench.stopped(10, *words)
    assert bench("resume", run, "trainer.epochs=6") == 0, bench.err
    note = re.search(r"6 epochs instead of 3; schedule 'cosine': [a-z ]*(\S+) \(was (\S+)\)$", bench.out, re.MULTILINE)
    assert note is not None, bench.out
    updated = 11 if accumulate == 1 else 12
    assert note[1] == f"{logged_rates(run)[updated]:.3g}"
    assert note[2] == f"{logged_rates(whole)[updated]:.3g}"
    assert note[1] != note[2] and logged_rates(whole)[10] != logged_rates(whole)[updated]


def logged_rates(run: Path) -> dict[int, float]:
    """The learning rate after each step."""
    records = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return {record["step"]: record["optim/lr"] for record in records if "optim/lr" in record}


def test_a_config_from_before_an_option_without_effect_is_the_same_config() -> None:
    config = compose("data=iris", "model=mlp", "run.name=it")
    saved = config.to_mapping()
    del saved["data"]["k_fold"], saved["data"]["fold"]
    assert _differences(config, saved) == []
    assert _differences(compose("data=iris", "model=mlp", "data.k_fold=5", "data.fold=0"), saved) == ["data"]


def test_fewer_epochs_than_were_done_are_refused(bench: Bench, runs: Path) -> None:
    run = copied(runs / "whole")
    assert bench("resume", run, "trainer.epochs=2") == 2
    assert "trainer.epochs=2: the run has done 3 epochs already" in bench.err


def test_auto_starts_goes_on_and_says_when_it_is_complete(bench: Bench) -> None:
    words = ("train", *MLP, "resume=auto", "run.dir=run")
    assert bench("train", *MLP, "resume=auto", "run.dir=whole") == 0
    assert bench(*words, stop_at=5) == 143
    assert bench(*words, stop_at=12) == 143
    assert "from step 5, 0 epochs done" in bench.out
    assert bench(*words) == 0
    assert "from step 12, 1 epochs done" in bench.out
    assert differences(Path("run"), Path("whole")) == []
    before = hashes(Path("run"))
    assert bench(*words) == 0
    assert "run is already complete (3 epochs)" in bench.out
    assert hashes(Path("run")) == before


def test_auto_finds_the_unfinished_run_of_the_same_config_among_others(bench: Bench) -> None:
    words = ("train", *MLP, "resume=auto")
    assert bench(*words, "seed=1", stop_at=5) == 143
    assert bench(*words, stop_at=5) == 143
    assert bench(*words, "seed=2", stop_at=5) == 143
    assert bench(*words) == 0
    assert "from step 5, 0 epochs done" in bench.out
    assert len(list(Path("outputs").glob("*/*"))) == 3
    assert bench(*words) == 0  # the one is finished, so another one begins
    assert "from step" not in bench.out
    assert len(list(Path("outputs").glob("*/*"))) == 4


@pytest.mark.parametrize("has_checkpoint", [True, False])
def test_auto_refuses_another_config_in_the_folder(has_checkpoint: bool, bench: Bench, runs: Path) -> None:
    run = copied(runs / "stopped")
    if not has_checkpoint:
        shutil.rmtree(run / "checkpoints")
    before = hashes(run)
    assert bench("train", *MLP, "seed=1", "resume=auto", "run.dir=run") == 2
    assert "run.dir=run holds another run: its seed differs" in bench.err
    assert bench("train", *MLP, "run.dir=run") == 2
    assert "run.dir=run exists already" in bench.err
    assert hashes(run) == before


@pytest.mark.parametrize("left", [[], [".lock"], [".lock", "run.json", "overrides.yaml", ".config.yaml.77.part"]])
def test_auto_begins_in_a_folder_whose_run_was_killed_before_it_wrote_its_config(left: list[str], bench: Bench) -> None:
    Path("run").mkdir()
    for name in left:
        (Path("run") / name).touch()
    assert bench("train", *MLP, "resume=auto", "run.dir=run") == 0, bench.err
    assert bench("train", *MLP, "resume=auto", "run.dir=whole") == 0
    assert differences(Path("run"), Path("whole")) == []


def test_auto_leaves_a_folder_of_other_files_alone(bench: Bench) -> None:
    Path("run").mkdir()
    Path("run/thesis.txt").write_text("mine")
    config = compose(*MLP, "resume=auto", "run.dir=run")
    assert find_same(config, "digits-mlp") is None
    assert bench("train", *MLP, "resume=auto", "run.dir=run") == 2
    assert [path.name for path in Path("run").iterdir()] == ["thesis.txt"]


def test_a_run_that_ended_before_its_first_checkpoint_begins_again(
    bench: Bench, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("dlcourse.runs.saver.Saver.save", lambda *_: signal.raise_signal(signal.SIGTERM))
        assert bench("train", *MLP, "run.dir=run") == 143
    assert not Path("run/checkpoints").exists()
    assert bench("resume", "run") == 0, bench.err
    assert differences(Path("run"), runs / "whole") == []


@pytest.mark.parametrize("file", ["model.safetensors", "training.safetensors", "state.json", "manifest.json"])
def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_is_used(file: str, bench: Bench, runs: Path) -> None:
    run = copied(runs / "stopped")
    damaged = newest(run)
    damage(damaged / file)
    assert bench("resume", run) == 0, bench.err
    assert f"checkpoint {damaged.name} is damaged" in bench.out
    assert "from step 14, 1 epochs done" in bench.out
    assert differences(run, runs / "whole") == [f"only one has checkpoints/damaged-{damaged.name}"]


def change_a_byte(log: Path) -> None:
    content = bytearray(log.read_bytes())
    content[20] ^= 1
    log.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "note", "left"),
    [
        (change_a_byte, "metrics.jsonl is not as this run wrote it, and was renamed to damaged-metrics.jsonl", True),
        (Path.unlink, "metrics.jsonl is gone", False),
    ],
)
def test_a_run_goes_on_at_the_same_step_without_its_log_and_says_so(
    spoil: Callable[[Path], object], note: str, left: bool, bench: Bench, runs: Path
) -> None:
    run = copied(runs / "stopped")
    spoil(run / "metrics.jsonl")
    spoiled = (run / "metrics.jsonl").read_bytes() if left else b""
    assert bench("resume", run) == 0, bench.err
    assert "from step 17, 1 epochs done" in bench.out
    assert f"note   {note}: metrics.jsonl and TensorBoard lack steps up to 17" in bench.out
    only = ["only one has damaged-metrics.jsonl"] if left else []
    assert differences(run, runs / "whole") == [*only, "metrics.jsonl differs"]
    assert not left or (run / "damaged-metrics.jsonl").read_bytes() == spoiled
    ours, theirs = ((folder / "metrics.jsonl").read_text().splitlines() for folder in (run, runs / "whole"))
    assert [untimed(line) for line in ours] == [untimed(line) for line in theirs if json.loads(line)["step"] > 17]


def untimed(line: str) -> dict[str, Any]:
    return {name: value for name, value in json.loads(line).items() if not name.startswith("time")}


def test_the_checkpoints_of_a_run_without_its_log_are_of_the_new_one(
    bench: Bench, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a kill right after is resumed without another note, and nothing is set aside again."""
    run = copied(runs / "stopped")
    (run / "metrics.jsonl").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "fit", lambda self: signal.raise_signal(signal.SIGTERM))
        assert bench("resume", run) == 143
    assert bench("resume", run) == 0, bench.err
    assert "metrics.jsonl is gone" not in bench.out
    assert differences(run, runs / "whole") == ["metrics.jsonl differs"]


def test_other_line_ends_in_the_log_cost_nothing(bench: Bench, runs: Path) -> None:
    run = copied(runs / "stopped")
    log = run / "metrics.jsonl"
    log.write_bytes(log.read_bytes().replace(b"\n", b"\r\n"))
    assert bench("resume", run) == 0, bench.err
    assert "note" not in bench.out
    assert differences(run, runs / "whole") == []


GONE = "dlcourse: error: the run folder run was removed, moved or replaced while this run was using it; "


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("resumed", [False, True])
def test_a_folder_that_is_moved_while_training_is_noticed_at_the_next_save(
    resumed: bool, bench: Bench, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("resume", copied(runs / "stopped")) if resumed else ("train", *MLP, "run.dir=run")
    with monkeypatch.context() as patch:
        after_step(patch, 19, lambda: Path("run").rename("elsewhere"))
        assert bench(*words) == 3
    assert GONE in bench.err and "is safe" not in bench.err
    assert not Path("run").exists()
    assert bench("resume", "elsewhere") == 0, bench.err
    assert f"from step {17 if resumed else 14}, " in bench.out
    assert differences(Path("elsewhere"), runs / "whole") == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_nothing_is_written_into_another_run_that_took_the_folder(
    bench: Bench, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replace() -> None:
        shutil.rmtree("run")
        shutil.copytree(runs / "whole", "run")

    with monkeypatch.context() as patch:
        after_step(patch, 8, replace)  # the next to be written is the first epoch's report
        assert bench("train", *MLP, *BY_HAND, "seed=1", "run.dir=run") == 3
    assert GONE in bench.err
    theirs = {name: found for name, found in hashes(Path("run")).items() if not name.startswith("events.")}
    assert theirs.items() <= hashes(runs / "whole").items()


@pytest.mark.parametrize(
    "meddle",
    [
        Path.unlink,
        lambda log: log.write_bytes(b""),
        lambda log: (log.unlink(), log.write_text("another")),
    ],
    ids=["removed", "emptied", "replaced"],
)
def test_a_log_that_is_lost_while_training_is_noticed_once_the_step_is_safe(
    meddle: Callable[[Path], object], bench: Bench, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        after_step(patch, 20, lambda: meddle(Path("run/metrics.jsonl")))
        assert bench("train", *MLP, "run.dir=run") == 3
    (line,) = bench.err.splitlines()
    assert line.startswith("dlcourse: error: run/metrics.jsonl was removed, replaced or changed while the run was ")
    assert line.endswith("; step 21 is safe: resume with dlcourse resume run")
    assert bench("resume", "run") == 0, bench.err
    assert "from step 21, " in bench.out
    assert "metrics.jsonl differs" in differences(Path("run"), runs / "whole")[-1]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("name", ["overrides.yaml", "weights.safetensors", "metrics.jsonl", "run.json", ".lock"])
def test_a_run_folder_with_a_pipe_in_it_is_refused_and_nobody_waits(name: str, bench: Bench, runs: Path) -> None:
    run = copied(runs / "stopped")
    shutil.rmtree(run / "checkpoints")  # so that everything is read from the files of the folder
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)
    with ends_by_itself():
        assert bench("resume", run) == 2
    assert (
        bench.err == f"dlcourse: error: {run / name} is a pipe or a device, which dlcourse does not make; remove it\n"
    )


@contextlib.contextmanager
def ends_by_itself() -> Iterator[None]:
    """Fail instead of waiting for ever."""

    def fail(*_: object) -> None:
        raise AssertionError("waits for a pipe")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(60)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_the_newest_run_below_a_folder_is_resumed(bench: Bench, runs: Path) -> None:
    """By time, not by name, among folders at both depths."""
    for age, place in enumerate(("all/b", "all/c/a", "all/a")):
        shutil.copytree(runs / "stopped", place)
        os.utime(place, (2e9 - age, 2e9 - age))
    assert find_started("all") == Path("all/b")
    os.utime("all/c/a", (2e9 + 1, 2e9 + 1))
    assert find_started("all") == Path("all/c/a")


def test_auto_takes_the_newest_of_several_runs_alike(bench: Bench) -> None:
    config = compose(*MLP, "resume=auto")
    for name in ("2026-01-02_000000-aaaa", "2026-01-03_000000-aaaa", "2026-01-01_000000-ffff"):
        folder = Path("outputs/digits-mlp") / name
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(config.to_yaml())
    found = find_same(config, "digits-mlp")
    assert found is not None and found.name == "2026-01-03_000000-aaaa"


def test_a_run_without_a_good_checkpoint_is_refused(bench: Bench, runs: Path) -> None:
    run = copied(runs / "stopped")
    for place in (run / "checkpoints").iterdir():
        damage(place / "training.safetensors")
    before = hashes(run)
    assert bench("resume", run) == 2
    assert f"no usable checkpoint in {run / 'checkpoints'}: 2 are damaged" in bench.err
    assert bench.err.count("\n") == 1
    assert hashes(run) == before


def test_resume_cannot_change_what_a_run_is(bench: Bench, runs: Path) -> None:
    run = copied(runs / "stopped")
    before = hashes(run)
    assert bench("resume", run, "seed=1") == 2
    assert "resume cannot change 'seed'" in bench.err
    assert hashes(run) == before


@pytest.mark.parametrize("change", ["model=cnn", "model.hidden=[8]", "data=moons", "trainer.batch_size=8", "trainer=x"])
def test_options_that_resume_cannot_change(change: str) -> None:
    with pytest.raises(ConfigError, match=f"^resume cannot change '{change.partition('=')[0]}', only trainer.epochs"):
        changed({"trainer": {"epochs": 3}}, [change])


def test_options_that_resume_changes_leave_the_others_alone() -> None:
    config = {"seed": 5, "trainer": {"epochs": 3, "batch_size": 8, "checkpoint": {"keep": 2, "steps": 4}}, "device": {}}
    words = ["device.threads=3", "trainer.epochs=9", "trainer.checkpoint.keep=1", "device=cpu"]
    found = changed(config, words)
    assert found["seed"] == 5 and found["trainer"] == {
        "epochs": 9,
        "batch_size": 8,
        "checkpoint": {"keep": 1, "steps": 4},
    }
    assert found["device"]["name"] == "cpu" and found["device"]["threads"] == 3, "first the device, then its options"
    assert config["trainer"]["epochs"] == 3


def test_changed_data_are_refused(bench: Bench) -> None:
    rows = [f"{row % 4},{row % 7},{'yes' if row % 2 else 'no'}" for row in range(60)]
    table = Path("table.csv")
    table.write_text("\n".join(["a,b,answer", *rows]) + "\n")
    words = (*TINY, "data=csv", "data.file=table.csv", "data.target=answer", "model=logreg", "trainer.batch_size=4")
    run = bench.stopped(5, *words)
    whole = table.read_text()
    table.write_text(whole.replace("3,3,yes", "3,4,yes", 1))
    assert table.read_text() != whole
    assert bench("resume", run) == 2
    assert "data 'csv' differs from the data the run was trained on; restore it" in bench.err
    table.write_text(whole)
    assert bench("resume", run) == 0


def test_a_run_in_use_is_refused(bench: Bench, runs: Path) -> None:
    run = copied(runs / "stopped")
    imports = "import sys; from pathlib import Path; from dlcourse.runs.folder import RunFolder"
    code = f"{imports}\nwith RunFolder(Path('run')).locked():"
    other = subprocess.Popen(
        [sys.executable, "-c", f"{code} print(flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert other.stdin is not None and other.stdout is not None
    with other.stdin, other.stdout:
        other.stdout.readline()
        before = hashes(run)
        for words in (["resume", run], ["train", *MLP, "resume=auto", "run.dir=run"]):
            assert bench(*words) == 2
            assert f"run is in use by process {other.pid} on" in bench.err
        assert hashes(run) == before
    other.wait()
    assert bench("resume", run) == 0


def test_a_resumed_run_keeps_its_number_of_threads(bench: Bench) -> None:
    """On them the last digits depend; so many are not what this process starts with."""
    threads = torch.get_num_threads() + 4
    words = [word for word in MLP if not word.startswith("device.threads")]
    bench.stopped(5, *words, f"device.threads={threads}")
    assert bench("resume", "run", f"device.threads={threads - 1}", stop_at=8) == 143
    assert f"threads: {threads - 1} here, {threads} when the run began" in bench.out
    for change, stop_at, code in (["device=cpu"], 12, 143), ([], None, 0):  # the config tells them no more
        torch.set_num_threads(1)
        assert bench("resume", "run", *change, stop_at=stop_at) == code
        assert f"cpu, {threads} threads" in bench.out.splitlines()[0]
        assert torch.get_num_threads() == threads
        about = read_start(Path("run")).about
        assert (about["environment"]["threads"], about["config"]["device"]["threads"]) == (threads, None)
        assert "the numbers may differ" not in bench.out


def test_leftovers_of_killed_writers_are_cleared_away(bench: Bench, runs: Path) -> None:
    run = copied(runs / "stopped")
    (run / ".weights.safetensors.77.part").touch()
    (run / "checkpoints" / ".step-00000014.77.part").mkdir()
    assert bench("resume", run) == 0
    assert list(run.rglob("*.part")) == []


@pytest.mark.parametrize("name", ["accumulate", "cnn", "seq2seq", "vae", "gan", "diffusion", "images"])
def test_the_same_command_twice_is_bit_exact(name: str, bench: Bench, warm: Path) -> None:
    config = family(name, warm, warm / "run")
    torch.manual_seed(1)
    session.run(at(config, "one"), [])
    torch.manual_seed(2)
    session.run(at(config, "other"), [])
    assert differences(Path("one"), Path("other")) == []


def test_what_a_checkpoint_is_of_can_be_read_without_training(runs: Path) -> None:
    start = read_start(RunFolder(runs / "stopped"))
    assert start.checkpoint is not None
    assert start.checkpoint.step == 17
    assert RunConfig.from_mapping(start.about["config"]).to_mapping()["model"] == compose(*MLP).to_mapping()["model"]


def test_resume_auto_leaves_a_folder_that_is_no_run_alone(bench: Bench) -> None:
    mine = Path("mine")
    (mine / "checkpoints" / ".step-mine").mkdir(parents=True)
    (mine / "metrics.jsonl").write_text("precious")
    assert bench("train", *MLP, "run.dir=mine", "resume=auto") == 2
    assert "exists already" in bench.err
    assert (mine / "metrics.jsonl").read_text() == "precious"
    assert (mine / "checkpoints" / ".step-mine").is_dir()


def test_resume_auto_passes_over_what_it_cannot_read(bench: Bench) -> None:
    assert bench("train", *MLP, stop_at=5) == 143
    (run,) = Path("outputs").glob("*/*")
    (run.parent / "zz").mkdir()
    (run.parent / "zz" / "config.yaml").write_text("")
    assert bench("train", *MLP, "resume=auto") == 0, bench.err
    assert json.loads((run / "run.json").read_text())["status"] == "done"


def test_more_epochs_that_were_asked_for_are_remembered_by_a_resume_that_is_killed_at_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bench("train", *MLP, "run.dir=run") == 0
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "fit", lambda self: signal.raise_signal(signal.SIGTERM))
        assert bench("resume", "run", "trainer.epochs=5") == 143
    assert bench("resume", "run") == 0, bench.err
    assert json.loads(Path("run/report.json").read_text())["epochs"] == 5


def test_a_run_that_patience_ended_goes_on_with_more_of_it(bench: Bench) -> None:
    words = ("data=iris", "model=softmax", "optimizer.lr=1e-30", "trainer.epochs=9")
    assert bench("train", *words, "trainer.patience=1", "run.dir=run") == 0
    assert json.loads(Path("run/report.json").read_text())["epochs"] == 2
    assert bench("resume", "run") == 0
    assert bench.out.rstrip().endswith("dlcourse resume run trainer.patience=N")
    assert bench("resume", "run", "trainer.patience=3") == 0, bench.err
    assert json.loads(Path("run/report.json").read_text())["epochs"] == 4


def test_a_checkpoint_that_may_not_be_read_is_not_taken_for_damaged(
    bench: Bench, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = copied(runs / "stopped")
    before = sorted(path.name for path in (run / "checkpoints").iterdir())
    opens = Path.open

    def refused(path: Path, *words: object, **options: object) -> object:
        if path.name == "model.safetensors":
            raise PermissionError(13, "Permission denied")
        return opens(path, *words, **options)  # type: ignore[call-overload]

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refused)
        assert bench("resume", run) == 3
    assert "permission denied" in bench.err
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == before


def test_an_option_given_twice_is_refused(bench: Bench, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resume", str(copied(runs / "stopped")), "trainer.epochs=6", "trainer.epochs=7"]) == 2
    assert "'trainer.epochs' is given twice" in capsys.readouterr().err
