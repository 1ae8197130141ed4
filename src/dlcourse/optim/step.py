"""One gradient step, written once: zero_grad, backward, clip, set the learning rate, step."""

import math
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from dlcourse.device import Device
from dlcourse.errors import DataError, DivergedError
from dlcourse.optim.fused import Optimizer
from dlcourse.optim.schedules import Schedule
from dlcourse.state_dict import State, load_tensors


class ScheduledOptimizer:
    """An optimizer with its learning-rate schedule.

    Gradients of `accumulate` successive losses are averaged before each update, and clipped to `clip_norm`. If reading
    a number off the device is free, a loss or a gradient that is not finite raises DivergedError before it can touch the
    weights. (A float16 scaler skips such updates by itself: it is how it finds its scale.) `is_recorded` is for steps that
    are recorded as a CUDA graph.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedule: Schedule,
        device: Device,
        *,
        accumulate: int = 1,
        clip_norm: float | None = None,
        is_recorded: bool = False,
    ) -> None:
        self._optimizer: Any = optimizer  # torch's scaler takes any optimizer, but says torch.optim.Optimizer
        self._schedule = schedule
        self._device = device
        self._scaler = device.scaler()
        self._accumulate = accumulate
        self._clip_norm = clip_norm
        self._parameters: list[nn.Parameter] = [p for group in optimizer.param_groups for p in group["params"]]
        self._base_lrs = [float(group["lr"]) for group in optimizer.param_groups]
        self._lrs = list(self._base_lrs)
        self._backwards = 0
        if is_recorded:
            self._let_a_graph_read_lr()

    @property
    def lr(self) -> float:
        """The learning rate of the latest update."""
        return self._lrs[0]

    def step(self, loss: Tensor) -> bool:
        """Add the gradients of `loss`; after every `accumulate` losses, update the weights. Whether it updated them."""
        updates = self.count()
        self.descend(loss)
        return updates

    def count(self) -> bool:
        """The part of a step that is not on the device: its number, and the learning rate if it will update the weights.

        Whether it will.
        """
        self._backwards += 1
        updates = self._backwards % self._accumulate == 0
        if updates:
            factor = self._schedule(self._backwards // self._accumulate - 1)
            self._set_lrs([base * factor for base in self._base_lrs])
        return updates

    def descend(self, loss: Tensor) -> None:
        """The part of a step that is on the device, after it is counted."""
        if self._device.reads_are_free:
            require_finite(loss.item())
        if (self._backwards - 1) % self._accumulate == 0:
            self._optimizer.zero_grad()
        if self._accumulate > 1:
            loss = loss / self._accumulate
        torch.autograd.backward(self._scaler.scale(loss))
        if self._backwards % self._accumulate:
            return
        self._scaler.unscale_(self._optimizer)
        self._clip_gradients()
        self._scaler.step(self._optimizer)
        self._scaler.update()

    def _clip_gradients(self) -> None:
        """Clip the gradients if `clip_norm` is given, and refuse those that are not finite, which their sum tells."""
        norm = None if self._clip_norm is None else nn.utils.clip_grad_norm_(self._parameters, self._clip_norm)
        if self._device.reads_are_free and not self._scaler.is_enabled():
            sums = [p.grad.sum() for p in self._parameters if p.grad is not None] if norm is None else [norm]
            require_finite(sum(total.item() for total in sums), "the gradient")

    def _set_lrs(self, lrs: list[float]) -> None:
        self._lrs = lrs
        for group, lr in zip(self._optimizer.param_groups, lrs, strict=True):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(lr)
            else:
                group["lr"] = lr

    def _let_a_graph_read_lr(self) -> None:
        """Keep learning rates on the device: a number would be the same whenever a recorded step is replayed."""
        for group in self._optimizer.param_groups:
            group["lr"] = torch.tensor(group["lr"], device=self._device.torch_device)
            if "capturable" in group:
                group["capturable"] = True

    def state_dict(self) -> State:
        """What the next steps depend on besides the weights: the optimizer, the count, gradients on the way, the scaler."""
        is_between = self._backwards % self._accumulate == 0
        return {
            "backwards": self._backwards,
            "rates": list(self._lrs),
            "optimizer": [self._optimizer.state.get(parameter, {}) for parameter in self._parameters],
            "gradients": [] if is_between else [parameter.grad for parameter in self._parameters],
            "scaler": self._scaler.state_dict() if self._scaler.is_enabled() else None,
        }

    def load_state_dict(self, state: State) -> None:
        """Continue from this state; raises DataError if it is of another model's optimizer."""
        parameters, moments, gradients = self._parameters, state["optimizer"], state["gradients"]
        if len(moments) != len(parameters) or len(gradients) not in (0, len(parameters)):
            raise DataError("the optimizer's state is of another model")
        for parameter, entries in zip(parameters, moments, strict=True):
            shaped = {name: entry for name, entry in entries.items() if isinstance(entry, Tensor) and entry.ndim}
            load_tensors(dict.fromkeys(shaped, parameter), shaped, "the optimizer's state")
            self._optimizer.state[parameter] = {name: _beside(parameter, entry) for name, entry in entries.items()}
        self._set_lrs([float(lr) for lr in state["rates"]])
        for parameter, gradient in zip(parameters, gradients, strict=False):
            parameter.grad = None if gradient is None else _beside(parameter, gradient)
        if self._scaler.is_enabled() and state["scaler"] is not None:
            self._scaler.load_state_dict(state["scaler"])
        self._backwards = int(state["backwards"])


def _beside(parameter: nn.Parameter, entry: Any) -> Any:
    """A copy of an entry of the optimizer's state where the parameter is, and as it lies in memory."""
    if isinstance(entry, Tensor) and entry.shape == parameter.shape:
        return torch.empty_like(parameter).copy_(entry)
    return entry.to(parameter.device, copy=True) if isinstance(entry, Tensor) else entry


class MakeOptimizer(Protocol):
    """Makes the optimizer of a module that learns from every `every`-th batch, from each of those `times` times."""

    def __call__(self, module: nn.Module, *, every: int = 1, times: int = 1) -> ScheduledOptimizer: ...


def require_finite(value: float, name: str = "the loss") -> None:
    """Raise DivergedError where the loss, or what `name` says, is NaN or infinite; the trainer adds where that was."""
    if not math.isfinite(value):
        raise DivergedError(f"{name} became {value}")
