"""`dlcourse tensorboard [RUN ...]`: TensorBoard on this machine, with every picture and number of the runs."""

import argparse
import contextlib
import io
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from dlcourse.config.options import Range, convert, suggestion
from dlcourse.config.run_config import FolderConfig
from dlcourse.console import Console
from dlcourse.error_line import flag_error
from dlcourse.errors import ConfigError, OutputError
from dlcourse.runs.find import runs_below
from dlcourse.runs.folder import RunFolder, folder_of_runs
from dlcourse.signals import Stop
from dlcourse.terminal import print_help
from dlcourse.text_table import counted

HELP = """\
dlcourse tensorboard [RUN ...]  TensorBoard at 127.0.0.1, until Ctrl-C; RUN is a run, a sweep or a folder of runs (outputs)
  --port N                      this port; without it 6006, or the next that is free; 0: any that is free

For example:
  dlcourse tensorboard outputs/mnist-mlp outputs/mnist-cnn
"""

_HOST = "127.0.0.1"
_SAMPLES = dict.fromkeys(("scalars", "images", "text"), 1_000_000)
"""All of a tag; by itself TensorBoard keeps 10 pictures and 1,000 numbers. With 0 it keeps all and shows none."""
_FLAGS = ("--port",)
_AN_HOUR = 3600
_MOST_DIGITS = 5


def main(words: list[str]) -> int:
    """Show what the words behind `tensorboard` name, until a signal ends it; raises UserError and StoppedError."""
    if "--help" in words or "-h" in words:
        print_help(HELP)
        return 0
    names, port = _parse(words)
    folders = [_folder(name) for name in names] or [_folder(FolderConfig.root)]
    runs = {run.resolve() for folder in folders for run, _ in runs_below(folder)}
    for run in runs:
        _refuse_links(run)
    with Stop(), _one_folder(folders) as folder:
        address = serve(folder, port)
        Console().show("board", f"{address}   {counted(len(runs), 'run')} in {' '.join(map(str, folders))}")
        Console().say("", "Ctrl-C ends it")
        while True:
            time.sleep(_AN_HOUR)  # a signal ends it


def _parse(words: list[str]) -> tuple[list[str], int | None]:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.error = flag_error("tensorboard")  # type: ignore[assignment, method-assign]
    parser.add_argument("runs", nargs="*")
    parser.add_argument("--port")
    for word in words:
        if word.startswith("-") and word.partition("=")[0] not in _FLAGS:
            raise ConfigError(f"unknown flag '{word}'{suggestion(word.partition('=')[0], _FLAGS)}")
    options = parser.parse_intermixed_args(words)
    return options.runs, None if options.port is None else _port(options.port)


def _port(text: str) -> int:
    value: Any = int(text) if text.isdecimal() and len(text) <= _MOST_DIGITS else text
    return int(convert(value, Annotated[int, Range(ge=0, le=65535)], "--port"))


def _folder(text: str) -> Path:
    """The folder that `text` names, in which there is a run at least; raises ConfigError."""
    folder = folder_of_runs(text)
    if next(runs_below(folder), None) is None:
        raise ConfigError(
            f"'{text}' is not the folder of a run, and has none in it; dlcourse train leaves one in outputs"
        )
    return folder


def _refuse_links(run: Path) -> None:
    """Raise ConfigError if a run, which may be a stranger's, holds a link, which TensorBoard would follow, or a pipe."""
    for folder, _, _ in os.walk(run):
        RunFolder(Path(folder)).refuse_what_is_not_ours()


@contextlib.contextmanager
def _one_folder(folders: Sequence[Path]) -> Iterator[Path]:
    """The folder itself, or a temporary one with a link to each; TensorBoard calls a run by its path in there.

    A link is called by the path of its folder from the nearest folder above all of them; a single run by the last two parts.
    """
    paths = _outermost([folder.resolve() for folder in folders])
    is_run = any(run == paths[0] for run, _ in runs_below(paths[0]))
    if len(paths) == 1 and not is_run:
        yield paths[0]
        return
    above = Path(os.path.commonpath([path.parent for path in paths]))
    above = above.parent if len(paths) == 1 else above
    with tempfile.TemporaryDirectory(prefix="dlcourse-tensorboard-") as links:
        for path in paths:
            link = Path(links) / path.relative_to(above)
            link.parent.mkdir(parents=True, exist_ok=True)
            try:
                link.symlink_to(path, target_is_directory=True)
            except OSError as error:
                raise OutputError(
                    f"cannot make a link to {path}: {str(error.strerror).lower()}; name a single folder of runs"
                ) from error
        yield Path(links)


def _outermost(paths: Sequence[Path]) -> list[Path]:
    """Each folder once, without those that are in another one."""
    unique = dict.fromkeys(paths)
    return [path for path in unique if not any(other in path.parents for other in unique)]


def serve(folder: Path, port: int | None) -> str:
    """Start TensorBoard in a thread of this process; returns its address. Raises ConfigError if it cannot have the port."""
    from tensorboard import default, program  # takes a second

    with contextlib.redirect_stderr(io.StringIO()):  # a note on how its data are loaded
        board = program.TensorBoard(plugins=default.get_static_plugins())
        board.configure(logdir=str(folder), host=_HOST, port=port, samples_per_plugin=_SAMPLES, window_title="dlcourse")
        try:
            return str(board.launch())
        except program.TensorBoardServerException as error:
            hint = "; leave --port out for the next that is free" if port else ""
            raise ConfigError(f"{error.msg}{hint}") from None
