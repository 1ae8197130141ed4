"""`dlcourse export RUN --to FORMAT`: the model of a finished run as a file that runs without dlcourse."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from dlcourse.cli.run_words import read_words, require_done
from dlcourse.errors import ConfigError
from dlcourse.export.formats import FORMATS, Format, named_format
from dlcourse.runs.find import find_run
from dlcourse.runs.named_file import check_new, new_file
from dlcourse.runs.record import read_record
from dlcourse.runs.reopen import read_config
from dlcourse.terminal import escaped, print_help

HELP = """\
dlcourse export RUN --to FORMAT    the model of a finished run as a file that runs without dlcourse;
                                   RUN is a run folder, or one above (the newest run in it)
  --to onnx                        for ONNX Runtime, in many languages (pip install 'dlcourse[onnx]')
  --to torch-export                for PyTorch alone: torch.export.load
  --to safetensors                 the weights by name, for code of your own
  --to playground                  a page that runs in the browser, offline: draw a digit, or move a point
  --out FILE                       the file to write, a new one; by default ./NAME.onnx, ...

For example:
  dlcourse export outputs/mnist-cnn --to onnx
  dlcourse export outputs/mnist-cnn --to playground --out digits.html

The file takes raw inputs (pixels from 0 to 1, tables as they are) in batches of
any size, and gives probabilities, or numbers in their units. Its answers to
validation examples are compared with those of the run before it is saved. The
run is not changed.
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
    require_done(read_record(folder), "export")
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
    example = f"--to {next(iter(FORMATS))}"
    given = read_words("export", words, _FLAGS, example)
    if given.to is None:
        command = f"dlcourse export {shlex.quote(given.run)} {example}"
        raise ConfigError(f"--to is missing; write {command}, or another of: {', '.join(FORMATS)}")
    return Request(given.run, given.to, given.out)


def _new_file(out: str | None, folder: Path, name: str, chosen: Format) -> Path:
    """The file to write, which is not in the run folder and not there yet, nor those beside it; raises ConfigError."""
    if out is None:
        plain = re.sub(r"[^\w.,=+-]+", "_", name)[:_LONGEST_NAME].lstrip(".") or "model"
        path = Path(f"{plain}{chosen.suffix}")
    else:
        path = new_file(out, "--out", chosen.suffix)
    if path.resolve().is_relative_to(folder.resolve()):
        raise ConfigError(f"{path} is in the run folder, which stays as it is; write --out ELSEWHERE/{path.name}")
    for file in chosen.files(path):
        if out is None and file.exists():
            raise ConfigError(f"{file} exists already; write --out FILE{chosen.suffix} for another name")
        check_new(file, "--out")
    return path
