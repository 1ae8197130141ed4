"""Samples of a finished run, which needs no data for them."""

import contextlib
import itertools
from pathlib import Path

import torch

from dlcourse.config.run_config import RunConfig
from dlcourse.errors import ConfigError
from dlcourse.files import write_new
from dlcourse.metrics.report import Report
from dlcourse.plots import Captioned, to_image, to_png
from dlcourse.rng import seed_everything
from dlcourse.runs.folder import RunFolder, output_errors
from dlcourse.runs.named_file import write_named
from dlcourse.tasks.generative_task import Generative, SampleRequest
from dlcourse.training.opened import OpenedRun

_NOT_GENERATIVE = (
    "this run's model is not generative; dlcourse sample takes runs of a vae, gan, diffusion model or language model"
)


def sample(run: OpenedRun, request: SampleRequest, seed: int) -> Report:
    """What the run's kept weights generate; the same seed gives the same. Raises UserError."""
    task = run.task
    if not isinstance(task, Generative):
        raise ConfigError(_NOT_GENERATIVE)
    seed_everything(seed)
    with torch.no_grad():
        return task.sample(request)


def write(report: Report, folder: Path, config: RunConfig, out: Path | None) -> list[Path]:
    """Write the pictures, and the texts if a file is named, never over a file that is there; returns the files.

    Without `out` the files are numbered: `samples/samples_0001.png` in the run folder; of several processes that sample
    at once each gets numbers of its own. Raises ConfigError, OutputError.
    """
    texts = "\n".join(report.texts.values())
    caption = f"{config.model.name} on {config.data.name}"
    if out is None:
        return _write_numbered(report, folder, caption)
    if len(report.pictures) + bool(texts) > 1:
        raise ConfigError(f"--out {out} names one file, and there is more than one; leave it out")
    contents = [to_png(to_image(Captioned(picture, caption))) for picture in report.pictures.values()]
    content = contents[0] if contents else f"{texts}\n".encode()
    write_named(out, "--out", content)
    return [out]


def _write_numbered(report: Report, folder: Path, caption: str) -> list[Path]:
    if not report.pictures:
        return []
    RunFolder(folder).refuse_what_is_not_ours()
    place = folder / "samples"
    with output_errors(place):
        place.mkdir(exist_ok=True)
        return [
            _write_under_next(place, name, to_png(to_image(Captioned(p, caption))))
            for name, p in report.pictures.items()
        ]


def _write_under_next(place: Path, name: str, content: bytes) -> Path:
    """Write under the first number that nobody has, nor takes at this moment."""
    for number in itertools.count(1):
        path = place / f"{name}_{number:04d}.png"
        if not path.exists():
            with contextlib.suppress(FileExistsError):
                write_new(path, content)
                return path
    raise AssertionError("numbers never end")
