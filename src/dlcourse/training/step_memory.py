"""The memory that a training step takes, found by running one on tensors that have shapes and no memory."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dlcourse.config.run_config import RunConfig
from dlcourse.device import DEVICES, Device
from dlcourse.optim.fused import Optimizer
from dlcourse.optim.optimizers import OPTIMIZERS
from dlcourse.optim.step import ScheduledOptimizer
from dlcourse.spec import Batch, DataSpec
from dlcourse.tasks import TASKS
from dlcourse.training.build import misfits_told, unfitted_model
from dlcourse.training.live_memory import LiveMemory
from dlcourse.training.transfer import freeze


@dataclass(frozen=True)
class StepMemory:
    """Bytes, at the moment of a training step when there are most.

    `weights` are parameters and buffers, `averages` a running average of them, `activations` the batch and what autograd
    keeps for the backward pass, `temporary` what else there is at that moment: results on their way to the next layer,
    gradients of activations.
    """

    weights: int
    averages: int
    gradients: int
    optimizer_state: int
    activations: int
    temporary: int

    @property
    def total(self) -> int:
        return self.weights + self.averages + self.gradients + self.optimizer_state + self.activations + self.temporary


def meta_model(config: RunConfig, spec: DataSpec) -> nn.Module:
    """The model of a run on torch's meta device, which has shapes and no memory, frozen as the config says.

    Raises ConfigError if it does not take such data.
    """
    with torch.device("meta"), misfits_told(config, spec):
        model = unfitted_model(config, spec)
        model.to(memory_format=torch.channels_last)  # as Device.place does
        if config.freeze:
            freeze(model, config.freeze)
    return model


def step_memory(model: nn.Module, config: RunConfig, spec: DataSpec, batch_size: int) -> StepMemory:
    """What a step on so many examples takes once the optimizer has its state, with torch's kernels for a processor.

    `model` is a `meta_model`, and of no use afterwards. The task and the optimizer are those of a run, and the step is
    theirs. Not counted are the data set, what a kernel takes for its own use (but for an LSTM's, which is large), and the
    program itself. Raises ConfigError if model, task and batch size do not go together.
    """
    device = _processor(config)
    # Torch starts its threads at the first backward pass of a process. For a fake device it starts some, with which no
    # process that is forked afterwards can train; for real numbers on a processor none.
    torch.ones((), requires_grad=True).backward()
    with _without_memory(), misfits_told(config, spec):
        _move_to_fake(model)
        task = TASKS.build(config.task, model=model, spec=spec, device=device)
        optimizers: list[Optimizer] = []

        def make(module: nn.Module, *, every: int = 1, times: int = 1) -> ScheduledOptimizer:
            optimizers.append(OPTIMIZERS.build(config.optimizer)(module))
            return ScheduledOptimizer(optimizers[-1], lambda update: 1.0, device)

        task.start(make)
        for module in (model, task.model):
            module.train()
        with LiveMemory() as memory:
            weights = memory.count(_tensors(model))
            averages = memory.count(_tensors(task.model))
            gradients = _give_gradients(optimizers, memory)
            state = _make_states(optimizers, memory)
            batch = zero_batch(spec, batch_size)
            memory.count(batch, kept=True)
            with memory.saving([*_tensors(model), *_tensors(task.model)]):
                task.train_step(batch)
    known = weights + averages + gradients + state + memory.activations
    return StepMemory(weights, averages, gradients, state, memory.activations, max(0, memory.peak - known))


def zero_batch(spec: DataSpec, size: int) -> Batch:
    """So many examples of zeros, inputs and targets, of the shapes and types that a training step gets."""
    if spec.target in ("class", "preference"):
        targets = torch.zeros(size, dtype=torch.int64)
    elif spec.target == "value":
        targets = torch.zeros(size, spec.num_outputs)
    elif spec.environment:
        targets = torch.zeros(size, 0)
    else:
        length = spec.output_length if spec.target == "sequence" else spec.input_shape[0]
        targets = torch.zeros(size, length, dtype=torch.int64)
    return Batch(spec.zeros(size), targets)


def _processor(config: RunConfig) -> Device:
    """A processor that computes in the precision that the config asks for, which this one need not be able to."""
    options: dict[str, Any] = DEVICES.check(config.device)
    return Device(torch.device("cpu"), options.get("precision", "float32"))


@contextmanager
def _without_memory() -> Iterator[None]:
    """Within this, all tensors are torch's fake ones, which know their shapes and that they are on a processor.

    A number that is read off one is 0.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode  # takes a second

    class OneMode(FakeTensorMode):  # type: ignore[no-untyped-call]
        """A mode that copies of its tensors share, as a running average of weights is one, and in which numbers are 0."""

        def __deepcopy__(self, memo: object) -> "OneMode":
            return self

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is torch.ops.aten._local_scalar_dense.default:
                return 0
            if (
                func is torch.ops.aten.linalg_lstsq.default
            ):  # torch knows no shapes of it: a solution (P, O), and no more
                left, right = args[:2]
                nothing = left.new_empty(0)
                return left.new_empty(left.shape[-1], right.shape[-1]), nothing, nothing, nothing
            return super().__torch_dispatch__(func, types, args, kwargs)

    with warnings.catch_warnings(), OneMode():
        warnings.filterwarnings(
            "ignore", message="Accessing the data pointer of FakeTensor"
        )  # torch's own copying does
        yield


def _move_to_fake(model: nn.Module) -> None:
    """Put fake tensors into a model in place of its own, laid out in memory as those are."""
    moved: dict[int, Tensor] = {}
    for module in model.modules():
        tensors = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
        for name, tensor in tensors:
            if id(tensor) not in moved:
                fake = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cpu")
                is_parameter = isinstance(tensor, nn.Parameter)
                moved[id(tensor)] = nn.Parameter(fake, tensor.requires_grad) if is_parameter else fake
            setattr(module, name, moved[id(tensor)])


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


def _give_gradients(optimizers: list[Optimizer], memory: LiveMemory) -> int:
    """Give every parameter that is trained a gradient, as after a step; returns the bytes of them all."""
    before = memory.live
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.empty_like(parameter)
    return memory.live - before


def _make_states(optimizers: list[Optimizer], memory: LiveMemory) -> int:
    """Let every optimizer make its state, as its first step does; returns the bytes that it keeps."""
    before = memory.live
    for optimizer in optimizers:
        optimizer.step()
    return memory.live - before
