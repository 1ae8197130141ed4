"""One gradient step, written once: zero_grad, backward, unscale, clip, schedule, step."""

import math
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from dlcourse.device import Device
from dlcourse.errors import DivergedError
from dlcourse.optim import Factor


class Descent:
    """An optimizer on the way down the gradient of a loss.

    Gradients of `accumulate` successive losses are averaged before each update, and clipped to `clip_norm`. Where reading
    a number off the device is free, a loss that is not finite raises DivergedError before it can touch the weights.
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
        factor = self._schedule(self._backwards // self._accumulate - 1)
        for group, rate in zip(self._optimizer.param_groups, self._base_rates, strict=True):
            group["lr"] = rate * factor
        if self._scaler is not None:
            self._scaler.unscale_(self._optimizer)
        if self._clip_norm is not None:
            parameters = [parameter for group in self._optimizer.param_groups for parameter in group["params"]]
            nn.utils.clip_grad_norm_(parameters, self._clip_norm)
        if self._scaler is None:
            self._optimizer.step()
        else:
            self._scaler.step(self._optimizer)
            self._scaler.update()


class DescentMaker(Protocol):
    """Makes the descent of a module that learns from every `every`-th batch."""

    def __call__(self, module: nn.Module, *, every: int = 1) -> Descent: ...


def require_finite(loss: float) -> None:
    """Raise DivergedError where the loss is NaN or infinite; the trainer adds where that was."""
    if not math.isfinite(loss):
        raise DivergedError(f"the loss became {loss}")
