"""What a page reads from a run's folder, which may be a stranger's: regular files in it of limited sizes, and no links."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dlcourse.files import read_regular
from dlcourse.runs.folder import RunFolder

PROGRESS = "progress"
_MAX_TEXT_BYTES = 4 * 2**20
_ON_THE_WAY = re.compile(r"(?P<name>[a-z0-9_]{1,64})_(?P<epoch>[0-9]{4,9})\.(?P<ending>png|txt)")


@dataclass(frozen=True)
class Progress:
    """A picture or a text that a run has left in an epoch."""

    name: str
    epoch: int
    path: Path


def refuse_links(folder: Path) -> None:
    """Raise ConfigError if the folder or its `progress` holds a link, a pipe or a device: nothing is read through them."""
    RunFolder(folder).refuse_what_is_not_ours()
    if (folder / PROGRESS).is_dir():
        RunFolder(folder / PROGRESS).refuse_what_is_not_ours()


def read_text(path: Path) -> str:
    """The text of a file, empty if there is none; raises DataError for one that is too large or cannot be read."""
    if not path.exists():
        return ""
    return read_regular(path, _MAX_TEXT_BYTES).decode(errors="replace")


def png_names(folder: Path) -> list[str]:
    """The names of the pictures in a folder, in alphabetical order."""
    return sorted(path.name for path in folder.glob("*.png") if not path.name.startswith("."))


def text_names(folder: Path, other_than: Iterable[str]) -> list[str]:
    """The names of the texts in a folder, less those that every run has."""
    return sorted({path.name for path in folder.glob("*.txt") if not path.name.startswith(".")} - set(other_than))


def progress(folder: Path, ending: str) -> list[Progress]:
    """The files that a run has left on the way, by name and epoch; any other that is there is no file of a run."""
    found = []
    for path in (folder / PROGRESS).glob(f"*.{ending}"):
        if match := _ON_THE_WAY.fullmatch(path.name):
            found.append(Progress(match["name"], int(match["epoch"]), path))
    return sorted(found, key=lambda each: (each.name, each.epoch))
