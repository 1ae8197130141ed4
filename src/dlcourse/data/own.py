"""The user's own data kept in the data folder: copied in whole or not at all, with a record of what each file was."""

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlcourse.config.paths import default_root
from dlcourse.errors import ConfigError, DataError, OutputError
from dlcourse.files import create_file, make_folders, read_regular, sync_folder

RECORD = ".dlcourse.json"
KINDS = {"images": "folder", "csv": "file", "npz": "file", "text": "file"}
"""The data sets that read the user's own files, and the option that names them."""
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)
_MOST_BYTES = 1 << 30


@dataclass(frozen=True)
class OwnData:
    """Data that were added: their kind, a data set of KINDS, and the sha256 of each file by its path in `folder`.

    `words` are further options, as they are typed.
    """

    folder: Path
    kind: str
    words: tuple[str, ...]
    files: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def place(self) -> Path:
        """What the data set is told to read: the folder, or the one file in it."""
        return self.folder if KINDS[self.kind] == "folder" else self.folder / next(iter(self.files))


def own_root() -> Path:
    """The folder of all data that were added, one folder for each."""
    return default_root() / "own"


def added() -> dict[str, OwnData]:
    """All data that were added, by name; those with a damaged record are left out."""
    found = {}
    with contextlib.suppress(OSError):
        for folder in sorted(own_root().iterdir()):
            if _NAME.fullmatch(folder.name) and folder.is_dir():
                with contextlib.suppress(DataError):
                    found[folder.name] = read_own(folder)
    return found


def read_own(folder: Path) -> OwnData:
    """The record of data that were added; raises DataError."""
    try:
        record = json.loads(read_regular(folder / RECORD, _MOST_BYTES))
        kind, words, files = record["data"], record["words"], record["files"]
        if kind not in KINDS or not files or any(_is_foreign(word, kind) for word in words):
            raise ValueError
        if not all(isinstance(checksum, str) and _is_inside(name) for name, checksum in files.items()):
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise DataError(f"{folder / RECORD} is damaged; remove {folder} and add the data again") from None
    return OwnData(folder, kind, tuple(words), files)


def _is_foreign(word: str, kind: str) -> bool:
    """Whether a word sets no option of the data, or names other files."""
    key = word.partition("=")[0].lstrip("+~")
    return key == f"data.{KINDS[kind]}" or not key.startswith(("data.", "seed"))


def _is_inside(name: str) -> bool:
    path = Path(name)
    return not path.is_absolute() and ".." not in path.parts


def new_name(name: str, known: Sequence[str]) -> Path:
    """The folder for data of this name; raises ConfigError if it is no name, that of a data set, or taken."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"--as '{name}' must be a name of letters, digits, '_', '-' and '.', such as my_photos")
    if name.lower() in known:
        raise ConfigError(f"--as {name}: dlcourse has a data set of that name; choose another, such as my_{name}")
    folder = own_root() / name
    if os.path.lexists(folder):
        raise ConfigError(f"--as {name}: {folder} exists already; choose another name, or remove that folder first")
    return folder


@contextlib.contextmanager
def unfinished(folder: Path) -> Iterator[Path]:
    """A new folder that takes the name of `folder` when the block ends well, and is removed with all in it otherwise.

    Raises OutputError for what the system refuses.
    """
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        make_folders(folder.parent)
        shutil.rmtree(temporary, ignore_errors=True)  # of a process that was killed and had the same number
        temporary.mkdir()
        yield temporary
        if os.path.lexists(folder):
            raise ConfigError(f"{folder} was made in the meantime; choose another name")
        temporary.rename(folder)
        sync_folder(folder.parent)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(
            f"cannot write in {folder.parent}: {reason}; set the variable DLCOURSE_DATA to another folder"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def copied(files: Mapping[str, Path], folder: Path) -> dict[str, str]:
    """Copy each file to its path inside the folder; returns the sha256 of each. Raises DataError if one cannot be read."""
    sums = {}
    for name, source in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = source.open("rb")
        except OSError as error:
            raise DataError(f"cannot read {source}: {error.strerror}") from None
        with file, target.open("xb") as copy:
            shutil.copyfileobj(file, copy)
        sums[name] = sha256(target)
    return sums


def write_record(folder: Path, kind: str, words: Sequence[str], files: Mapping[str, str]) -> None:
    """Write the record into a folder that is not finished."""
    record = {"data": kind, "words": list(words), "files": dict(files)}
    content = json.dumps(record, indent=1).encode("ascii")  # names of files need not be UTF-8
    create_file(folder / RECORD, content + b"\n")


def differences(own: OwnData) -> dict[str, list[str]]:
    """The files that are `missing`, `changed` since they were added, or `new`; empty lists if all is as it was."""
    found: dict[str, list[str]] = {"missing": [], "changed": [], "new": []}
    for name, checksum in own.files.items():
        path = own.folder / name
        if not path.is_file():
            found["missing"].append(name)
        elif sha256(path) != checksum:
            found["changed"].append(name)
    present = sorted(str(path.relative_to(own.folder)) for path in own.folder.rglob("*") if path.is_file())
    found["new"] = [name for name in present if name not in own.files and name != RECORD]
    return found


def find_own(name: str) -> OwnData | None:
    """The data of this name, None if there are none; raises DataError if their record is damaged."""
    return read_own(own_root() / name) if _NAME.fullmatch(name) and (own_root() / name).is_dir() else None


def sha256(path: Path) -> str:
    """The checksum of a file; raises DataError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
