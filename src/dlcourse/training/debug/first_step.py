"""The check before the first step: of the batch, of the first loss, and of the gradients.

B is a batch size, K a number of classes.
"""

import math
from collections.abc import Set
from fnmatch import fnmatchcase
from typing import TypeGuard

import torch
from torch import Tensor, nn

from dlcourse.config.run_config import RunConfig
from dlcourse.console import Console
from dlcourse.models.torchvision_model import FROM_SCRATCH
from dlcourse.rng import random_state_kept
from dlcourse.spec import Batch, Data, DataSpec
from dlcourse.tasks.task import LossTask, Task
from dlcourse.training.debug.findings import Finding, listed
from dlcourse.training.evaluate import training_batches
from dlcourse.training.run_report import Setup

_LOW, _HIGH = 0.5, 2.0
"""The loss of a new model in units of that of chance: weights drawn at random keep it between these."""
_NOTHING = "inputs, labels, loss and gradients of the first step are as expected"
_FREE = 1.0
"""Nats above that range that are no reason to worry: with two classes, chance is no more than 0.7."""


def check_batch(batch: Batch, spec: DataSpec) -> list[Finding]:
    """What is wrong with a batch of training by itself, whatever the model."""
    return [*_check_inputs(batch.inputs, spec), *_check_targets(batch.targets, spec)]


def first_batch(config: RunConfig, data: Data) -> Batch:
    """The first batch of the first epoch."""
    return next(training_batches(config.trainer, data))


def check_before_first_step(setup: Setup) -> list[Finding]:
    """What is wrong with a run that is about to make its first step."""
    config = setup.config
    is_new = config.init_from is None and config.model.options.get("weights") in (None, FROM_SCRATCH)
    batch = first_batch(config, setup.data)
    return check_first_step(setup.task, batch, freeze=config.freeze, is_new=is_new)


def descends_one_loss(task: Task) -> TypeGuard[LossTask]:
    """Whether a step of the task is one of gradient descent on one loss, and so can bring that near zero."""
    return isinstance(task, LossTask) and type(task).train_step is LossTask.train_step


def say_findings(console: Console, findings: list[Finding]) -> None:
    """A line for each, or one that says that there is none."""
    console.say("check", *(map(str, findings) if findings else [_NOTHING]))


def check_first_step(task: Task, batch: Batch, *, freeze: tuple[str, ...] = (), is_new: bool = True) -> list[Finding]:
    """What is wrong with a task that is about to make its first step on this batch.

    `freeze` are the patterns of parameters that are frozen on purpose; `is_new`: the weights are random. Weights, buffers,
    gradients, the optimizer and all random states are afterwards as they were.
    """
    found = _check_frozen(task.model, freeze)
    if not descends_one_loss(task):
        return found
    loss, reached, inputs_reached = _differentiated(task, batch)
    return [*found, *_check_gradients(task.model, reached, inputs_reached), *_check_loss(task, loss, is_new=is_new)]


def _check_inputs(inputs: Tensor, spec: DataSpec) -> list[Finding]:
    if spec.is_tokens:
        return _check_range("tokens out of range", inputs, len(spec.vocabulary), "tokens")
    if not torch.isfinite(inputs).all():
        count = int((~torch.isfinite(inputs)).sum())
        return [
            _fault("inputs not finite", f"{count:,} of {inputs.numel():,} inputs are NaN or infinite", "finite numbers")
        ]
    if spec.target in ("game", "match") or len(inputs) < 2 or bool((inputs != inputs[:1]).any()):
        return []
    what = "0" if not inputs.any() else "the same"
    return [_fault("constant inputs", f"all {len(inputs)} examples of a batch are {what}", "different examples")]


def _check_targets(targets: Tensor, spec: DataSpec) -> list[Finding]:
    if spec.target == "value" and not torch.isfinite(targets).all():
        return [_fault("targets not finite", "a target is NaN or infinite", "finite numbers")]
    if spec.target == "class":
        return _check_range("labels out of range", targets, spec.num_outputs, "classes")
    if spec.target in ("next", "sequence"):
        return _check_range("targets out of range", targets, len(spec.vocabulary), "tokens")
    if spec.target == "preference":
        return _check_range("labels out of range", targets, 2, "texts")
    return []


def _check_range(name: str, numbers: Tensor, count: int, what: str) -> list[Finding]:
    low, high = int(numbers.min()), int(numbers.max())
    if low >= 0 and high < count:
        return []
    return [_fault(name, f"{low} to {high}", f"0 to {count - 1} for {count:,} {what}")]


