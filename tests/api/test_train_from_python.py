"""`dlcourse.train`: the run that the command trains, in the caller's process, which goes on unchanged whatever happens."""

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hydra
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

import dlcourse
from dlcourse.api.train import composed, train
from dlcourse.errors import ConfigError, DivergedError
from dlcourse.optim.step import ScheduledOptimizer
from dlcourse.rng import seed_everything
from dlcourse.signals import Stop, StoppedError, in_host
from lab import Lab
from transcripts import comparable

WORDS = (
    *("data=digits", "data.subset=160", "model.hidden=[8]", "trainer.epochs=2", "trainer.batch_size=16"),
    *("device.threads=1", "report=light", "trainer.checkpoint.steps=4"),
)


def test_it_is_the_run_that_the_command_trains(lab: Lab) -> None:
    by_command = dlcourse.load(lab.train(*WORDS, "run.tags=[a,b]"))
    run = train(*WORDS, "run.tags=[a,b]")
    assert comparable(lab.capsys.readouterr().out) == comparable(lab.out)
    assert run.folder.parent == Path("outputs/digits-mlp") and run.folder.name != by_command.folder.name
    for name in ("config.yaml", "overrides.yaml", "spec.json", "model.txt", "weights.safetensors"):
        assert (run.folder / name).read_bytes() == (by_command.folder / name).read_bytes()
    for key in ("command", "run", "train", "val", "test", "kept_epoch"):
        assert run.report[key] == by_command.report[key]


def test_two_in_one_process_are_equal_and_the_caller_goes_on_as_before(lab: Lab) -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        seed_everything(5)
        expected = torch.rand(3).tolist()
        seed_everything(5)
        first = dlcourse.train(*WORDS)
        second = dlcourse.train(*WORDS)
        assert torch.rand(3).tolist() == expected and torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    assert first.folder != second.folder and first.config == second.config
    for name, column in first.metrics.items():
        if not name.startswith("time/"):
            assert str(column) == str(second.metrics[name]), name
    for key, tensor in first.model.state_dict().items():
        assert torch.equal(tensor, second.model.state_dict()[key])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["model=cnm"], "unknown model 'cnm'; did you mean 'cnn'?"),
        (["optimizer.lrr=1"], "unknown option 'optimizer.lrr'"),
        (["optimizer.lr=-1"], "optimizer.lr must be"),
        (["model=linreg"], "model 'linreg'"),
        (["-m", "model=mlp,cnn"], "'-m': dlcourse.train does one run; call it for each, or type dlcourse train -m"),
        (
            ["--cfg=job"],
            "'--cfg=job': dlcourse.train takes options such as 'model=cnn', and config_dir=FOLDER; no flags",
        ),
        (["model=mlp,cnn"], "'model=mlp,cnn' has several values, and dlcourse.train does one run; call it for each"),
        (["seed=range(0,3)"], "'seed=range(0,3)' has several values"),
        (["model=cnn data=mnist"], "is several options in one text; write 'model=cnn', 'data=mnist'"),
        (["model"], "'model' is not of the form option=value"),
        ([{"model": "cnn"}], "options are texts such as 'model=cnn', got {'model': 'cnn'}"),
        (["seed=1", "seed=2"], "'seed' is given twice"),
        (["run.root=${oc.env:HOME}"], "cannot be used; write the value itself"),
    ],
)
def test_a_mistake_raises_the_line_that_the_command_prints(words: list[Any], told: str, lab: Lab) -> None:
    with pytest.raises(dlcourse.UserError) as caught:
        dlcourse.train(*words)
    assert told in str(caught.value) and "\n" not in str(caught.value)
    assert not Path("outputs").exists()
    if all(isinstance(word, str) and "several" not in told and not word.startswith("-") for word in words):
        assert lab.attempt(*words) == 2
        assert lab.err == f"dlcourse: error: {caught.value}\n"


def test_hydra_is_left_as_it_was_also_after_an_error(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE", "yes")
    monkeypatch.setattr("omegaconf.basecontainer.BaseContainer._resolvers", {})
    OmegaConf.clear_resolvers()
    for words in (["model=cnm"], WORDS, WORDS):
        try:
            dlcourse.train(*words)
        except ConfigError:
            assert words == ["model=cnm"]
        assert not GlobalHydra.instance().is_initialized() and HydraConfig.instance().cfg is None
        assert OmegaConf.create({"a": "${oc.env:MINE}"}).a == "yes"


def test_it_works_within_a_program_that_uses_hydra_itself(lab: Lab) -> None:
    with hydra.initialize(version_base="1.3", config_path=None):
        before = GlobalHydra.instance().hydra
        assert dlcourse.train(*WORDS).record.state == "done"
        assert GlobalHydra.instance().hydra is before


def test_it_works_outside_of_the_main_thread(lab: Lab) -> None:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(dlcourse.train(*WORDS).record.state))
    thread.start()
    thread.join()
    assert found == ["done"]


