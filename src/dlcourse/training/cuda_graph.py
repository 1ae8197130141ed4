"""`trainer.compile=true` on a CUDA device: a training step, recorded as a CUDA graph and replayed.

A step of a small network is some hundred short pieces of work for the device, and Python takes longer to ask for each than
the device to do it; a graph is asked for once. See https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs.
"""

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor

from dlcourse.config.run_config import TrainerConfig
from dlcourse.errors import ConfigError, first_line, is_out_of_memory
from dlcourse.spec import Batch, Data
from dlcourse.state_dict import State
from dlcourse.tasks.task import Scalars, Task
from dlcourse.training.evaluate import training_batches

_PLAIN_CALLS = 3
"""Calls before a recording, in which libraries start and optimizers make their state: neither can be recorded."""


class Recorded:
    """A function of batches that works on the device alone, recorded once for each shape that a batch has.

    It does what the function does, to the bit, so that it makes no difference from which call on it is replayed.
    """

    def __init__(self, function: Callable[[Batch], Scalars]) -> None:
        self._function = function
        self._calls: dict[tuple[torch.Size, ...], int] = {}
        self._recordings: dict[tuple[torch.Size, ...], _Recording] = {}

    def __call__(self, batch: Batch) -> Scalars:
        shapes = tuple(tensor.shape for tensor in batch)
        if shapes not in self._recordings:
            self._calls[shapes] = self._calls.get(shapes, 0) + 1
            if self._calls[shapes] <= _PLAIN_CALLS:
                # Detached: what autograd keeps of a step for whoever holds its loss would be in the way of a recording.
                return {name: value.detach() for name, value in self._function(batch).items()}
            self._recordings[shapes] = _Recording(self._function, batch)
        return self._recordings[shapes].replay(batch)


class _Recording:
    """One graph, with the places in memory that it reads a batch from and writes its scalars to."""

    def __init__(self, function: Callable[[Batch], Scalars], batch: Batch) -> None:
        self._batch = [tensor.clone() for tensor in batch]
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):  # nothing is computed yet
            scalars = function(Batch(*self._batch))
            self._values: Tensor = torch.stack([value.detach() for value in scalars.values()])
        self._names = list(scalars)

    def replay(self, batch: Batch) -> Scalars:
        torch._foreach_copy_(self._batch, list(batch))
        self._graph.replay()
        return dict(zip(self._names, self._values.clone().unbind(), strict=True))


def _require_recordable(task: Task, config: TrainerConfig) -> None:
    """Raise ConfigError for steps that differ from each other, or of which the processor decides something."""
    if not task.recordable:
        raise ConfigError(
            "trainer.compile=true: the steps of this task cannot be recorded; write trainer.compile=false"
        )
    for other, is_wanted, instead in (
        ("device.precision=float16", task.device.precision == "float16", "device.precision=bfloat16"),
        (f"trainer.accumulate={config.accumulate}", config.accumulate > 1, "trainer.accumulate=1"),
    ):
        if is_wanted:
            raise ConfigError(f"trainer.compile=true does not go with {other} on a CUDA device; write {instead}")


def record_steps(task: Task, data: Data, config: TrainerConfig) -> str:
    """Let the steps of a task be recorded, which is tried first; the words that say so. Raises ConfigError."""
    _require_recordable(task, config)
    _try(task, data, config)
    _use_recordings(task)
    return "each step is replayed from a CUDA graph"


def _try(task: Task, data: Data, config: TrainerConfig) -> None:
    """Record and replay steps; after it, the state of the task and all random numbers are as before.

    Raises ConfigError if they cannot be recorded, or if what is replayed trains otherwise than the steps themselves:
    libraries promise nothing of that, and PyTorch 2.11 gave a GRU behind an embedding weights of nan.
    """
    before = copy.deepcopy((task.model.state_dict(), task.state_dict()))
    try:
        _use_recordings(task)
        replayed = _trained(task, data, config, before)
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise ConfigError(
            f"trainer.compile=true: a step of this model cannot be recorded as a CUDA graph: {first_line(error)}; write "
            "trainer.compile=false"
        ) from error
    finally:
        for name in task.recordable:
            delattr(task, name)
    if not _is_same_way(before[0], _trained(task, data, config, before), replayed):
        raise ConfigError(
            "trainer.compile=true: a CUDA graph of this model's step trains it otherwise than the step itself; write "
            "trainer.compile=false"
        )


def _trained(task: Task, data: Data, config: TrainerConfig, before: tuple[State, State]) -> State:
    """The model's state after a few steps on one batch; the task is left as it was `before`."""
    with task.device.forked_random_state():
        task.model.train()
        batch = next(training_batches(config, data))
        for _ in range(_PLAIN_CALLS + 2):
            task.train_step(batch)
        torch.cuda.synchronize()
    state = copy.deepcopy(task.model.state_dict())
    task.model.load_state_dict(before[0])
    task.load_state_dict(before[1])
    return state


def _is_same_way(before: State, plain: State, replayed: State) -> bool:
    """Whether two trainings ended near each other, measured by how far they went: last digits may differ."""
    way = sum(float((plain[name] - start).double().square().sum()) for name, start in before.items())
    apart = sum(float((plain[name] - replayed[name]).double().square().sum()) for name in before)
    return apart <= 0.05 * way or not math.isfinite(way)


def _use_recordings(task: Task) -> None:
    for name in task.recordable:
        setattr(task, name, Recorded(getattr(task, name)))
