"""`trainer.watch=true`: what weights, gradients and activations look like while training, and which units are dead.

Nothing here changes a training: gradients are read after a step has used them, activations come from passes in evaluation
mode over the same validation examples each time.
"""

import contextlib
from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor, nn

from dlcourse.runs.histogram import Histogram
from dlcourse.runs.logger import Logger
from dlcourse.spec import Data
from dlcourse.state_dict import State
from dlcourse.tasks.task import Task

_EXAMPLES = 1000
_CHANNELS_FIRST = 4  # dimensions of (B, channels, height, width)
_NOT_UNITS = (nn.MultiheadAttention, nn.Softmax, nn.Softmax2d, nn.LogSoftmax, nn.Softmin)
"""What torch.nn.modules.activation has besides functions of single units."""


class Watch:
    """Watches the model of a task, and keeps what was found last: it is what the report says.

    `gradients` have for each layer with weights the norm of the latest gradient, its root mean square, and the norm of the
    weights; `units` have for each activation function how many of its units were 0 for all examples, and how many it has.
    """

    def __init__(self, task: Task, data: Data, batch_size: int) -> None:
        self._task, self._data = task, data
        self._batches, self._batch_size = max(1, _EXAMPLES // batch_size), batch_size
        self.gradients: dict[str, list[float]] = {}
        self.units: dict[str, list[int]] = {}
        self.epoch = 0

    def log_step(self, logger: Logger, step: int, epoch: int) -> None:
        """Log weights and gradients right after a step, before the next one clears the gradients."""
        weights = {name: each for name, each in self._task.model.named_parameters() if each.numel()}
        gradients = {name: each.grad for name, each in weights.items() if each.grad is not None}
        logger.histograms("weights", step, epoch, {name: Histogram.of(each) for name, each in weights.items()})
        logger.histograms("gradients", step, epoch, {name: Histogram.of(each) for name, each in gradients.items()})
        self.gradients = {
            name.rpartition(".")[0] or name: _norms(gradient, weights[name])
            for name, gradient in gradients.items()
            if gradient.ndim > 1
        }
        logger.scalars("gradient_norm", step, epoch, {name: norm for name, (norm, *_) in self.gradients.items()})

    def log_activations(self, logger: Logger, step: int, epoch: int) -> None:
        """Log the activations on validation examples, and the share of dead units of each layer."""
        found = self._activations()
        logger.histograms("activations", step, epoch, {name: each.histogram for name, each in found.items()})
        self.units = {name: [each.dead, len(each.is_alive)] for name, each in found.items() if each.has_units}
        self.epoch = epoch
        logger.scalars("dead", step, epoch, {name: dead / count for name, (dead, count) in self.units.items()})

    def _activations(self) -> "dict[str, _Outputs]":
        model, device = self._task.model, self._task.device
        was_training = model.training
        found: dict[str, _Outputs] = {}
        model.eval()
        try:
            with torch.no_grad(), device.forked_random_state(), device.autocast():
                for batch in islice(self._data.val.batches(self._batch_size), self._batches):
                    with _recording(model, found):
                        type(model).forward(model, batch.inputs)  # a compiled one calls no hooks
        finally:
            model.train(was_training)
        return found

    @property
    def examples(self) -> int:
        """The validation examples whose activations are looked at: the first 1,000, in whole batches."""
        return min(len(self._data.val), self._batches * self._batch_size)

    def state_dict(self) -> State:
        """What was found last."""
        return {"gradients": self.gradients, "units": self.units, "epoch": self.epoch}

    def load_state_dict(self, state: State) -> None:
        """Continue with what was found before."""
        self.gradients = {name: [float(each) for each in values] for name, values in state["gradients"].items()}
        self.units = {name: [int(each) for each in values] for name, values in state["units"].items()}
        self.epoch = int(state["epoch"])


class _Outputs:
    """The outputs of one layer: a histogram of those of the first batch, and which units were not 0 in any of them."""

    def __init__(self, outputs: Tensor, *, has_units: bool) -> None:
        self.histogram = Histogram.of(outputs)
        self.has_units = has_units and outputs.ndim > 1
        self.is_alive = _not_zero(outputs) if self.has_units else torch.zeros(0, dtype=torch.bool)

    def add(self, outputs: Tensor) -> None:
        """Take in those of another batch."""
        if self.has_units:
            self.is_alive |= _not_zero(outputs)

    @property
    def dead(self) -> int:
        return int((~self.is_alive).sum())


def _not_zero(outputs: Tensor) -> Tensor:
    """Whether each unit is not 0 for any example, at any place: `(B, U)`, `(B, T, U)` or `(B, U, H, W)` -> `(U,)`."""
    units = 1 if outputs.ndim >= _CHANNELS_FIRST else outputs.ndim - 1
    return (outputs != 0).transpose(0, units).flatten(1).any(1).cpu()


@contextlib.contextmanager
def _recording(model: nn.Module, found: dict[str, _Outputs]) -> Iterator[None]:
    """Within this, a pass of the model adds its activations to those that were found.

    They are the outputs of its activation functions, or if it has none, of its layers with weights.
    """
    activations = {name: module for name, module in model.named_modules() if _is_activation(module)}
    watched = activations or {name: module for name, module in model.named_modules() if _has_weights(module)}
    calls: dict[str, int] = {}

    def record(name: str, outputs: object) -> None:
        first = outputs[0] if isinstance(outputs, tuple) else outputs  # a recurrent layer gives its state, too
        if not isinstance(first, Tensor) or not first.is_floating_point():
            return
        calls[name] = calls.get(name, 0) + 1
        key = name if calls[name] == 1 else f"{name}:{calls[name]}"  # some models call one function several times
        if key in found:
            found[key].add(first)
        else:
            found[key] = _Outputs(first, has_units=bool(activations))

    hooks = [
        module.register_forward_hook(lambda _module, _inputs, outputs, name=name: record(name, outputs))
        for name, module in watched.items()
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _is_activation(module: nn.Module) -> bool:
    return type(module).__module__ == "torch.nn.modules.activation" and not isinstance(module, _NOT_UNITS)


def _has_weights(module: nn.Module) -> bool:
    return next(module.children(), None) is None and next(module.parameters(recurse=False), None) is not None


def _norms(gradient: Tensor, weights: Tensor) -> list[float]:
    """The gradient's norm and root mean square, and the norm of the weights."""
    norm = gradient.detach().norm().item()
    return [norm, norm / gradient.numel() ** 0.5, weights.detach().norm().item()]
