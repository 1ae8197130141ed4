"""A run made ready before anything is written: its data, model and task, built, tried and described on the console."""

import dataclasses

from dlcourse.config.run_config import RunConfig
from dlcourse.console import Console
from dlcourse.device import Device, thread_notes
from dlcourse.optim.schedules import SCHEDULERS
from dlcourse.rng import seed_everything
from dlcourse.tasks import choose
from dlcourse.training import run_report
from dlcourse.training.build import batch_notes, build_data, build_task
from dlcourse.training.compiled import compile_passes
from dlcourse.training.cuda_graph import record_steps
from dlcourse.training.debug.findings import refuse_faults
from dlcourse.training.debug.first_step import check_batch, first_batch
from dlcourse.training.evaluate import steps_per_epoch
from dlcourse.training.length import length_of


def set_up(
    config: RunConfig, overrides: list[str], device: Device, console: Console, *, is_new: bool = True
) -> run_report.Setup:
    """Seed everything, and build all of a run on this device; the config that comes back names its task.

    Unless `is_new`, weights of a checkpoint follow. Raises UserError, FaultError for a batch that is faulty under `debug`.
    """
    console.rows([run_report.headline(config, device)])
    console.say("note", *thread_notes())
    seed_everything(config.seed)
    data = build_data(config, device)
    console.say("data", run_report.describe_data(data))
    console.say("note", *data.notes, *batch_notes(config.trainer, data))
    if config.task.name == "auto":
        config = dataclasses.replace(config, task=choose(config.task, data.spec))
        console.say("task", config.task.name)
    if config.debug is not None:
        refuse_faults(check_batch(first_batch(config, data), data.spec))
    length = length_of(config.trainer, steps_per_epoch(config.trainer, data))
    make_schedule = length.fitted(SCHEDULERS.build(config.scheduler))
    task = build_task(config, data, device, console, is_new=is_new, make_schedule=make_schedule)
    setup = run_report.Setup(config, overrides, data, task, device, length)
    console.say("model", f"{config.model.name}   {setup.parameters:,} parameters", *setup.layers)
    if config.trainer.compile:
        compile_or_record = record_steps if device.has_graphs else compile_passes
        console.say("note", compile_or_record(task, data, config.trainer))
    return setup
