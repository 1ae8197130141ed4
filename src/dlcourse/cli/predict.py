"""`dlcourse predict RUN FILE ...`: what the model of a finished run says to new pictures, rows of a table or texts."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dlcourse.cli import prediction_forms
from dlcourse.config.options import suggestion
from dlcourse.config.paths import path_to_read
from dlcourse.error_line import flag_error
from dlcourse.errors import ConfigError
from dlcourse.runs.find import find_run, required_run
from dlcourse.runs.named_file import new_file, write_named
from dlcourse.runs.reopen import read_config, read_spec
from dlcourse.terminal import escaped, print_help

if TYPE_CHECKING:
    from dlcourse.plots import Picture
    from dlcourse.spec import DataSpec
    from dlcourse.training.opened import OpenedRun
    from dlcourse.training.predicting import Prediction

HELP = """\
dlcourse predict RUN FILE ...      what a finished run says to new data; RUN is a run folder, or one above
                                   FILE is a picture (PNG, JPEG, BMP, GIF, WebP, HEIC), a folder of pictures, or a CSV file
  --top N                          how many answers, the most probable first (default 3)
  --json, --csv                    for programs, nothing else
for pictures:
  --preview FILE.png               each picture beside what the model saw of it
  --picture FILE.png               the pictures with the answers under them
  --as-is                          only resize: do not look for strokes as MNIST's makers did