def interrupt_at(step: int, monkeypatch: pytest.MonkeyPatch, name: str = "SIGINT") -> None:
    """Let a signal come in the middle of a step."""
    descend, done = ScheduledOptimizer.descend, list[int]()

    def descend_and_interrupt(self: ScheduledOptimizer, loss: torch.Tensor) -> None:
        descend(self, loss)
        done.append(1)
        if len(done) == step:
            signal.raise_signal(getattr(signal, name))

    monkeypatch.setattr(ScheduledOptimizer, "descend", descend_and_interrupt)


@pytest.fixture
def hears_ctrl_c() -> Iterator[None]:
    """Python's own handler, also where a shell in the background has told this process to ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("hears_ctrl_c")
def test_ctrl_c_saves_the_run_which_the_same_call_continues(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = dlcourse.train(*WORDS)
    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        interrupt_at(6, patch)
        with pytest.raises(KeyboardInterrupt, match="the run is saved; the same call with 'resume=auto' continues it"):
            dlcourse.train(*WORDS)
    assert signal.getsignal(signal.SIGINT) is handler
    (stopped,) = (run for run in dlcourse.runs() if run.folder != whole.folder)
    assert stopped.state == "stopped" and "interrupted (Ctrl-C)" in lab.capsys.readouterr().out
    resumed = dlcourse.train(*WORDS, "resume=auto")
    assert resumed.folder == stopped.folder and resumed.report["test"] == whole.report["test"]
    assert (resumed.folder / "weights.safetensors").read_bytes() == (whole.folder / "weights.safetensors").read_bytes()


def test_sigterm_ends_the_program_once_the_run_is_saved(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_at(6, monkeypatch, "SIGTERM")
    with pytest.raises(StoppedError) as caught:
        dlcourse.train(*WORDS)
    assert caught.value.code == 143 and dlcourse.runs()[-1].state == "stopped"


@pytest.mark.usefixtures("hears_ctrl_c")
def test_a_second_ctrl_c_does_not_end_the_callers_process() -> None:
    with in_host(), Stop() as stop, stop.deferred():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def content(folder: Path) -> dict[Path, bytes]:
    """All files but the lock, which says who has looked last."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def test_a_complete_run_is_given_as_it_is(lab: Lab) -> None:
    first = dlcourse.train(*WORDS, "run.dir=run")
    before = content(first.folder)
    again = dlcourse.train(*WORDS, "run.dir=run", "resume=auto")
    assert again.folder == first.folder
    assert content(first.folder) == before


def test_a_failed_run_raises_what_the_command_prints(lab: Lab) -> None:
    with pytest.raises(DivergedError, match="the loss"):
        dlcourse.train(*WORDS, "optimizer=sgd", "optimizer.lr=1e30")
    assert dlcourse.runs()[-1].state == "failed"


def test_config_files_of_ones_own(lab: Lab) -> None:
    Path("mine/experiment").mkdir(parents=True)
    Path("mine/experiment/quick.yaml").write_text(
        "# @package _global_\n# A run of one epoch.\ndefaults:\n  - override /data: iris\ntrainer:\n  epochs: 1\n"
    )
    run = dlcourse.train("experiment=quick", "report=light", config_dir=Path("mine"))
    assert (run.config.name, run.config.data.name, run.config.trainer.epochs) == ("quick", "iris", 1)
    with pytest.raises(ConfigError, match="--config-dir 'nowhere' does not exist"):
        dlcourse.train(config_dir="nowhere")


def test_a_reference_means_what_it_means_to_the_command(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omegaconf.basecontainer.BaseContainer._resolvers", {})
    words = ("data=iris", "trainer.epochs=1", "report=light", "run.name=at_${now:x}_${seed}")
    run = dlcourse.train(*words)
    assert run.config == dlcourse.load(lab.train(*words)).config and run.config.name == "at_x_0"


def test_the_words_are_recorded_as_they_were_typed(lab: Lab) -> None:
    config, words = composed(["data.subset=160", "run.dir=here", "experiment=null"])
    assert words == ["data.subset=160"] and config.run.dir == "here" and config.run.name == "digits-mlp"
    run = dlcourse.train(*WORDS, "run.dir=run")
    assert json.loads((run.folder / "run.json").read_text())["status"] == "done"
    assert list(run.record.words) == list(WORDS)
