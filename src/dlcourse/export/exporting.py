"""From an opened run to new files, written and checked in a temporary folder first."""

import importlib
import tempfile
from pathlib import Path
from typing import Protocol, cast

from dlcourse.export.formats import Format
from dlcourse.export.labels import Outcome
from dlcourse.runs.folder import output_errors
from dlcourse.runs.named_file import write_named
from dlcourse.signals import Stop
from dlcourse.training.opened import OpenedRun


class Writer(Protocol):
    """What each format's module has."""

    def write(self, run: OpenedRun, path: Path) -> Outcome:
        """Write the file, read it again with its own reader and compare; raises UserError."""


def export(run: OpenedRun, chosen: Format, path: Path) -> str:
    """Write the file and those beside it; returns how it was checked. Raises UserError, and then there is no file.

    It is made in a temporary folder beside its place, so that no half-written or wrong file ever has its name. A signal
    removes that folder.
    """
    writer = cast(Writer, importlib.import_module(f"dlcourse.export.{chosen.module}"))
    with Stop(), output_errors(path), tempfile.TemporaryDirectory(prefix=".export-", dir=path.parent) as folder:
        unfinished = Path(folder) / path.name
        outcome = writer.write(run, unfinished)
        contents = [unfinished.read_bytes(), *(outcome.beside[ending] for ending in chosen.beside)]
    written: list[Path] = []
    try:
        for file, content in zip(chosen.files(path), contents, strict=True):
            write_named(file, "--out", content)
            written.append(file)
    except BaseException:
        for file in written:
            file.unlink(missing_ok=True)
        raise
    return outcome.checked
