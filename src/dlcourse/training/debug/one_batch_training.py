"""Training on one batch, over and over: what happens to the loss, the fit and each parameter."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dlcourse.device import Device
from dlcourse.optim.step import MakeOptimizer, require_finite
from dlcourse.spec import Batch
from dlcourse.tasks.class_losses import CrossEntropy
from dlcourse.tasks.classification import Classification
from dlcourse.tasks.regression import Regression
from dlcourse.tasks.task import Task

_ZERO = 0.01
"""The share of its first value at which a loss is near enough to zero to stop."""
_FITS_WELL = 0.999
_LOOKED_AT = 3


@dataclass(frozen=True)
class Course:
    """What training on one batch did. A fit is 1 if the batch is predicted perfectly, None for tasks without one.

    `changed` and `reached` are the names of the parameters that are not what they were, and that a gradient reached;
    `pushed` those whose gradient was not 0 in all of the steps that were looked at, the first few and the last.
    """

    losses: list[float]
    first_fit: float | None
    last_fit: float | None
    changed: frozenset[str] = frozenset()
    reached: frozenset[str] = frozenset()
    pushed: frozenset[str] = frozenset()
    largest_lr: float = 0.0

    @property
    def steps(self) -> int:
        """The steps taken."""
        return len(self.losses)

    @property
    def falls(self) -> bool:
        """Whether the loss is lower at the end than at the beginning, on average over a few steps."""
        few = max(1, self.steps // 20)
        return sum(self.losses[-few:]) < sum(self.losses[:few])

    @property
    def share_left(self) -> float:
        """The last loss in units of the first."""
        return self.losses[-1] / self.losses[0] if self.losses[0] else 1.0


def train_on(task: Task, batch: Batch, steps: int, progress: Callable[[int, float], None]) -> Course:
    """Train on the batch until it is memorized, for at most `steps`. Raises DivergedError.

    `progress` is called with each step and its loss.
    """
    parameters = dict(task.model.named_parameters())
    before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    task.model.train()
    losses: list[float] = []
    reached, pushed = set[str](), set[str]()
    first_fit = last_fit = fit_of(task, batch)
    largest_lr = 0.0
    for step in range(1, steps + 1):
        losses.append(task.train_step(batch)["loss"].item())
        require_finite(losses[-1])
        largest_lr = max(largest_lr, task.lr)
        reached |= {name for name, parameter in parameters.items() if parameter.grad is not None}
        progress(step, losses[-1])
        is_near_zero = 0 <= losses[-1] <= _ZERO * losses[0]
        if step <= _LOOKED_AT or step == steps:
            pushed |= {name for name, parameter in parameters.items() if _is_pushed(parameter)}
        if is_near_zero or step == steps:
            last_fit = fit_of(task, batch)
        if is_near_zero and (last_fit is None or last_fit >= _FITS_WELL):
            break
    changed = {name for name, parameter in parameters.items() if not torch.equal(parameter, before[name])}
    return Course(losses, first_fit, last_fit, frozenset(changed), frozenset(reached), frozenset(pushed), largest_lr)


def _is_pushed(parameter: nn.Parameter) -> bool:
    return parameter.grad is not None and bool(parameter.grad.any())


def fit_of(task: Task, batch: Batch) -> float | None:
    """How well the model predicts a batch, whatever the loss says: accuracy, or R^2; None for other tasks."""
    if not isinstance(task, Classification | Regression):
        return None
    with task.device.autocast():
        predicted = predicted_by(task, batch.inputs)
    if isinstance(task, Classification):
        return (predicted == batch.targets).float().mean().item()
    wanted = batch.targets.cpu().double()
    spread = (wanted - wanted.mean(0)).square().sum()
    return float(1 - (predicted - wanted).square().sum() / spread) if spread else None


@torch.no_grad()
def predicted_by(task: Classification | Regression, inputs: Tensor) -> Tensor:
    """The classes `(B,)` that a model gives these inputs, or the numbers `(B, O)` in their units."""
    outputs = task.model(inputs).float()
    return task.probabilities(outputs).argmax(1) if isinstance(task, Classification) else task.in_units(outputs)


def reference(model: nn.Module, batch: Batch, device: Device, make_optimizer: MakeOptimizer, steps: int) -> Course:
    """The course of a classifier on cross-entropy as it is written in this project, whatever the task's own loss is."""
    loss_of, optimizer = CrossEntropy(), make_optimizer(model)
    losses, fits = [], []
    model.train()
    for _ in range(steps):
        with device.autocast():
            outputs = model(batch.inputs)
        outputs = outputs.float()
        loss = loss_of.mean(outputs, batch.targets, 0.0)
        losses.append(loss.item())
        fits.append((loss_of.probabilities(outputs).argmax(1) == batch.targets).float().mean().item())
        if losses[-1] <= _ZERO * losses[0] and fits[-1] >= _FITS_WELL:
            break
        optimizer.step(loss)
    return Course(losses, fits[0], fits[-1])
