"""The losses of regression: what each costs for standardized targets, and how that reads in the targets' own units.

N is a number of examples, O the numbers predicted for each.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

ValueLoss = Literal["mse", "mae", "huber", "nll"]

LOG_SIGMA = "log_sigma"
"""The parameter among a model's weights that `nll` learns."""


class LossOfValues(ABC):
    """Abstract: a loss of each number that is predicted."""

    @abstractmethod
    def each(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The losses `(N, O)` of outputs for standardized targets, `(N, O)` both."""

    @abstractmethod
    def in_units(self, losses: Tensor, std: Tensor) -> Tensor:
        """The same losses `(N, O)` of targets in their own units, whose deviations are `std` `(O,)`."""


class PowerLoss(LossOfValues):
    """A loss that is measured in a power of the targets' unit: squared, absolute and Huber's."""

    def __init__(self, function: Callable[..., Tensor], power: int) -> None:
        self._function = function
        self._power = power

    def each(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self._function(outputs, targets, reduction="none")

    def in_units(self, losses: Tensor, std: Tensor) -> Tensor:
        return losses * std.to(losses) ** self._power


class GaussianNLL(LossOfValues):
    """Negative log likelihood, in nats, of targets that are Gaussian about the outputs with a learned deviation sigma.

    Each of the O outputs has its own sigma, the same for all examples. Its logarithm is a parameter of the model, so
    that it is trained, saved and resumed with the weights. For any sigma the best outputs are those of least squares,
    and for these the best sigma is the root of their mean squared error.
    """

    def __init__(self, model: nn.Module, num_outputs: int, device: torch.device) -> None:
        self._model = model
        model.register_parameter(LOG_SIGMA, nn.Parameter(torch.zeros(num_outputs, device=device)))

    @property
    def log_sigma(self) -> Tensor:
        """Logarithms of the deviations of standardized targets, `(O,)`."""
        return self._model.get_parameter(LOG_SIGMA)

    def each(self, outputs: Tensor, targets: Tensor) -> Tensor:
        log_sigma = self.log_sigma.to(targets)
        scaled = (targets - outputs) * (-log_sigma).exp()  # (N, O)
        return 0.5 * scaled.square() + log_sigma + 0.5 * math.log(2 * math.pi)

    def in_units(self, losses: Tensor, std: Tensor) -> Tensor:
        return losses + std.to(losses).log()

    def sigma(self, std: Tensor) -> Tensor:
        """The deviations `(O,)` in the targets' own units, float64 on the CPU."""
        return self.log_sigma.detach().cpu().double().exp() * std.cpu().double()


def value_loss(name: ValueLoss, model: nn.Module, num_outputs: int, device: torch.device) -> LossOfValues:
    """The loss of this name, which adds to the model's parameters what it learns itself."""
    if name == "nll":
        return GaussianNLL(model, num_outputs, device)
    return _POWER_LOSSES[name]


_POWER_LOSSES = {
    "mse": PowerLoss(functional.mse_loss, 2),
    "mae": PowerLoss(functional.l1_loss, 1),
    "huber": PowerLoss(functional.huber_loss, 2),
}
