"""On a CUDA device: every family trains, no step waits for the device, and a stopped run ends as one that was not."""

import dataclasses
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from dlcourse.cli.main import main
from dlcourse.config.registry import Choice
from dlcourse.config.run_config import RunConfig
from dlcourse.console import Console
from dlcourse.device import DEVICES
from dlcourse.runs.resume import read_status
from dlcourse.runs.weights import read_tensors
from dlcourse.signals import StoppedError
from dlcourse.spec import Batch
from dlcourse.tasks import choose
from dlcourse.tasks.classification import Classification
from dlcourse.tasks.task import Scalars
from dlcourse.training import cuda_graph, session
from dlcourse.training.build import build_data, build_task
from dlcourse.training.evaluate import evaluate
from hooks import after_step
from lab import Lab
from torture.families import NAMES, family
from torture.same import differences

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]

FAMILIES = [name for name in NAMES if name != "transfer"]
ACCUMULATED = ("accumulate", "gaussian", "wasserstein")
"""Families whose steps are more than one kind."""
GAMES = ("dqn", "table", "actor_critic")
"""Families whose steps play, which no CUDA graph records."""
PLAIN = [name for name in FAMILIES if name not in ACCUMULATED + GAMES]
"""Families whose steps can be recorded."""
WAITING = ("table", "actor_critic")
"""Families whose steps wait for the device: moves on a grid are looked up in a table that comes from the CPU, and
`torch.multinomial` looks at its probabilities there."""
DRAWN = ("vae", "gaussian", "gan", "wasserstein", "diffusion")
"""Families whose evaluation draws random numbers, which differ from device to device."""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def on_cuda(name: str, *, compile: bool = False, **options: object) -> RunConfig:
    """The config of a family with these options of the device."""
    config = family(name, Path(), Path())
    trainer = dataclasses.replace(config.trainer, compile=compile)
    run = dataclasses.replace(config.run, dir="run")
    return dataclasses.replace(config, device=Choice("cuda", options), trainer=trainer, run=run)


def at(config: RunConfig, folder: str) -> RunConfig:
    return dataclasses.replace(config, run=dataclasses.replace(config.run, dir=folder))


def built(config: RunConfig) -> tuple:
    """The data and the task of a run."""
    device = DEVICES.build(config.device)
    torch.manual_seed(0)
    data = build_data(config, device)
    config = dataclasses.replace(config, task=choose(config.task, data.spec))
    task = build_task(config, data, device, Console())
    task.prepare(data)
    return data, task


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_trains(name: str) -> None:
    session.run(on_cuda(name), [])
    assert read_status(Path("run")) == "done"


@pytest.mark.parametrize("precision", ["tf32", "bfloat16", "float16"])
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_trains_in_lower_precision(name: str, precision: str) -> None:
    session.run(on_cuda(name, precision=precision), [])
    assert read_status(Path("run")) == "done"


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in DRAWN])
def test_an_untrained_model_measures_as_on_the_cpu(name: str) -> None:
    config, losses = on_cuda(name), []
    for device in (Choice("cpu"), config.device):
        data, task = built(dataclasses.replace(config, device=device))
        losses.append(evaluate(task, data.val, 16).scalars["loss"])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in WAITING])
def test_no_step_waits_for_the_device(name: str, precision: str) -> None:
    data, task = built(on_cuda(name, precision=precision))
    task.model.train()
    for batch in data.train.batches(4, epoch=1):
        task.train_step(batch)
    batches = data.train.batches(4, epoch=2)
    next(batches)  # which sends the order of the epoch
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(2):
            task.train_step(next(batches))
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_stopped_run_ends_as_one_that_was_not(name: str, compile: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    config = on_cuda(name, deterministic=True, compile=compile and name in PLAIN)
    session.run(at(config, "whole"), [])
    with monkeypatch.context() as patch, pytest.raises(StoppedError):
        after_step(patch, 13, lambda: signal.raise_signal(signal.SIGTERM))
        session.run(config, [])
    assert main(["resume", "run"]) == 0
    assert differences(Path("run"), Path("whole")) == []


@pytest.mark.parametrize("name", PLAIN)
def test_recorded_steps_are_the_same_steps(name: str, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    config = on_cuda(name, compile=True, deterministic=True)
    session.run(config, [])
    assert "note   each step is replayed from a CUDA graph\n" in capsys.readouterr().out
    monkeypatch.setattr(cuda_graph, "_PLAIN_CALLS", 10**6)
    session.run(at(config, "plain"), [])
    assert differences(Path("run"), Path("plain")) == []


@pytest.mark.parametrize("name", ["mlp", "cnn", "tokens", "vae", "diffusion"])
def test_recorded_steps_learn_what_others_do(name: str) -> None:
    """But for the last digits: a graph reads learning rates in float32."""
    config = on_cuda(name, compile=True, deterministic=True)
    session.run(config, [])
    trainer = dataclasses.replace(config.trainer, compile=False)
    session.run(at(dataclasses.replace(config, trainer=trainer), "other"), [])
    recorded, other = (read_tensors(Path(run) / "weights.safetensors") for run in ("run", "other"))
    for tensor_name, tensor in other.items():
        torch.testing.assert_close(recorded[tensor_name], tensor, rtol=1e-3, atol=1e-3)


def test_what_cannot_be_recorded_is_told(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["data=digits", "model=mlp", "trainer.epochs=1", "trainer.compile=true", "device=cuda"]
    assert lab.attempt(*words, "device.precision=float16") == 2
    assert "trainer.compile=true does not go with device.precision=float16 on a CUDA device; write" in lab.err
    assert lab.attempt(*words, "trainer.accumulate=2") == 2
    assert "trainer.compile=true does not go with trainer.accumulate=2 on a CUDA device; write" in lab.err
    assert lab.attempt("data=cliff", "model=linreg", "task=q_learning", "trainer.compile=true", "device=cuda") == 2
    assert "trainer.compile=true: the steps of this task cannot be recorded; write trainer.compile=false" in lab.err
    losses = Classification.losses

    def reading(self: Classification, batch: Batch) -> Scalars:
        batch.inputs.sum().item()
        return losses(self, batch)

    monkeypatch.setattr(Classification, "losses", reading)
    assert lab.attempt(*words) == 2
    assert "trainer.compile=true: a step of this model cannot be recorded as a CUDA graph: " in lab.err