def _fault(name: str, seen: str, expected: str) -> Finding:
    return Finding(name, seen, expected, "check how the data are loaded")


def _check_frozen(model: nn.Module, freeze: tuple[str, ...]) -> list[Finding]:
    """A remark on parameters that are frozen on purpose, a fault if others are."""
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    meant = [name for name in frozen if any(fnmatchcase(name, pattern) for pattern in freeze)]
    others = [name for name in frozen if name not in meant]
    found = []
    if others:
        found.append(
            Finding(
                "frozen layer",
                f"{listed(others)}: requires_grad=False, but not frozen by freeze=[{','.join(freeze)}]",
                "parameters that are trained",
                f"remove requires_grad_(False) from the model, or write freeze=[{others[0]}]",
            )
        )
    if meant:
        seen = f"{listed(meant)} by freeze=[{','.join(freeze)}]"
        found.append(Finding("frozen on purpose", seen, "", "freeze=[] trains all", is_fault=False))
    return found


def _differentiated(task: LossTask, batch: Batch) -> tuple[float, set[str], bool | None]:
    """The loss of a batch, the names of the parameters that its gradient reaches, and whether it reaches the inputs.

    The last is None for tokens and for numbers behind a feature map, which have no gradient.
    """
    model, inputs = task.model, batch.inputs.detach()
    has_gradient = inputs.is_floating_point() and not hasattr(model, "features")
    inputs = inputs.clone().requires_grad_(has_gradient)
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    buffers, was_training = {name: buffer.clone() for name, buffer in model.named_buffers()}, model.training
    with random_state_kept(task.device):
        model.train()
        try:
            with task.device.autocast():
                losses = task.losses(Batch(inputs, batch.targets))
            loss = float(losses["loss"].detach())
            descended = losses.get("objective", losses["loss"])
            if not descended.requires_grad:
                return loss, set(), False
            wanted = [*trained.values(), *([inputs] if has_gradient else [])]
            gradients = torch.autograd.grad(descended, wanted, allow_unused=True)
        finally:
            model.train(was_training)
            with torch.no_grad():
                for name, buffer in model.named_buffers():
                    buffer.copy_(buffers[name])
    reached = {name for name, gradient in zip(trained, gradients, strict=False) if gradient is not None}
    return loss, reached, gradients[-1] is not None if has_gradient else None


def _check_gradients(model: nn.Module, reached: Set[str], inputs_reached: bool | None) -> list[Finding]:
    missed = [name for name, parameter in model.named_parameters() if parameter.requires_grad and name not in reached]
    if missed:
        return [detached(missed, reached, [name for name, _ in model.named_parameters()])]
    if inputs_reached is False:
        return [
            Finding(
                "detached inputs",
                "the loss does not depend on the inputs",
                "outputs computed from them",
                "look for .detach(), torch.no_grad() or a constant in the model's forward",
            )
        ]
    return []


def detached(missed: list[str], reached: Set[str], names: list[str]) -> Finding:
    """The fault that no gradient reaches the `missed` parameters; `names` are all, in the order of the model."""
    last = max(names.index(name) for name in missed)
    above = next((name for name in names[last + 1 :] if name in reached), None)
    where = (
        f"look between {names[last]} and {above}" if above else "look in the model's forward and in the task's losses"
    )
    return Finding(
        "detached graph",
        f"no gradient reaches {listed(missed) if reached else 'any parameter'}",
        "a gradient for every parameter",
        f"{where} for .detach(), .item(), .numpy(), .data or torch.no_grad()",
    )


def _check_loss(task: Task, loss: float, *, is_new: bool) -> list[Finding]:
    chance = task.chance_loss
    if not math.isfinite(loss):
        return [
            Finding("loss not finite", f"the first loss is {loss}", "a number", "look for log(0), 0/0 or large inputs")
        ]
    if chance is None:
        return []
    classes = round(math.exp(chance))
    expected = f"about ln {classes:,} = {chance:.2f}, the loss of guessing"
    if loss < (_LOW * chance if is_new else 0):
        seen, advice = f"the loss starts at {loss:.3g}", "check the task's losses: their sign and their mean"
        return [Finding("wrong loss", seen, expected, advice)]
    if is_new and loss > _HIGH * chance + _FREE:
        advice = "scale the inputs (features=standard), or use smaller initial weights"
        return [Finding("loss at the start", f"it is {loss:.3g}", expected, advice, is_fault=False)]
    return []
