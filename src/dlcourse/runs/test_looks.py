"""The ledger test_looks.jsonl: a line each time a test set is read, because a number that was chosen by it is too good."""

import contextlib
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from dlcourse.config.paths import user_path
from dlcourse.config.run_config import FolderConfig
from dlcourse.errors import DataError
from dlcourse.files import make_folders, read_regular, sync_folder, write_all
from dlcourse.runs.folder import output_errors

LEDGER = "test_looks.jsonl"

_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
_MAX_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Look:
    """One reading of a test set: of which data, its checksum, by which verb and for which run folder."""

    data: str
    test: str
    examples: int
    by: str
    run: str


def ledger(root: str) -> Path:
    """The ledger of all runs below this root."""
    return user_path(root, "run.root") / LEDGER


def root_above(run: Path, root: str) -> str:
    """The root that a run's config names if the run lies below it, else `outputs`.

    The config of a stranger's run that is resumed may name any folder, and nothing is to be written there.
    """
    return root if user_path(root, "run.root").resolve() in run.resolve().parents else FolderConfig.root


def record_look(look: Look, root: str = FolderConfig.root) -> int:
    """Add a line; returns how often this test set has been read by now, this time included. Raises OutputError.

    A line is written by one call in append mode, so that runs side by side lose none.
    """
    path = ledger(root)
    when = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    line = json.dumps({"time": when, **asdict(look)}, ensure_ascii=False) + "\n"
    with output_errors(path):
        is_new = not path.exists()
        make_folders(path.parent)
        descriptor = os.open(path, _APPEND, 0o666)
        try:
            write_all(descriptor, line.encode())
        finally:
            os.close(descriptor)
        if is_new:
            sync_folder(path.parent)
    return count_looks(look.test, root)


def count_looks(test: str, root: str = FolderConfig.root) -> int:
    """How often the test set of this checksum has been read; 0 without a ledger that can be read."""
    try:
        lines = read_regular(ledger(root), _MAX_BYTES).splitlines()
    except DataError:
        return 0
    return sum(_test_of(line) == test for line in lines)


def _test_of(line: bytes) -> str | None:
    """The checksum that a line of the ledger names; None for a damaged line."""
    with contextlib.suppress(ValueError, RecursionError):
        content = json.loads(line)
        if isinstance(content, dict):
            test = content.get("test")
            return test if isinstance(test, str) else None
    return None


def times(count: int) -> str:
    """`once`, `twice`, `3 times`."""
    return {1: "once", 2: "twice"}.get(count, f"{count:,} times")
