"""`debug=overfit`: train on one batch until the loss is near zero, or name the fault that keeps it from getting there."""

import copy
import dataclasses

from torch import nn

from dlcourse.config.registry import Choice
from dlcourse.config.run_config import RunConfig
from dlcourse.console import Console, format_metric
from dlcourse.device import DEVICES
from dlcourse.errors import DivergedError
from dlcourse.optim.schedules import Updates
from dlcourse.spec import Batch
from dlcourse.tasks.classification import Classification
from dlcourse.text_table import counted
from dlcourse.training.build import optimizer_maker
from dlcourse.training.debug.findings import Finding, has_fault, refuse_faults
from dlcourse.training.debug.first_step import (
    check_before_first_step,
    descends_one_loss,
    first_batch,
    say_findings,
)
from dlcourse.training.debug.folder import write_findings
from dlcourse.training.debug.one_batch_training import Course, reference, train_on
from dlcourse.training.debug.pairing import check_pairing
from dlcourse.training.debug.verdict import faults_of_loss, faults_of_parameters, is_memorized
from dlcourse.training.divergence import diagnosed
from dlcourse.training.run_report import Setup
from dlcourse.training.set_up import set_up

STEPS, _FEW_STEPS = 300, 20
"""Steps on one batch; few for a task whose loss need not go to zero, such as a GAN's."""
_ALL_RIGHT = 0.999
_OFF = {"dropout": 0.0, "weight_decay": 0.0, "label_smoothing": 0.0}
"""Options that keep a loss from going to zero, with the values that turn them off."""
_CAREFUL = Choice("adam", {"lr": 0.003})
"""An optimizer that memorizes a batch if the model can, to tell a small model from an optimizer that is set badly."""


def overfit(config: RunConfig, overrides: list[str]) -> None:
    """Look for faults; raises FaultError for one that is found, and the other UserErrors of a run. Nothing is trained."""
    console = Console()
    setup = set_up(_without_regularization(config), overrides, DEVICES.build(config.device), console)
    config, task = setup.config, setup.task
    console.say("ready", *task.prepare(setup.data))
    batch = first_batch(config, setup.data)
    findings = check_before_first_step(setup)
    if not has_fault(findings):
        say_findings(console, findings)
    folder = write_findings(config, setup.command, findings)
    console.show("run", str(folder.path))
    refuse_faults(findings)
    _remove_dropout(task.model)
    start = copy.deepcopy(task.model)
    course = _train(setup, batch, console)
    found = _faults(setup, batch, course, start)
    lines = [_summary(setup, course, batch), *_why_not(setup, batch, course, start, found)]
    console.say("batch", *lines)
    console.say("note", *(str(finding) for finding in found if not finding.is_fault))
    if not has_fault(found):
        pairing, told = check_pairing(setup)
        console.say("labels", *told)
        found, lines = [*found, *pairing], [*lines, *told]
    write_findings(config, setup.command, [*findings, *found], lines, folder=folder)
    refuse_faults(found)


def _without_regularization(config: RunConfig) -> RunConfig:
    """The config without what keeps a loss from going to zero."""

    def plain(choice: Choice) -> Choice:
        return Choice(choice.name, {name: _OFF.get(name, value) for name, value in choice.options.items()})

    trainer = dataclasses.replace(config.trainer, accumulate=1, compile=False, time=None)
    model, task, optimizer = map(plain, (config.model, config.task, config.optimizer))
    return dataclasses.replace(config, trainer=trainer, model=model, task=task, optimizer=optimizer)


def _remove_dropout(model: nn.Module) -> None:
    """Turn off dropout that is no option, too."""
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0


def _train(setup: Setup, batch: Batch, console: Console) -> Course:
    task, config = setup.task, setup.config
    steps = STEPS if descends_one_loss(setup.task) else 1 if task.needs_full_batch else _FEW_STEPS
    task.start(optimizer_maker(config, setup.device, Updates(epochs=1, batches=steps)))
    console.start_progress(steps, 1)

    def progress(step: int, loss: float) -> None:
        if console.wants_progress():
            console.progress(step, 1, loss, task.lr)

    try:
        return train_on(task, batch, steps, progress)
    except DivergedError as error:
        raise diagnosed(error, config, setup.data) from error
    finally:
        console.end_progress()


def _faults(setup: Setup, batch: Batch, course: Course, start: nn.Module) -> list[Finding]:
    task = setup.task
    found = [] if task.needs_full_batch else faults_of_parameters(task.model, course)
    if has_fault(found) or not descends_one_loss(setup.task) or is_memorized(course):
        return found
    other, is_comparable = None, setup.config.task.options.get("loss") != "nll"
    if isinstance(task, Classification):
        maker = optimizer_maker(setup.config, setup.device, Updates(epochs=1, batches=STEPS))
        other = reference(copy.deepcopy(start), batch, setup.device, maker, STEPS)
        is_comparable = task.chance_loss is not None
    return [*found, *faults_of_loss(course, other, is_comparable=is_comparable)]


def _summary(setup: Setup, course: Course, batch: Batch) -> str:
    """`loss 2.31 -> 0.0008 in 120 steps, accuracy 9.38 % -> 100.00 %: the model can memorize a batch of 64`."""
    numbers = f"loss {course.losses[0]:.4g} -> {course.losses[-1]:.4g} in {counted(course.steps, 'step')}"
    if course.first_fit is not None and course.last_fit is not None:
        name = "accuracy" if isinstance(setup.task, Classification) else "R^2"
        fits = (format_metric(name, fit) for fit in (course.first_fit, course.last_fit))
        numbers += f", {name} {' -> '.join(fits)}"
    if is_memorized(course) and descends_one_loss(setup.task):
        return f"{numbers}: the model can memorize a batch of {len(batch.targets)}"
    return numbers


def _why_not(setup: Setup, batch: Batch, course: Course, start: nn.Module, found: list[Finding]) -> list[str]:
    """Why a batch is not memorized, if that is no fault."""
    if has_fault(found) or (is_memorized(course) and descends_one_loss(setup.task)):
        return []
    if not descends_one_loss(setup.task):
        task = setup.config.task.name
        return [
            f"no fault: gradients reach all parameters, and all change; the loss of task '{task}' need not go to zero"
        ]
    if not isinstance(setup.task, Classification):
        return [
            f"no fault: the loss falls, but not to zero in {STEPS} steps; a larger model or optimizer.lr may get there"
        ]
    if course.last_fit is not None and course.last_fit >= _ALL_RIGHT:
        return ["no fault: the whole batch is right, and the loss is still falling"]
    careful = dataclasses.replace(setup.config, optimizer=_CAREFUL, scheduler=Choice("constant"))
    maker = optimizer_maker(careful, setup.device, Updates(epochs=1, batches=STEPS))
    other = reference(start, batch, setup.device, maker, STEPS)
    assert course.last_fit is not None and other.last_fit is not None
    if is_memorized(other):
        lr = _CAREFUL.options["lr"]
        return [f"no fault, but slow: optimizer={_CAREFUL.name} optimizer.lr={lr} memorizes it in {other.steps} steps"]
    return ["no fault: this model is too small to memorize a batch of this size, as linear models often are"]