for tables:
  --encoding NAME                  how the characters of FILE are stored (default: as in the run's own file)
  --separator C                    the character between two cells, or the word tab (the same)
for text:
  --text TEXT                      in place of FILE: a text to classify, to translate, or whose next token to rank

For example:
  dlcourse predict outputs/mnist-cnn seven.jpg --preview seen.png
  dlcourse predict outputs/csv-linreg new.csv
  dlcourse predict outputs/gpt_cpu --text "ROMEO: O, speak aga"
"""

Kind = Literal["pictures", "tables", "text"]

_FLAGS: dict[str, tuple[Kind, ...]] = {
    "--preview": ("pictures",),
    "--picture": ("pictures",),
    "--as-is": ("pictures",),
    "--encoding": ("tables",),
    "--separator": ("tables",),
    "--text": ("text",),
}
"""Those with a meaning for runs of some kind only."""

_DRAWN = ("--preview", "--picture")
_EXAMPLES: dict[Kind, str] = {"pictures": "picture.png", "tables": "rows.csv", "text": '--text "..."'}
_MOST = 1000


@dataclass(frozen=True)
class Request:
    """What is asked: the run, the files or texts, and how the answer is to look."""

    run: str
    files: tuple[str, ...]
    texts: tuple[str, ...]
    top: int
    form: Literal["people", "json", "csv"]
    as_is: bool
    encoding: str | None
    separator: str | None
    drawn: dict[str, Path]
    """The files for pictures, by the flag that names them."""
    flags: tuple[str, ...]
    """Those that are given."""


def main(words: list[str]) -> int:
    """Predict as the words behind `predict` say; raises UserError."""
    if "--help" in words or "-h" in words:
        print_help(HELP)
        return 0
    request = _request(words)
    folder = find_run(request.run)
    read_config(folder)
    kind = kind_of(read_spec(folder))
    _check(request, kind)
    paths = [existing(file, kind) for file in request.files]

    from dlcourse.cli.train import load_session

    load_session()
    from dlcourse.training.opened import open_run

    run = open_run(folder)
    found = _predictions(run, kind, paths, request)
    prediction_forms.show(found, request.form, request.top)
    _draw(run, found, request)
    return 0


def _predictions(run: "OpenedRun", kind: Kind, paths: list[Path], request: Request) -> list["Prediction"]:
    """What the run says; raises UserError."""
    from dlcourse.training import predicting

    if kind == "text":
        return predicting.predict_texts(run, request.texts)
    if kind == "tables":
        found, notes = predicting.predict_rows(run, paths, separator=request.separator, encoding=request.encoding)
        for note in notes:
            print(f"note: {note}", file=sys.stderr)
        return found
    return predicting.predict_pictures(run, paths, as_is=request.as_is)


def _draw(run: "OpenedRun", found: Sequence["Prediction"], request: Request) -> None:
    """Draw the pictures that are asked for."""
    from dlcourse.training import predicting

    if "--preview" in request.drawn:
        _save(predicting.preview(run, found, as_is=request.as_is), "--preview", request)
    if "--picture" in request.drawn:
        _save(predicting.picture(run, found), "--picture", request)


def _request(words: list[str]) -> Request:
    """What the words ask for; raises ConfigError."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.error = flag_error("predict")  # type: ignore[assignment, method-assign]
    parser.add_argument("words", nargs="*")
    parser.add_argument("--top", default="3")
    parser.add_argument("--text", action="append", default=[])
    for flag in (*_DRAWN, "--encoding", "--separator"):
        parser.add_argument(flag)
    for flag in ("--json", "--csv", "--as-is"):
        parser.add_argument(flag, action="store_true")
    flags = list(parser._option_string_actions)
    for word in words:
        if word.startswith("--") and word != "--" and word.partition("=")[0] not in flags:
            raise ConfigError(f"unknown flag '{word}'{suggestion(word.partition('=')[0], flags)}")
    given = parser.parse_intermixed_args(words)
    if given.json and given.csv:
        raise ConfigError("--json and --csv are two forms of one answer; write one of them")
    values = vars(given)
    drawn = {flag: new_file(values[flag[2:]], flag, ".png") for flag in _DRAWN if values[flag[2:]]}
    if len(set(drawn.values())) < len(drawn):
        raise ConfigError(f"{' and '.join(_DRAWN)} name one file; give each its own")
    return Request(
        run=required_run(given.words[0] if given.words else None, "predict", ["FILE"]),
        files=tuple(given.words[1:]),
        texts=tuple(given.text),
        top=_top(given.top),
        form="json" if given.json else "csv" if given.csv else "people",
        as_is=given.as_is,
        encoding=given.encoding,
        separator=given.separator,
        drawn=drawn,
        flags=tuple(flag for flag in _FLAGS if values[flag[2:].replace("-", "_")]),
    )


def _top(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text) <= _MOST:
        return int(text)
    raise ConfigError(f"--top must be a whole number from 1 to {_MOST}, got '{text}'")


def kind_of(spec: "DataSpec") -> Kind:
    """What the run reads; raises ConfigError if no file here holds that."""
    if spec.is_image:
        return "pictures"
    if spec.is_tokens:
        return "text"
    if len(spec.input_shape) == 1:
        return "tables"
    shape = ", ".join(map(str, spec.input_shape))
    raise ConfigError(
        f"this run reads examples of shape ({shape}) of data '{spec.name}'; predict has pictures, tables and text"
    )


def _check(request: Request, kind: Kind) -> None:
    """Raise ConfigError for flags and files that mean nothing to a run of this kind, or if there is nothing to read."""
    for flag in request.flags:
        if kind not in _FLAGS[flag]:
            raise ConfigError(f"{flag} has no meaning for this run, which reads {kind}; write {_EXAMPLES[kind]}")
    if kind == "text" and request.files:
        raise ConfigError(f"'{request.files[0]}': this run reads text; write {_EXAMPLES[kind]}")
    if not request.files and not request.texts:
        missing = "--text" if kind == "text" else "FILE"
        raise ConfigError(f"{missing} is missing; write dlcourse predict {request.run} {_EXAMPLES[kind]}")


def existing(text: str, kind: Kind) -> Path:
    """The path of a file or a folder that a run of this kind can read, as far as that shows; raises ConfigError."""
    path = path_to_read(text, "")
    expected = "a picture, or a folder of pictures" if kind == "pictures" else "a CSV file"
    if not path.exists():
        raise ConfigError(f"'{text}' does not exist; expected {expected}")
    if kind == "tables" and path.is_dir():
        raise ConfigError(f"'{text}' is a folder; expected {expected}")
    return path


def _save(picture: "Picture", flag: str, request: Request) -> None:
    """Draw the picture into the file that the flag names."""
    from dlcourse.plots import to_image, to_png

    path = request.drawn[flag]
    write_named(path, flag, to_png(to_image(picture)))
    if request.form == "people":
        print(f"saved  {escaped(str(path), one_line=True)}")
