"""From an opened run to files under names that nobody had: written and checked elsewhere first."""

import importlib
import tempfile
from pathlib import Path
from typing import Protocol, cast

from dlcourse.export.formats import Format
from dlcourse.export.labels import Outcome
from dlcourse.runs.folder import output_errors
from dlcourse.runs.named_file import write_named
from dlcourse.training.opened import OpenedRun


class Writer(Protocol):
    """What each format's module has."""

    def write(self, run: OpenedRun, path: Path) -> Outcome:
        """Write the file, read it again with its own reader and compare; raises UserError."""


def export(run: OpenedRun, chosen: Format, path: Path) -> str:
    """Write the file and those beside it; returns how it was checked. Raises UserError, and then there is no file.

    It is made in a folder beside its place, so that a file that is there is a whole one that gives the run's answers.
    """
    writer = cast(Writer, importlib.import_module(f"dlcourse.export.{chosen.module}"))
    with output_errors(path), tempfile.TemporaryDirectory(prefix=".export-", dir=path.parent) as folder:
        unfinished = Path(folder) / path.name
        outcome = writer.write(run, unfinished)
        contents = [unfinished.read_bytes(), *(outcome.beside[ending] for ending in chosen.beside)]
    for file, content in zip(chosen.files(path), contents, strict=True):
        write_named(file, "--out", content)
    return outcome.checked
