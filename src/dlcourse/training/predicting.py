"""What a finished run says to new files, which need no data set but the run folder.

B is a number of inputs that the model reads at a time.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from dlcourse.data.drawings import DrawingReader, is_drawing
from dlcourse.data.new_images import PictureReader, picture_files, thumbnail
from dlcourse.errors import ConfigError
from dlcourse.plots import ImageGrid
from dlcourse.tasks.answers import Answer, Answering
from dlcourse.training.opened import OpenedRun

_AT_ONCE = 64
_PREVIEWED = 12
_PICTURED = 24
_SHOWN_SIDE = 224  # pixels: 8 times those of MNIST


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the model says to one input: a file, the row of a table or a text, by its name."""

    subject: str
    answer: Answer


def predict_pictures(run: OpenedRun, paths: Sequence[Path], *, as_is: bool = False) -> list[Prediction]:
    """An answer for each picture, and each in a folder; `as_is` only resizes drawings, too. Raises UserError."""
    files = [file for path in paths for file in picture_files(path)]
    reader = picture_reader(run, as_is=as_is)
    found: list[Prediction] = []
    for start in range(0, len(files), _AT_ONCE):
        few = files[start : start + _AT_ONCE]
        pixels = torch.stack([reader(file) for file in few])  # (B, C, H, W)
        found += _named(map(str, few), answer(run, run.spec.from_pixels(pixels)))
    return found


def preview(run: OpenedRun, found: Sequence[Prediction], *, as_is: bool = False) -> ImageGrid:
    """The first pictures, each beside what the model saw of it and said."""
    reader = picture_reader(run, as_is=as_is)
    few = found[:_PREVIEWED]
    images, captions = [], []
    for each in few:
        file = Path(each.subject)
        seen = reader(file).expand(3, -1, -1)  # (3, H, W)
        images += [thumbnail(file, _SHOWN_SIDE), functional.interpolate(seen[None], (_SHOWN_SIDE,) * 2)[0]]
        captions += [file.name, said(each.answer)]
    title = "What the model saw" + _of(few, found)
    return ImageGrid(torch.stack(images).numpy(), captions, title, columns=2 if len(few) < 4 else 6)


def picture(run: OpenedRun, found: Sequence[Prediction]) -> ImageGrid:
    """The first pictures with what the model said."""
    few = found[:_PICTURED]
    images = torch.stack([thumbnail(Path(each.subject), _SHOWN_SIDE) for each in few])
    captions = [f"{said(each.answer)}\n{Path(each.subject).name}" for each in few]
    return ImageGrid(images.numpy(), captions, f"What {run.config.model.name} says{_of(few, found)}", columns=6)


def said(answer: Answer) -> str:
    """The answer in a few words."""
    name, probability = answer.ranked[0]
    return f"{name}  {100 * probability:.1f} %"


def _of(few: Sequence[Prediction], found: Sequence[Prediction]) -> str:
    return f": the first {len(few)} of {len(found):,}" if len(few) < len(found) else ""


def answer(run: OpenedRun, inputs: Tensor) -> list[Answer]:
    """What the run's model says to inputs `(B, ...)`; raises ConfigError if it answers nothing."""
    if not isinstance(run.task, Answering):
        raise ConfigError(
            f"this run's model '{run.config.model.name}' generates and does not predict; write dlcourse sample {run.folder}"
        )
    with torch.no_grad(), run.device.forked_random_state():
        return run.task.answer(inputs.to(run.device.torch_device))


def picture_reader(run: OpenedRun, *, as_is: bool = False) -> Callable[[Path], Tensor]:
    """What reads a file as pixels `(channels, height, width)` in [0, 1] as the run's model is to see them."""
    if is_drawing(run.spec) and not as_is:
        return DrawingReader.of(run.spec)
    return PictureReader(run.spec.input_shape, _resize(run))  # type: ignore[arg-type]


def _resize(run: OpenedRun) -> Any:
    """How pictures are brought to the model's size: as those of the user's own folder that it was trained on."""
    return run.config.data.options.get("resize") if run.config.data.name == "images" else "crop"


def _named(subjects: Iterator[str], answers: list[Answer]) -> list[Prediction]:
    return [Prediction(*pair) for pair in zip(subjects, answers, strict=True)]
