"""What a finished run says to new files, which need no data set but the run folder.

B is a number of inputs that the model reads at a time.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from dlcourse.data.csv_file import separator_of
from dlcourse.data.drawings import DrawingReader, is_drawing
from dlcourse.data.new_images import PictureReader, picture_files, thumbnail
from dlcourse.data.new_rows import read_rows
from dlcourse.errors import ConfigError
from dlcourse.plots import ImageGrid
from dlcourse.tasks.answers import Answer, Answering, shown
from dlcourse.tasks.seq2seq import SequenceToSequence
from dlcourse.terminal import escaped
from dlcourse.text_table import counted
from dlcourse.tokens import encode_prompt, tokenizer_of
from dlcourse.training.opened import OpenedRun

_AT_ONCE = 64
_ROWS_AT_ONCE = 1000
_PREVIEWED = 12
_PICTURED = 24
_SHOWN_SIDE = 224  # pixels: 8 times those of MNIST


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the model says to one input: a file, the row of a table or a text.

    `subject` is the file or the text, `row` the line of the file that the row stands in,
    `is_text` whether the subject is a text.
    """

    subject: str
    answer: Answer
    row: int | None = None
    is_text: bool = False

    def __repr__(self) -> str:
        row = "" if self.row is None else f", row {self.row}"
        return f"Prediction({escaped(repr(self.subject), one_line=True)}{row}: {shown(self.answer)})"


def predict_pictures(run: OpenedRun, paths: Sequence[Path], *, as_is: bool = False) -> list[Prediction]:
    """An answer for each picture, and each in a folder; `as_is` only resizes drawings, too. Raises UserError."""
    _answering(run)
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
        images += [thumbnail(file, _SHOWN_SIDE), _enlarged(reader(file))]
        captions += [file.name, said(each.answer)]
    title = "What the model saw" + _of(few, found)
    return ImageGrid(torch.stack(images).numpy(), captions, title, columns=2 if len(few) < 4 else 6)


def picture(run: OpenedRun, found: Sequence[Prediction]) -> ImageGrid:
    """The first pictures with what the model said."""
    few = found[:_PICTURED]
    images, captions = [], []
    for each in few:
        file = Path(each.subject)
        images.append(thumbnail(file, _SHOWN_SIDE))
        captions.append(f"{said(each.answer)}\n{file.name}")
        if each.answer.image is not None:
            images.append(_enlarged(each.answer.image))
            captions.append("reconstruction")
    title = f"What {run.config.model.name} says{_of(few, found)}"
    return ImageGrid(torch.stack(images).numpy(), captions, title, columns=6)


def _enlarged(image: Tensor) -> Tensor:
    """An image `(channels, height, width)` as RGB of the size of a thumbnail, its pixels to be seen."""
    return functional.interpolate(image.expand(3, -1, -1)[None], (_SHOWN_SIDE,) * 2)[0]


def said(answer: Answer) -> str:
    """The answer in a few words."""
    if answer.values:
        return "  ".join(f"{name} {value:.4g}" for name, value in answer.values.items())
    name, probability = answer.ranked[0]
    return f"{name}  {100 * probability:.1f} %"


def _of(few: Sequence[Prediction], found: Sequence[Prediction]) -> str:
    return f": the first {len(few)} of {len(found):,}" if len(few) < len(found) else ""


def predict_rows(
    run: OpenedRun, paths: Sequence[Path], *, separator: str | None = None, encoding: str | None = None
) -> tuple[list[Prediction], list[str]]:
    """An answer for each row of CSV files, and notes on columns that were not read; raises UserError.

    Separator and encoding are by default those of the run's own file.
    """
    options = run.config.data.options if run.config.data.name == "csv" else {}
    mark = separator_of(separator or options.get("separator", ","), "--separator")
    target = options.get("target")
    found: list[Prediction] = []
    notes: list[str] = []
    for path in paths:
        known = (target, *options.get("drop", ()))
        table = read_rows(path, run.spec, mark, encoding or options.get("encoding", "utf-8"), known)
        if table.ignored:
            notes.append(f"{path}: not read: {', '.join(table.ignored)}")
        answers = [each for part in table.features.split(_ROWS_AT_ONCE) for each in answer(run, _narrowed(run, part))]
        found += [
            Prediction(str(path), _renamed(each, target), row) for each, row in zip(answers, table.rows, strict=True)
        ]
    return found, notes


