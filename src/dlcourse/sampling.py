"""Samples of a finished run: its model and task built again from the run folder alone, without the data."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import torch
from torch import nn

from dlcourse.building import MISFITS
from dlcourse.config import RunConfig
from dlcourse.descent import Descent
from dlcourse.device import DEVICES, Device, seed_everything
from dlcourse.errors import ConfigError, DataError
from dlcourse.files import whole_file
from dlcourse.finished import check_weights, read_spec
from dlcourse.models import MODELS
from dlcourse.optim import OPTIMIZERS
from dlcourse.plots import save_png, to_image
from dlcourse.registry import Choice
from dlcourse.run import WEIGHTS, RunFolder, output_errors
from dlcourse.spec import Report
from dlcourse.tasks import TASKS
from dlcourse.tasks.task import SampleRequest, Task
from dlcourse.weights import load_weights


def sample(folder: Path, config: RunConfig, request: SampleRequest, seed: int) -> Report:
    """What the run's kept weights make up; the same seed gives the same. Raises UserError."""
    task = _open_task(folder, config)
    task.model.eval()
    seed_everything(seed)
    with torch.no_grad():
        return task.sample(request)


def write(report: Report, folder: Path, out: Path | None) -> list[Path]:
    """Write the pictures, and the texts where a file is named, never over a file that is there; returns the files.

    Without `out` the files are numbered: `samples/samples_0001.png` in the run folder. Raises ConfigError, OutputError.
    """
    texts = "\n".join(report.texts.values())
    if out is not None and len(report.pictures) + bool(texts) > 1:
        raise ConfigError(f"--out {out} names one file, and there is more than one; leave it out")
    if out is not None and not out.parent.is_dir():
        raise ConfigError(f"--out {out}: the folder {out.parent} does not exist; make it first, or name another")
    if out is not None and out.exists():
        raise ConfigError(f"--out {out} exists already; name a file that does not")
    written = []
    if out is None:
        RunFolder(folder).refuse_links()
    place = out or folder / "samples"
    with output_errors(place):
        if out is None and report.pictures:
            place.mkdir(exist_ok=True)
        for name, picture in report.pictures.items():
            path = out or next(free for free in _numbered(place, name) if not free.exists())
            save_png(to_image(picture), path)
            written.append(path)
        if texts and out is not None:
            with whole_file(out) as unfinished:
                unfinished.write_text(texts + "\n", encoding="utf-8", newline="")
            written.append(out)
    return written


def _numbered(folder: Path, name: str) -> Iterator[Path]:
    return (folder / f"{name}_{number:04d}.png" for number in count(1))


def _device(config: RunConfig) -> Device:
    """The run's device, or the best there is where the run was made on a machine with another one."""
    try:
        return DEVICES.build(config.device)
    except ConfigError:
        return DEVICES.build(Choice("auto"))


def _open_task(folder: Path, config: RunConfig) -> Task:
    """The run's task with its kept weights. Features are left out: no task that samples takes them."""
    device = _device(config)
    spec = read_spec(folder)
    if config.features.name != "none":
        raise ConfigError(f"the model of {folder} predicts, it makes nothing up")
    make_optimizer = OPTIMIZERS.build(config.optimizer)

    def descend(module: nn.Module, *, every: int = 1) -> Descent:
        return Descent(make_optimizer(module), lambda update: 1.0, device)

    try:
        model = MODELS.build(config.model, spec=spec).to(device.torch_device)
        task = TASKS.build(config.task, model=model, spec=spec, device=device, descend=descend)
    except MISFITS as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"cannot build the model of {folder} as its config and spec.json say: {reason}") from error
    check_weights(folder)
    load_weights(task.model, folder / WEIGHTS)
    return task
