"""The optimizer of tests: gradient descent at one learning rate."""

import torch
from torch import nn

from dlcourse.device import Device, cpu
from dlcourse.optim.step import MakeOptimizer, ScheduledOptimizer


def plain_sgd(lr: float = 0.01, device: Device | None = None, *, accumulate: int = 1) -> MakeOptimizer:
    """Makes it for the parameters of a module that are not frozen."""

    def make(module: nn.Module, *, every: int = 1, times: int = 1) -> ScheduledOptimizer:
        parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        optimizer = torch.optim.SGD(parameters, lr=lr)
        return ScheduledOptimizer(optimizer, lambda update: 1.0, device or cpu(), accumulate=accumulate)

    return make