def predict_texts(run: OpenedRun, texts: Sequence[str], option: str = "--text") -> list[Prediction]:
    """The class, the next token or the output sequence for each text given for an option; raises ConfigError."""
    return [Prediction(text, each, is_text=True) for text in texts for each in answer(run, _tokens(run, text, option))]


def predict_inputs(run: OpenedRun, inputs: Tensor) -> list[Answer]:
    """An answer for each of the inputs `(B, ...)`, which are as the data of the run give them; raises ConfigError."""
    _answering(run)
    parts = inputs.split(run.config.trainer.eval_batch_size) if len(inputs) else ()
    return [each for part in parts for each in answer(run, _narrowed(run, part) if part.is_floating_point() else part)]


def _tokens(run: OpenedRun, text: str, option: str) -> Tensor:
    """The tokens `(1, T)` of a text given for an option."""
    if isinstance(run.task, SequenceToSequence):
        return run.task.encode(text, option)
    tokens = encode_prompt(text, tokenizer_of(run.spec), option)
    wanted = run.spec.input_shape[0] // (2 if run.spec.target == "preference" else 1)
    if not tokens:
        raise ConfigError(f'{option} is empty; write {option} "..."')
    if run.spec.target != "next" and len(tokens) != wanted:
        raise ConfigError(f"{option} '{text}' has {counted(len(tokens), 'token')}, and this run reads {wanted}")
    return torch.tensor([tokens])


def _narrowed(run: OpenedRun, features: Tensor) -> Tensor:
    """Features as the model reads them: a map that standardizes takes float64, of which nothing is blurred, on a CPU."""
    keeps_all = run.config.features.name != "none" and run.device.torch_device.type == "cpu"
    return features if keeps_all else features.float()


def _renamed(found: Answer, target: str | None) -> Answer:
    """A number that is predicted, by the name of its column."""
    if target is None or set(found.values) != {"value"}:
        return found
    return replace(found, values={target: found.values["value"]})


def answer(run: OpenedRun, inputs: Tensor) -> list[Answer]:
    """What the run's model says to inputs `(B, ...)`; raises ConfigError if it answers nothing."""
    task = _answering(run)
    with torch.no_grad(), run.device.forked_random_state():
        return task.answer(inputs.to(run.device.torch_device))


def _answering(run: OpenedRun) -> Answering:
    """The run's task, which answers inputs; raises ConfigError if it does not."""
    if isinstance(run.task, Answering):
        return run.task
    raise ConfigError(
        f"this run's model '{run.config.model.name}' generates and does not predict; write dlcourse sample {run.folder}"
    )


def picture_reader(run: OpenedRun, *, as_is: bool = False) -> Callable[[Path], Tensor]:
    """What reads a file as pixels `(channels, height, width)` in [0, 1] as the run's model is to see them."""
    if is_drawing(run.spec) and not as_is:
        return DrawingReader.of(run.spec)
    return PictureReader(run.spec.input_shape, _resize(run))  # type: ignore[arg-type]


def _resize(run: OpenedRun) -> Any:
    """How pictures are brought to the model's size: as those of the user's own folder that it was trained on."""
    return run.config.data.options.get("resize") if run.config.data.name == "images" else "crop"


def _named(subjects: Iterator[str], answers: list[Answer]) -> list[Prediction]:
    return [Prediction(subject, answer) for subject, answer in zip(subjects, answers, strict=True)]
