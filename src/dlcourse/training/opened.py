"""A finished run opened again: its model and its task, built from the run folder alone, with the weights it kept."""

import sys
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from dlcourse.config.registry import Choice
from dlcourse.config.run_config import RunConfig
from dlcourse.device import DEVICES, Device
from dlcourse.errors import ConfigError, DataError, first_line, is_out_of_memory
from dlcourse.models import MODELS
from dlcourse.models.features import FEATURES
from dlcourse.plugins.recorded import changes, require_named
from dlcourse.runs.find import checkpoints_of
from dlcourse.runs.folder import WEIGHTS, RunFolder
from dlcourse.runs.reopen import read_config, read_spec, run_facts, stated_checksum
from dlcourse.runs.saver import read
from dlcourse.runs.weights import load_weights
from dlcourse.spec import DataSpec
from dlcourse.tasks import TASKS
from dlcourse.tasks.task import Task
from dlcourse.training.build import MISFITS, check_entries


@dataclass(frozen=True)
class OpenedRun:
    """What a run has come to: its config, what its data had announced, and its task with the kept weights."""

    folder: Path
    config: RunConfig
    spec: DataSpec
    device: Device
    task: Task

    def load_frozen(self) -> None:
        """Give the task what it kept frozen beside its model, from the run's newest checkpoint; raises UserError."""
        if not self.task.keeps_frozen:
            return
        checkpoint, _ = checkpoints_of(RunFolder(self.folder)).newest()
        if checkpoint is None:
            raise DataError(
                f"{self.folder} has no checkpoint, and task '{self.config.task.name}' is measured with what lies in it"
            )
        self.task.load_frozen_state(read(checkpoint)[1]["task"]["frozen"])

    def load_weights(self) -> None:
        """Put the kept weights back, whatever has been done to the model since; raises DataError."""
        load_weights(self.task.model, self.folder / WEIGHTS, stated_checksum(self.folder))


def open_run(folder: Path, device: Choice | None = None) -> OpenedRun:
    """Open the run of this folder, on its own device or another; nothing is written there.

    It says on stderr which plug-ins have changed since. Raises UserError if it cannot be opened, or was changed.
    """
    config, facts = read_config(folder), run_facts(folder)
    require_named(config, facts)
    check_entries(config)
    for line in changes(config, facts):
        print(f"note: {line}", file=sys.stderr)
    on = device_or_best(config.device if device is None else device)
    spec = read_spec(folder)
    try:
        model = on.place(_model(config, spec))
        task = TASKS.build(config.task, model=model, spec=spec, device=on)
    except MISFITS as error:
        if is_out_of_memory(error):
            raise
        reason = first_line(error)
        raise DataError(f"cannot build the model of {folder} as its config and spec.json say: {reason}") from error
    opened = OpenedRun(folder, config, spec, on, task)
    opened.load_weights()
    task.model.eval()
    return opened


def _model(config: RunConfig, spec: DataSpec) -> nn.Module:
    """The model, behind its feature map if there is one."""
    features = FEATURES.build(config.features, spec=spec)
    if features is None:
        return MODELS.build(config.model, spec=spec)
    model = MODELS.build(config.model, spec=features.spec(spec))
    return nn.Sequential(OrderedDict(features=features, model=model))


def device_or_best(device: Choice) -> Device:
    """The device, or the best there is if the run was made on a machine with another one."""
    try:
        return DEVICES.build(device)
    except ConfigError:
        return DEVICES.build(Choice("auto"))
