"""`trainer.ema` and `trainer.swa`: averages of the weights, which take the place of the raw ones while they are measured."""

import contextlib
import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from dlcourse.config.run_config import AVERAGES, TrainerConfig
from dlcourse.optim.ema import EqualAverage, ExponentialAverage
from dlcourse.spec import Data
from dlcourse.state_dict import State, load_tensors
from dlcourse.tasks.task import Task
from dlcourse.training.evaluate import batch_size, steps_per_epoch

RAW = "raw"
EMA, SWA = AVERAGES


class Averages:
    """The averages that a config asks for, by name.

    EMA takes in the weights after every update of them, SWA at the end of each epoch from `swa` of the epochs on. Both are
    of the parameters that learn; EMA also of the statistics of batch norms, which SWA measures anew on the training set.
    """

    def __init__(self, task: Task, data: Data, config: TrainerConfig) -> None:
        self._task, self._data, self._config = task, data, config
        self._steps_per_epoch = steps_per_epoch(config, data)
        model = task.model
        learning = {name: each.detach() for name, each in model.named_parameters() if each.requires_grad}
        statistics = {name: each for name, each in model.named_buffers() if each.is_floating_point()}
        self._averages: dict[str, ExponentialAverage | EqualAverage] = {}
        self._names: dict[str, list[str]] = {}
        self._latest = learning | statistics
        if config.ema is not None:
            latest = list(self._latest.values())
            self._averages[EMA] = ExponentialAverage(_copies(latest), latest, config.ema)
            self._names[EMA] = list(self._latest)
        if config.swa is not None:
            latest = list(learning.values())
            self._averages[SWA] = EqualAverage(_copies(latest), latest)
            self._names[SWA] = list(learning)
        self._measured: list[Tensor] | None = None
        """The buffers that go with SWA's present weights, once they are measured."""

    @property
    def names(self) -> list[str]:
        """Those that the config asks for."""
        return list(self._averages)

    @property
    def known(self) -> list[str]:
        """Those that have taken in any weights yet."""
        return [name for name, average in self._averages.items() if average.updates]

    def update(self, step: int) -> None:
        """Take in the weights after this step."""
        if EMA in self._averages and step % self._config.accumulate == 0:
            self._averages[EMA].update()
        if SWA in self._averages and step % self._steps_per_epoch == 0:
            self._update_swa(step // self._steps_per_epoch)

    def _update_swa(self, epoch: int) -> None:
        average, share = self._averages[SWA], self._config.swa
        assert share is not None
        first = max(1, math.ceil(round(share * self._config.epochs, 6)))
        if average.updates > max(0, epoch - first):
            average.updates = 0  # the run is now trained for longer, and begins its average anew
        if epoch >= first:
            average.update()
            self._measured = None

    @contextlib.contextmanager
    def in_model(self, name: str) -> Iterator[None]:
        """Within this, the model has the weights of this average; raw ones are there already."""
        if name == RAW:
            yield
            return
        ours = [self._latest[each] for each in self._names[name]] + self._buffers(name)
        raw = _copies(ours)
        measured = self._measured if name == SWA and self._measured is not None else self._buffers(name)
        try:
            _copy(ours, self._averages[name].averages + measured)
            yield
        finally:
            _copy(ours, raw)

    def measure_statistics(self, name: str, epoch: int) -> None:
        """Within `in_model(name)`: give batch norms their statistics on the training set, in the order of this epoch.

        Only SWA needs this, once after each of its updates.
        """
        if name != SWA or self._measured is not None:
            return
        model, device = self._task.model, self._task.device
        with torch.no_grad(), device.forked_random_state(), device.autocast(), _measuring(model) as is_needed:
            if is_needed:
                for batch in self._data.train.batches(batch_size(self._config, self._data), epoch=epoch):
                    model(batch.inputs)
        self._measured = _copies(self._buffers(name))

    def _buffers(self, name: str) -> list[Tensor]:
        """The buffers of the model that are not averaged, but go with these weights."""
        return list(self._task.model.buffers()) if name == SWA else []

    def state_dict(self) -> State:
        """All that the next updates depend on."""
        return {
            name: {
                "updates": average.updates,
                "tensors": dict(zip(self._names[name], average.averages, strict=True)),
            }
            for name, average in self._averages.items()
        }

    def load_state_dict(self, state: Mapping[str, State]) -> None:
        """Continue from this state; raises DataError if it is of another model's."""
        for name, average in self._averages.items():
            current = dict(zip(self._names[name], average.averages, strict=True))
            saved = load_tensors(current, state[name]["tensors"], f"the averaged weights '{name}'")
            _copy(list(current.values()), [saved[each] for each in current])
            average.updates = int(state[name]["updates"])


def _copies(tensors: list[Tensor]) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in tensors]


@torch.no_grad()
def _copy(targets: list[Tensor], sources: list[Tensor]) -> None:
    for target, source in zip(targets, sources, strict=True):
        target.copy_(source)


@contextlib.contextmanager
def _measuring(model: nn.Module) -> Iterator[bool]:
    """Within this, batch norms that learn measure the mean of all batches anew; whether there are any.

    torch.optim.swa_utils.update_bn does so too, but also forgets the statistics of frozen ones, which are never measured.
    One that no batch has gone through keeps what it had.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm) and _learns(module)]
    was_training, momenta = model.training, [norm.momentum for norm in norms]
    before = [_copies(list(norm.buffers())) for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean of all batches, each as much as another
    model.train()
    try:
        yield bool(norms)
    finally:
        model.train(was_training)
        for norm, momentum, tensors in zip(norms, momenta, before, strict=True):
            norm.momentum = momentum
            if norm.num_batches_tracked == 0:
                _copy(list(norm.buffers()), tensors)


def _learns(norm: _BatchNorm) -> bool:
    own = list(norm.parameters(recurse=False))
    return norm.track_running_stats and (not own or any(parameter.requires_grad for parameter in own))
