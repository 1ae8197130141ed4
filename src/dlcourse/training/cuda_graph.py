"""`trainer.compile=true` on a CUDA device: a training step, recorded as a CUDA graph and replayed.

A step of a small network is some hundred short pieces of work for the device, and Python takes longer to ask for each than
the device to do it; a graph is asked for once. See https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from dlcourse.config.run_config import TrainerConfig
from dlcourse.errors import ConfigError, first_line, is_out_of_memory
from dlcourse.spec import Batch, Data
from dlcourse.tasks.task import Scalars, Task
from dlcourse.training.evaluate import batch_size

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
    """Record and replay a step; after it, the state of the task and all random numbers are as before."""
    before = copy.deepcopy((task.model.state_dict(), task.state_dict()))
    try:
        with task.device.forked_random_state():
            _use_recordings(task)
            task.model.train()
            batch = next(iter(data.train.batches(batch_size(config, data), epoch=1)))
            for _ in range(_PLAIN_CALLS + 2):
                task.train_step(batch)
            torch.cuda.synchronize()
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
    task.model.load_state_dict(before[0])
    task.load_state_dict(before[1])


def _use_recordings(task: Task) -> None:
    for name in task.recordable:
        setattr(task, name, Recorded(getattr(task, name)))
