"""The memory of a training step: predicted without any, against what torch allocates in real steps on a CPU."""

import dataclasses
import os
import subprocess
import sys
import time
from typing import Any

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from dlcourse.cli.compatibility import announced, trains_on
from dlcourse.config.registry import Choice
from dlcourse.config.run_config import RunConfig
from dlcourse.data import DATASETS
from dlcourse.device import cpu
from dlcourse.errors import ConfigError
from dlcourse.models import MODELS
from dlcourse.optim.optimizers import OPTIMIZERS
from dlcourse.optim.step import ScheduledOptimizer
from dlcourse.spec import Batch, DataSpec
from dlcourse.tasks import TASKS, choose
from dlcourse.training.build import unfitted_model
from dlcourse.training.live_memory import LiveMemory, _lstm_workspace
from dlcourse.training.step_memory import StepMemory, meta_model, step_memory, zero_batch
from lab import composed

IMAGES = next(spec for spec in announced("mnist"))
WIDE = dataclasses.replace(IMAGES, name="wide")


def config_and_spec(*words: str) -> tuple[RunConfig, DataSpec]:
    config = composed(*words)
    spec = dataclasses.replace(announced(config.data.name)[0], name=config.data.name)
    return dataclasses.replace(config, task=choose(config.task, spec)), spec


def predicted(config: RunConfig, spec: DataSpec) -> StepMemory:
    size = config.trainer.batch_size
    assert isinstance(size, int)
    return step_memory(meta_model(config, spec), config, spec, size)


def measured(config: RunConfig, spec: DataSpec) -> tuple[int, dict[str, int]]:
    """The most bytes that are allocated at a time while a model is built and trained for three steps, and some parts."""
    device, size = cpu(threads=1), config.trainer.batch_size
    optimizers: list[Any] = []

    def make(module: torch.nn.Module, *, every: int = 1, times: int = 1) -> ScheduledOptimizer:
        optimizers.append(OPTIMIZERS.build(config.optimizer)(module))
        return ScheduledOptimizer(optimizers[-1], lambda update: 1.0, device, clip_norm=config.trainer.clip_norm)

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        model = device.place(unfitted_model(config, spec))
        task = TASKS.build(config.task, model=model, spec=spec, device=device)
        task.start(make)
        task.model.train()
        batch = zero_batch(spec, size)
        if spec.target == "sequence":  # of zeros, which are padding, there would be no loss
            batch = Batch(batch.inputs, torch.ones_like(batch.targets))
        for _ in range(3):
            task.train_step(batch)
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    live = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    states = [entry for optimizer in optimizers for state in optimizer.state.values() for entry in state.values()]
    parts = {
        "gradients": sum(parameter.grad.nbytes for parameter in model.parameters() if parameter.grad is not None),
        "optimizer_state": sum(entry.nbytes for entry in states if isinstance(entry, torch.Tensor)),
    }
    return peak, parts


@pytest.mark.parametrize(
    ("words", "tolerance"),
    [
        ("model=mlp data=mnist trainer.batch_size=256", 0.01),
        ("model=mlp data=mnist trainer.batch_size=16 optimizer=adadelta trainer.clip_norm=1", 0.01),
        ("model=cnn data=mnist trainer.batch_size=64", 0.1),
        ("model=resnet data=cifar10 trainer.batch_size=16", 0.1),
        ("model=lstm data=mnist trainer.batch_size=128", 0.1),
        ("model=lstm data=mnist model.hidden=100 model.layers=2 model.bidirectional=true", 0.1),
        ("model=lstm data=tinyshakespeare trainer.batch_size=32", 0.1),
        ("model=gru data=mnist trainer.batch_size=64", 0.01),
        ("model=transformer data=tinyshakespeare", 0.01),
        ("model=transformer data=tinyshakespeare model.dropout=0.1", 0.01),
        ("model=transformer data=reverse", 0.01),
        ("model=vae data=mnist trainer.batch_size=256", 0.01),
        ("model=autoencoder data=mnist model.arch=conv", 0.1),
        ("model=gan data=mnist", 0.1),
        ("model=diffusion data=mnist trainer.batch_size=16", 0.02),
    ],
)
def test_a_step_takes_what_real_ones_take(words: str, tolerance: float) -> None:
    """Within 10 % if kernels of convolutions and LSTMs take memory for their own use, within 1 % if not."""
    config, spec = config_and_spec(*words.split())
    memory = predicted(config, spec)
    peak, parts = measured(config, spec)
    assert memory.total == pytest.approx(peak, rel=tolerance)
    assert memory.gradients == pytest.approx(parts["gradients"], rel=0.001)
    assert memory.optimizer_state == pytest.approx(parts["optimizer_state"], rel=0.001)


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_every_optimizer_has_the_state_that_it_really_keeps(name: str) -> None:
    config, spec = config_and_spec("data=moons", "model=mlp", f"optimizer={name}")
    assert predicted(config, spec).optimizer_state == measured(config, spec)[1]["optimizer_state"]


@pytest.mark.parametrize("name", list(MODELS))
def test_every_model_has_its_memory_predicted(name: str) -> None:
    data = next(data for data in DATASETS if any(trains_on(name, spec) for spec in announced(data)))
    config, spec = config_and_spec(f"model={name}", f"data={data}", "trainer.batch_size=2")
    memory = predicted(config, spec)
    assert min(memory.weights, memory.gradients, memory.activations) > 0 and memory.temporary >= 0
    model = unfitted_model(config, spec)
    assert memory.weights >= sum(tensor.nbytes for tensor in model.state_dict().values())
    assert memory.total == sum(dataclasses.asdict(memory).values())


