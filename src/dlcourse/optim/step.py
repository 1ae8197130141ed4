"""One gradient step, written once: zero_grad, backward, unscale, clip, schedule, step."""

import math
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from dlcourse.device import Device
from dlcourse.errors import DataError, DivergedError
from dlcourse.optim.schedules import Factor
from dlcourse.state_dict import State, load_tensors


class Descent:
    """An optimizer on the way down the gradient of a loss.

    Gradients of `accumulate` successive losses are averaged before each update, and clipped to `clip_norm`. Where reading
    a number off the device is free, a loss or a gradient that is not finite raises DivergedError before it can touch the
    weights. (A float16 scaler skips such updates by itself: it is how it finds its scale.)
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        schedule: Factor,
        device: Device,
        *,
        accumulate: int = 1,
        clip_norm: float | None = None,
    ) -> None:
        self._optimizer = optimizer
        self._schedule = schedule
        self._device = device
        self._scaler: Any = device.scaler()
        self._accumulate = accumulate
        self._clip_norm = clip_norm
        self._parameters: list[nn.Parameter] = [p for group in optimizer.param_groups for p in group["params"]]
        self._base_rates = [float(group["lr"]) for group in optimizer.param_groups]
        self._backwards = 0

    @property
    def rate(self) -> float:
        """The learning rate of the latest update."""
        return float(self._optimizer.param_groups[0]["lr"])

    def step(self, loss: Tensor) -> bool:
        """Go one step down the gradient of `loss`, or add to the gradients until enough are there; whether it went."""
        if self._device.reads_are_free:
            require_finite(loss.item())
        if self._backwards % self._accumulate == 0:
            self._optimizer.zero_grad()
        if self._accumulate > 1:
            loss = loss / self._accumulate
        if self._scaler is not None:
            loss = self._scaler.scale(loss)
        torch.autograd.backward(loss)
        self._backwards += 1
        if self._backwards % self._accumulate:
            return False
        self._update()
        return True

    def _update(self) -> None:
        if self._scaler is not None:
            self._scaler.unscale_(self._optimizer)
        self._limit_gradients()
        factor = self._schedule(self._backwards // self._accumulate - 1)
        for group, rate in zip(self._optimizer.param_groups, self._base_rates, strict=True):
            group["lr"] = rate * factor
        if self._scaler is None:
            self._optimizer.step()
        else:
            self._scaler.step(self._optimizer)
            self._scaler.update()

    def _limit_gradients(self) -> None:
        """Clip the gradients where that is asked for, and refuse those that are not finite, which their sum tells."""
        norm = None if self._clip_norm is None else nn.utils.clip_grad_norm_(self._parameters, self._clip_norm)
        if self._device.reads_are_free and self._scaler is None:
            sums = [p.grad.sum() for p in self._parameters if p.grad is not None] if norm is None else [norm]
            require_finite(sum(total.item() for total in sums), "the gradient")

    def state_dict(self) -> State:
        """What the next steps depend on besides the weights: the optimizer, the count, gradients on the way, the scaler."""
        is_between = self._backwards % self._accumulate == 0
        moments = self._optimizer.state_dict()["state"]
        return {
            "backwards": self._backwards,
            "rates": [group["lr"] for group in self._optimizer.param_groups],
            "optimizer": [moments.get(index, {}) for index in range(len(self._parameters))],
            "gradients": [] if is_between else [parameter.grad for parameter in self._parameters],
            "scaler": None if self._scaler is None else self._scaler.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        """Go on as the descent did that gave this state; raises DataError where it was another one's."""
        parameters, moments, gradients = self._parameters, state["optimizer"], state["gradients"]
        if len(moments) != len(parameters) or len(gradients) not in (0, len(parameters)):
            raise DataError("the optimizer's state is of another model")
        for parameter, entries in zip(parameters, moments, strict=True):
            shaped = {name: entry for name, entry in entries.items() if isinstance(entry, Tensor) and entry.ndim}
            load_tensors(dict.fromkeys(shaped, parameter), shaped, "the optimizer's state")
        current = self._optimizer.state_dict()
        filled = {
            index: {name: entry.clone() if isinstance(entry, Tensor) else entry for name, entry in entries.items()}
            for index, entries in enumerate(moments)
            if entries
        }
        self._optimizer.load_state_dict({"state": filled, "param_groups": current["param_groups"]})
        for group, rate in zip(self._optimizer.param_groups, state["rates"], strict=True):
            group["lr"] = rate
        for parameter, gradient in zip(parameters, gradients, strict=False):
            parameter.grad = None if gradient is None else gradient.to(parameter.device, copy=True)
        if self._scaler is not None and state["scaler"] is not None:
            self._scaler.load_state_dict(state["scaler"])
        self._backwards = int(state["backwards"])


class DescentMaker(Protocol):
    """Makes the descent of a module that learns from every `every`-th batch."""

    def __call__(self, module: nn.Module, *, every: int = 1) -> Descent: ...


def require_finite(value: float, name: str = "the loss") -> None:
    """Raise DivergedError where the loss, or what `name` says, is NaN or infinite; the trainer adds where that was."""
    if not math.isfinite(value):
        raise DivergedError(f"{name} became {value}")
