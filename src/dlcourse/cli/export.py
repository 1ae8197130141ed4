"""`dlcourse export RUN --to FORMAT`: the model of a finished run as a file that runs without dlcourse."""

import argparse
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from dlcourse.config.options import suggestion
from dlcourse.config.paths import path_to_read, user_path
from dlcourse.error_line import flag_error
from dlcourse.errors import ConfigError, DataError
from dlcourse.export.formats import FORMATS, Format, named_format
from dlcourse.runs.find import find_run, required_run
from dlcourse.runs.named_file import check_new
from dlcourse.runs.record import RunRecord, read_record
from dlcourse.runs.reopen import read_config
from dlcourse.terminal import escaped, print_help

HELP = """\
dlcourse export RUN --to FORMAT    the model of a finished run as a file that runs without dlcourse;
                                   RUN is a run folder, or one above (the newest run in it)
  --to onnx                        for ONNX Runtime, in many languages (pip install 'dlcourse[onnx]')
  --to torch-export                for PyTorch alone: torch.export.load
  --to safetensors                 the weights by name, for code of your own
  --to playground                  a page for the browser, without a network: draw a digit, or move a point
  --out FILE                       this file in place of ./NAME.onnx, ...; never over one that is there

For example:
  dlcourse export outputs/mnist-cnn --to onnx
  dlcourse export outputs/mnist-cnn --to playground --out digits.html

The file takes raw inputs (pixels from 0 to 1, tables as they are) in batches of
any size, and gives probabilities, or numbers in their units. Before it gets its
name, its answers to validation examples are compared with those of the run,
which stays as it is.
"""

_FLAGS = ("--to", "--out")
_LONGEST_NAME = 100


@dataclass(frozen=True)
class Request:
    """The run, the name of the format, and the file to write, if one is named."""

    run: str
    to: str
    out: str | None


def main(words: list[str]) -> int:
    """Export as the words behind `export` say; raises UserError."""
    if "--help" in words or "-h" in words:
        print_help(HELP)
        return 0
    request = _request(words)
    chosen = named_format(request.to)
    folder = find_run(request.run)
    _require_done(read_record(folder))
    path = _new_file(request.out, folder, read_config(folder).name, chosen)

    from dlcourse.cli.train import load_session

    load_session()
    from dlcourse.config.registry import Choice
    from dlcourse.export.exporting import export
    from dlcourse.training.opened import open_run

    checked = export(open_run(folder, Choice("cpu")), chosen, path)
    print(f"check  {checked}")
    print(f"saved  {'  '.join(escaped(str(file), one_line=True) for file in chosen.files(path))}")
    return 0


def _request(words: list[str]) -> Request:
    """What the words ask for; raises ConfigError."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.error = flag_error("export")  # type: ignore[assignment, method-assign]
    parser.add_argument("runs", nargs="*")
    for flag in _FLAGS:
        parser.add_argument(flag)
    for word in words:
        if word.startswith("--") and word != "--" and word.partition("=")[0] not in _FLAGS:
            raise ConfigError(f"unknown flag '{word}'{suggestion(word.partition('=')[0], _FLAGS)}")
    given = parser.parse_intermixed_args(words)
    example = f"--to {next(iter(FORMATS))}"
    run = required_run(given.runs[0] if given.runs else None, "export", [example])
    if len(given.runs) > 1:
        raise ConfigError(
            f"'{given.runs[1]}': export takes one RUN; write dlcourse export {shlex.quote(run)} {example}"
        )
    if given.to is None:
        raise ConfigError(
            f"--to is missing; write dlcourse export {shlex.quote(run)} {example}, or another of: {', '.join(FORMATS)}"
        )
    return Request(run, given.to, given.out)


def _require_done(record: RunRecord) -> None:
    """Raise ConfigError or DataError, each with what to type, for a run that has not ended well."""
    folder, resume = record.folder, f"dlcourse resume {shlex.quote(str(record.folder))}"
    if record.state == "damaged":
        raise DataError(f"cannot export {folder}: {record.reason}")
    if record.state == "running":
        raise ConfigError(f"{folder} is still running; wait for it, or see it with dlcourse tensorboard")
    if record.state == "failed":
        raise ConfigError(f"{folder} has failed ({record.reason}); export needs a finished run")
    if record.state != "done":
        raise ConfigError(f"{folder} is not finished; write {resume}")


def _new_file(out: str | None, folder: Path, name: str, chosen: Format) -> Path:
    """The file to write, which is not in the run folder and not there yet, nor those beside it; raises ConfigError."""
    if out is None:
        plain = re.sub(r"[^\w.,=+-]+", "_", name)[:_LONGEST_NAME].lstrip(".") or "model"
        path = Path(f"{plain}{chosen.suffix}")
    else:
        path_to_read(out, "--out")
        path = user_path(out, "--out")
        if path.suffix.lower() != chosen.suffix:
            raise ConfigError(f"--out {out} must end in {chosen.suffix}")
    if path.resolve().is_relative_to(folder.resolve()):
        raise ConfigError(f"{path} is in the run folder, which stays as it is; write --out ELSEWHERE/{path.name}")
    for file in chosen.files(path):
        if out is None and file.exists():
            raise ConfigError(f"{file} exists already; write --out FILE{chosen.suffix} for another name")
        check_new(file, "--out")
    return path