def test_no_memory_is_taken_and_no_time() -> None:
    config, spec = config_and_spec("data=mnist", "model=mlp", "model.hidden=[1000000,1000000]", "trainer.batch_size=8")
    start = time.perf_counter()
    memory = predicted(config, spec)
    assert memory.weights > 4 * 10**12 and memory.optimizer_state > 8 * 10**12
    assert time.perf_counter() - start < 60


def test_activations_grow_with_the_batch_and_nothing_else_does() -> None:
    one, two = (predicted(*config_and_spec("data=mnist", "model=cnn", f"trainer.batch_size={n}")) for n in (32, 64))
    assert two.activations == pytest.approx(2 * one.activations, rel=0.01)
    assert (two.weights, two.gradients, two.optimizer_state) == (one.weights, one.gradients, one.optimizer_state)


def test_what_an_mlp_keeps_is_the_inputs_of_its_layers_and_of_the_loss() -> None:
    config, spec = config_and_spec("data=mnist", "model=mlp", "model.hidden=[50]", "trainer.batch_size=8")
    numbers = 784 + 50 + 10  # the pixels, behind the ReLU, and the logarithms of the probabilities
    total_weight = 4  # of the loss, one number
    assert predicted(config, spec).activations == 8 * (4 * numbers + 8) + total_weight  # and the class, of 8 bytes


def test_frozen_parameters_have_neither_gradients_nor_a_state() -> None:
    config, spec = config_and_spec("data=mnist", "model=mlp", "freeze=[layers.1.*]")
    whole, frozen = predicted(dataclasses.replace(config, freeze=()), spec), predicted(config, spec)
    parameters = 4 * (784 * 256 + 256)
    assert whole.weights == frozen.weights
    assert whole.gradients - frozen.gradients == parameters
    assert frozen.activations > 64 * 4 * 784  # the batch is there, though no gradient needs it
    assert whole.optimizer_state - frozen.optimizer_state == pytest.approx(2 * parameters, abs=16)


def test_half_precision_halves_what_a_transformer_keeps() -> None:
    words = ("data=tinyshakespeare", "model=transformer")
    full, half = (predicted(*config_and_spec(*words, f"device.precision={name}")) for name in ("float32", "bfloat16"))
    assert half.weights == full.weights
    assert 0.4 * full.activations < half.activations < 0.8 * full.activations


def test_an_average_of_the_weights_is_a_second_model() -> None:
    config, spec = config_and_spec("data=moons", "model=diffusion")
    without, _ = config_and_spec("data=moons", "model=diffusion", "task.ema=0")
    assert predicted(config, spec).averages == predicted(config, spec).weights
    assert predicted(without, spec).averages == 0


@pytest.mark.parametrize(
    ("steps", "batch", "features", "hidden"), [(3, 4, 28, 128), (28, 64, 28, 100), (10, 8, 200, 64)]
)
def test_an_lstm_keeps_as_much_as_onednns_does(steps: int, batch: int, features: int, hidden: int) -> None:
    lstm, inputs = torch.nn.LSTM(features, hidden), torch.randn(steps, batch, features)
    sizes = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        sizes.append(tensor.nbytes if tensor.dtype == torch.uint8 else 0)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        lstm(inputs)
    if not max(sizes):
        pytest.skip("this torch has no oneDNN")
    assert _lstm_workspace(inputs, hidden).nbytes == pytest.approx(max(sizes), rel=0.05)


def test_live_memory_counts_what_shares_memory_once_and_forgets_what_is_gone() -> None:
    with LiveMemory() as memory:
        first = torch.zeros(100, device="meta")
        view = first.view(10, 10)
        second = torch.zeros(50, device="meta")
        assert memory.live == memory.peak == 600
        del second
        assert (memory.live, memory.peak) == (400, 600)
        assert memory.count([view]) == 0
        del first
        assert memory.live == 400  # of which the view is left
        del view
        assert memory.live == 0


def test_live_memory_knows_the_most_that_was_kept_at_a_time() -> None:
    weight = torch.zeros(10, 10, device="meta", requires_grad=True)
    with LiveMemory() as memory, memory.saving([weight]):
        for rows in (5, 3):
            inputs = torch.zeros(rows, 10, device="meta")
            (inputs @ weight).sum().backward()
    assert memory.activations == 4 * 5 * 10


def test_a_batch_norm_over_one_number_is_refused_as_training_does() -> None:
    config, spec = config_and_spec("data=moons", "model=mlp", "model.norm=batch", "trainer.batch_size=1")
    with pytest.raises(ConfigError, match=r"write trainer\.batch_size=2"):
        predicted(config, spec)


def test_a_model_that_does_not_take_the_data_is_refused_as_training_does() -> None:
    config, spec = config_and_spec("data=moons", "model=mlp")
    with pytest.raises(ConfigError, match=r"model 'cnn' needs images"):
        meta_model(dataclasses.replace(config, model=Choice("cnn")), spec)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_that_is_forked_afterwards_can_train() -> None:
    """In a fresh process, as torch decides at its first backward pass."""
    code = """
import os, sys, torch
from dlcourse.cli.main import main
main(["summary", "model=softmax", "data=digits"])
if (child := os.fork()) == 0:
    try:
        torch.ones((), requires_grad=True).backward()
    except RuntimeError:
        os._exit(1)
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert (
        subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, check=False).returncode == 0
    )
