"""`dlcourse predict RUN FILE ...`: what the model of a finished run says to new files."""

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcourse.config.options import suggestion
from dlcourse.config.paths import path_to_read, user_path
from dlcourse.error_line import flag_error
from dlcourse.errors import ConfigError
from dlcourse.runs.find import find_run, required_run
from dlcourse.runs.named_file import check_new, write_named
from dlcourse.runs.reopen import read_config, read_spec
from dlcourse.terminal import escaped, print_help
from dlcourse.text_table import aligned

if TYPE_CHECKING:
    from dlcourse.plots import Picture
    from dlcourse.spec import DataSpec
    from dlcourse.tasks.answers import Answer
    from dlcourse.training.predicting import Prediction

HELP = """\
dlcourse predict RUN FILE ...      what a finished run says to new pictures; RUN is a run folder, or one above
                                   FILE is a picture (PNG, JPEG, BMP, GIF, WebP) or a folder of pictures
  --top N                          how many answers, the most probable first (default 3)
  --json, --csv                    for programs, nothing else
  --preview FILE.png               each picture beside what the model saw of it
  --picture FILE.png               the pictures with the answers under them
  --as-is                          only resize: do not look for strokes as MNIST's makers did

For example:
  dlcourse predict outputs/mnist-cnn seven.jpg --preview seen.png
"""

_DRAWN = ("--preview", "--picture")
_BAR = 10
_MOST = 1000


@dataclass(frozen=True)
class Request:
    """What is asked: the run, the files, and how the answer is to look."""

    run: str
    files: tuple[str, ...]
    top: int
    form: str
    """`people`, `json` or `csv`."""
    as_is: bool
    drawn: dict[str, Path]
    """The files for pictures, by the option that names them."""


def main(words: list[str]) -> int:
    """Predict as the words behind `predict` say; raises UserError."""
    if "--help" in words or "-h" in words:
        print_help(HELP)
        return 0
    request = _request(words)
    folder = find_run(request.run)
    read_config(folder)
    _require_readable(read_spec(folder))
    paths = [_existing(file) for file in request.files]
    if not paths:
        raise ConfigError(f"FILE is missing; write dlcourse predict {request.run} picture.png")

    from dlcourse.cli.train import load_session

    load_session()
    from dlcourse.training import predicting
    from dlcourse.training.opened import open_run

    run = open_run(folder)
    found = predicting.predict_pictures(run, paths, as_is=request.as_is)
    _show(found, request)
    if "--preview" in request.drawn:
        _save(predicting.preview(run, found, as_is=request.as_is), "--preview", request)
    if "--picture" in request.drawn:
        _save(predicting.picture(run, found), "--picture", request)
    return 0


def _request(words: list[str]) -> Request:
    """What the words ask for; raises ConfigError."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.error = flag_error("predict")  # type: ignore[assignment, method-assign]
    parser.add_argument("words", nargs="*")
    parser.add_argument("--top", default="3")
    for flag in _DRAWN:
        parser.add_argument(flag)
    for flag in ("--json", "--csv", "--as-is"):
        parser.add_argument(flag, action="store_true")
    flags = list(parser._option_string_actions)
    for word in words:
        if word.startswith("-") and word != "-" and word.partition("=")[0] not in flags:
            raise ConfigError(f"unknown flag '{word}'{suggestion(word.partition('=')[0], flags)}")
    given = parser.parse_intermixed_args(words)
    if given.json and given.csv:
        raise ConfigError("--json and --csv are two forms of one answer; write one of them")
    run = required_run(given.words[0] if given.words else None, "predict", ["FILE"])
    form = "json" if given.json else "csv" if given.csv else "people"
    drawn = {flag: _new_picture(getattr(given, flag[2:]), flag) for flag in _DRAWN if getattr(given, flag[2:])}
    if len(set(drawn.values())) < len(drawn):
        raise ConfigError(f"{' and '.join(_DRAWN)} name one file; give each its own")
    return Request(run, tuple(given.words[1:]), _top(given.top), form, given.as_is, drawn)


def _new_picture(text: str, flag: str) -> Path:
    path = user_path(text, flag)
    if path.suffix.lower() != ".png":
        raise ConfigError(f"{flag} {text} must end in .png")
    path_to_read(text, flag)
    check_new(path, flag)
    return path


def _top(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text) <= _MOST:
        return int(text)
    raise ConfigError(f"--top must be a whole number from 1 to {_MOST}, got '{text}'")


def _require_readable(spec: "DataSpec") -> None:
    """Raise ConfigError if the run reads what no file here holds."""
    if not spec.is_image:
        shape = ", ".join(map(str, spec.input_shape))
        raise ConfigError(f"this run reads examples of shape ({shape}) of data '{spec.name}'; predict reads pictures")


def _existing(text: str) -> Path:
    path = path_to_read(text, "")
    if not path.exists():
        raise ConfigError(f"'{text}' does not exist; expected a picture, or a folder of pictures")
    return path


def _show(found: Sequence["Prediction"], request: Request) -> None:
    if request.form == "json":
        print(json.dumps([_plain(each, request.top) for each in found], indent=2, ensure_ascii=False))
    elif request.form == "csv":
        _write_csv(found, request.top)
    else:
        rows = [[escaped(each.subject, one_line=True), *_cells(each.answer, request.top)] for each in found]
        print("\n".join(aligned(rows, left=_left(rows))))


def _save(picture: "Picture", flag: str, request: Request) -> None:
    """Draw the picture into the file that the option names."""
    from dlcourse.plots import to_image, to_png

    path = request.drawn[flag]
    write_named(path, flag, to_png(to_image(picture)))
    if request.form == "people":
        print(f"saved  {escaped(str(path), one_line=True)}")


def _plain(prediction: "Prediction", top: int) -> dict[str, Any]:
    """A prediction as values of JSON."""
    (name, probability), *_ = best = prediction.answer.ranked[:top]
    ranked = [{"class": name, "probability": probability} for name, probability in best]
    return {"file": prediction.subject, "class": name, "probability": probability, "top": ranked}


def _write_csv(found: Sequence["Prediction"], top: int) -> None:
    """A header, and a row for each prediction."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    count = min(top, len(found[0].answer.ranked))
    writer.writerow(
        ["file", *(f"{word}_{place}" for place in range(1, count + 1) for word in ("class", "probability"))]
    )
    for each in found:
        writer.writerow([each.subject, *(value for pair in each.answer.ranked[:top] for value in pair)])


def _cells(answer: "Answer", top: int) -> list[str]:
    """The most probable class, its probability and a bar of that, and the next ones."""
    (name, probability), *others = answer.ranked[:top]
    bar = "#" * max(1, round(_BAR * probability))
    cells = [escaped(name, one_line=True), _percent(probability), bar.ljust(_BAR)]
    return cells + [cell for name, share in others for cell in (escaped(name, one_line=True), _percent(share))]


def _left(rows: Sequence[Sequence[str]]) -> set[int]:
    """All columns but those of probabilities."""
    return {0, 1, 3} | set(range(4, len(rows[0]), 2))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
