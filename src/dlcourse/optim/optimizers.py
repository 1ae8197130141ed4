"""Optimizers and learning-rate schedules: tables of builders that return makers.

A builder takes options and returns a maker; the maker takes what is known only at run time: an optimizer's the model, a
schedule's how its updates fall on the epochs. A schedule is a pure function from the number of updates done to a factor
of the learning rate, so nothing about it needs saving.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import nn

from dlcourse.config.options import Count, Fraction, NonNegative, Positive, Probability, ProperFraction, Range
from dlcourse.config.registry import Registry
from dlcourse.errors import ConfigError

OptimizerMaker = Callable[[nn.Module], torch.optim.Optimizer]
Factor = Callable[[int], float]


@dataclass(frozen=True)
class Updates:
    """How an optimizer's updates fall on `epochs` of so many `batches`: one comes after every `accumulate` losses.

    There is a loss from the first batch and from every `every`-th after it. Updates are numbered from 0.
    """

    epochs: int
    batches: int
    accumulate: int = 1
    every: int = 1

    @property
    def total(self) -> int:
        """The updates in all, at least 1: batches at the end that do not fill an update are lost."""
        return max(1, math.ceil(self.epochs * self.batches / self.every) // self.accumulate)

    @property
    def per_epoch(self) -> float:
        """The updates in an epoch, on average."""
        return self.batches / self.accumulate / self.every

    def epochs_before(self, update: int) -> int:
        """The epochs that are over when an update comes, which is with the last of its losses."""
        return ((update + 1) * self.accumulate - 1) * self.every // self.batches


ScheduleMaker = Callable[[Updates], Factor]

Beta = Fraction


def sgd(
    lr: Positive = 0.1,
    momentum: Fraction = 0.0,
    nesterov: bool = False,
    weight_decay: NonNegative = 0.0,
    decay_bias: bool = True,
) -> OptimizerMaker:
    """Stochastic gradient descent, with momentum (Polyak or Nesterov) where it is not zero."""
    if nesterov and momentum == 0:
        raise ConfigError("optimizer.nesterov=true needs momentum; add optimizer.momentum=0.9")
    return _maker(torch.optim.SGD, weight_decay, decay_bias, lr=lr, momentum=momentum, nesterov=nesterov, fused=True)


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
    return _maker(torch.optim.Adagrad, weight_decay, decay_bias, lr=lr, eps=eps, fused=True)


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
    return _maker(torch.optim.Adam, weight_decay, decay_bias, lr=lr, betas=(beta1, beta2), eps=eps, fused=True)


def adamw(
    lr: Positive = 0.001,
    beta1: Beta = 0.9,
    beta2: Beta = 0.999,
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.01,
    decay_bias: bool = False,
) -> OptimizerMaker:
    """AdamW: Adam with weight decay apart from the gradient (Loshchilov 2019)."""
    return _maker(torch.optim.AdamW, weight_decay, decay_bias, lr=lr, betas=(beta1, beta2), eps=eps, fused=True)


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
    """A maker that decays weights (matrices and kernels), and biases and norms (vectors) only where asked to."""

    def make(model: nn.Module) -> torch.optim.Optimizer:
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        if decay_bias or weight_decay == 0:
            return optimizer([{"params": parameters, "weight_decay": weight_decay}], **options)
        weights = [parameter for parameter in parameters if parameter.ndim >= 2]
        others = [parameter for parameter in parameters if parameter.ndim < 2]
        groups = [{"params": weights, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
        return optimizer(groups, **options)

    return make


def constant() -> ScheduleMaker:
    """The same learning rate throughout."""
    return lambda updates: lambda update: 1.0


def step(every: Count = 2, gamma: Annotated[float, Range(gt=0, le=1)] = 0.1) -> ScheduleMaker:
    """The learning rate times `gamma` from the first update after every so many epochs on."""
    return lambda updates: lambda update: gamma ** (updates.epochs_before(update) // every)


def cosine(final: Probability = 0.0) -> ScheduleMaker:
    """Half a cosine from the learning rate down to `final` times it (Loshchilov 2017, without restarts)."""
    return lambda updates: lambda update: _cosine(1.0, final, update / updates.total)


def one_cycle(
    rise: ProperFraction = 0.3,
    start: Annotated[float, Range(gt=0, le=1)] = 0.04,
    final: Annotated[float, Range(gt=0, le=1)] = 4e-6,
) -> ScheduleMaker:
    """Up from `start` times the learning rate to it during `rise` of the training, then down to `final` (Smith 2018)."""

    def make(updates: Updates) -> Factor:
        last, peak = updates.total - 1, rise * updates.total - 1  # the numbers of updates, both from 0

        def factor(update: int) -> float:
            if update <= peak:
                return _cosine(start, 1.0, update / peak if peak > 0 else 1.0)
            return _cosine(1.0, final, min((update - peak) / (last - peak), 1.0)) if last > 0 else 1.0

        return factor

    return make


def warmup(epochs: Positive = 1.0) -> ScheduleMaker:
    """A straight rise from almost zero to the learning rate, then constant."""

    def make(updates: Updates) -> Factor:
        rising = max(1, round(epochs * updates.per_epoch))
        return lambda update: min(1.0, (update + 1) / rising)

    return make


SCHEDULERS: Registry[ScheduleMaker] = Registry(
    "scheduler",
    {"constant": constant, "step": step, "cosine": cosine, "one_cycle": one_cycle, "warmup": warmup},
)


def _cosine(first: float, last: float, progress: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * progress)) / 2
