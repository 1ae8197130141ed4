"""Optimizers: a table of builders that take options and return makers, which take what is known only later: the model."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from dlcourse.config.options import Fraction, NonNegative, Positive
from dlcourse.config.registry import Registry
from dlcourse.errors import ConfigError
from dlcourse.optim.fused import KERNELS, Group, Optimizer, fused

OptimizerMaker = Callable[[nn.Module], Optimizer]


Beta = Fraction


def sgd(
    lr: Positive = 0.1,
    momentum: Fraction = 0.0,
    nesterov: bool = False,
    weight_decay: NonNegative = 0.0,
    decay_bias: bool = True,
) -> OptimizerMaker:
    """Stochastic gradient descent, with momentum (Polyak or Nesterov) if it is not zero."""
    if nesterov and momentum == 0:
        raise ConfigError("optimizer.nesterov=true needs momentum; add optimizer.momentum=0.9")
    return _maker(torch.optim.SGD, weight_decay, decay_bias, lr=lr, momentum=momentum, nesterov=nesterov)


def momentum(
    lr: Positive = 0.01,
    momentum: Fraction = 0.9,
    nesterov: bool = False,
    weight_decay: NonNegative = 0.0,
    decay_bias: bool = True,
) -> OptimizerMaker:
    """Stochastic gradient descent with momentum 0.9."""
    return sgd(lr, momentum, nesterov, weight_decay, decay_bias)


def adagrad(
    lr: Positive = 0.01, eps: Positive = 1e-10, weight_decay: NonNegative = 0.0, decay_bias: bool = True
) -> OptimizerMaker:
    """Adagrad: steps divided by the root of the sum of squared gradients (Duchi 2011)."""
    return _maker(torch.optim.Adagrad, weight_decay, decay_bias, lr=lr, eps=eps)


def adadelta(
    lr: Positive = 1.0,
    rho: Beta = 0.9,
    eps: Positive = 1e-6,
    weight_decay: NonNegative = 0.0,
    decay_bias: bool = True,
) -> OptimizerMaker:
    """Adadelta: steps in the units of the parameters, from running averages (Zeiler 2012)."""
    return _maker(torch.optim.Adadelta, weight_decay, decay_bias, lr=lr, rho=rho, eps=eps)


def rmsprop(
    lr: Positive = 0.001,
    alpha: Beta = 0.99,
    eps: Positive = 1e-8,
    momentum: Fraction = 0.0,
    weight_decay: NonNegative = 0.0,
    decay_bias: bool = True,
) -> OptimizerMaker:
    """RMSprop: steps divided by the root of a running average of squared gradients (Hinton 2012)."""
    return _maker(torch.optim.RMSprop, weight_decay, decay_bias, lr=lr, alpha=alpha, eps=eps, momentum=momentum)


def adam(
    lr: Positive = 0.001,
    beta1: Beta = 0.9,
    beta2: Beta = 0.999,
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.0,
    decay_bias: bool = True,
) -> OptimizerMaker:
    """Adam: running averages of gradient and squared gradient; weight decay joins the gradient (Kingma 2015)."""
    return _maker(torch.optim.Adam, weight_decay, decay_bias, lr=lr, betas=(beta1, beta2), eps=eps)


def adamw(
    lr: Positive = 0.001,
    beta1: Beta = 0.9,
    beta2: Beta = 0.999,
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.01,
    decay_bias: bool = False,
) -> OptimizerMaker:
    """AdamW: Adam with weight decay apart from the gradient (Loshchilov 2019)."""
    return _maker(torch.optim.AdamW, weight_decay, decay_bias, lr=lr, betas=(beta1, beta2), eps=eps)


OPTIMIZERS: Registry[OptimizerMaker] = Registry(
    "optimizer",
    {
        "sgd": sgd,
        "momentum": momentum,
        "adagrad": adagrad,
        "adadelta": adadelta,
        "rmsprop": rmsprop,
        "adam": adam,
        "adamw": adamw,
    },
)


def _maker(
    optimizer: type[torch.optim.Optimizer], weight_decay: float, decay_bias: bool, **options: Any
) -> OptimizerMaker:
    """A maker that decays weights (matrices and kernels), and biases and norms (vectors) only if asked to."""

    def make(model: nn.Module) -> Optimizer:
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        groups: list[Group] = [{"params": parameters, "weight_decay": weight_decay}]
        if weight_decay and not decay_bias:
            weights = [parameter for parameter in parameters if parameter.ndim >= 2]
            others = [parameter for parameter in parameters if parameter.ndim < 2]
            groups = [{"params": weights, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
        return fused(optimizer, groups, options) if optimizer in KERNELS else optimizer(groups, **options)

    return make
