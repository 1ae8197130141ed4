"""What a finished run says to new files, which need no data set but the run folder.

B is a number of inputs that the model reads at a time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dlcourse.data.new_images import PictureReader, picture_files
from dlcourse.errors import ConfigError
from dlcourse.tasks.answers import Answer, Answering
from dlcourse.training.opened import OpenedRun

_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the model says to one input: a file, the row of a table or a text, by its name."""

    subject: str
    answer: Answer


def predict_pictures(run: OpenedRun, paths: Sequence[Path]) -> list[Prediction]:
    """An answer for each picture, and each in a folder; raises UserError."""
    files = [file for path in paths for file in picture_files(path)]
    reader = PictureReader(run.spec.input_shape, _resize(run))  # type: ignore[arg-type]
    found: list[Prediction] = []
    for start in range(0, len(files), _AT_ONCE):
        few = files[start : start + _AT_ONCE]
        pixels = torch.stack([reader(file) for file in few])  # (B, C, H, W)
        found += _named(map(str, few), answer(run, run.spec.from_pixels(pixels)))
    return found


def answer(run: OpenedRun, inputs: Tensor) -> list[Answer]:
    """What the run's model says to inputs `(B, ...)`; raises ConfigError if it answers nothing."""
    if not isinstance(run.task, Answering):
        raise ConfigError(
            f"this run's model '{run.config.model.name}' generates and does not predict; write dlcourse sample {run.folder}"
        )
    with torch.no_grad(), run.device.forked_random_state():
        return run.task.answer(inputs.to(run.device.torch_device))


def _resize(run: OpenedRun) -> Any:
    """How pictures are brought to the model's size: as those of the user's own folder that it was trained on."""
    return run.config.data.options.get("resize") if run.config.data.name == "images" else "crop"


def _named(subjects: Iterator[str], answers: list[Answer]) -> list[Prediction]:
    return [Prediction(*pair) for pair in zip(subjects, answers, strict=True)]
