"""Files that appear under their name whole or not at all, and that survive a crash or a power cut once they are said to.

Every call that a durable write makes is one of `os`, so that tests can make each of them fail.
"""

import contextlib
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from dlcourse.errors import DataError

_BINARY = getattr(os, "O_BINARY", 0)  # Windows
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY
_WAIT_FOR_NOBODY = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY  # opening a pipe waits for its writer without
_NOT_OURS = "{path} is not a file of dlcourse: it is too large, or not a regular file"


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """The path of a temporary file beside `path` to write to; it takes that name when the block ends well.

    If the block raises, nothing is left behind and a file that was there before stays as it was.
    """
    unfinished = _beside(path)
    unfinished.unlink(missing_ok=True)  # a stranger's folder may hold a link of that name
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_durably(path: Path, content: bytes) -> None:
    """Put the content in place of whatever is at `path`; after this returns, not even a power cut takes it away."""
    unfinished = _beside(path)
    unfinished.unlink(missing_ok=True)  # left by a process that was killed and had the same number
    try:
        create_file(unfinished, content)
        unfinished.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise
    sync_folder(path.parent)


def write_new(path: Path, content: bytes) -> None:
    """Write a file under a name that nobody had, and durably; raises FileExistsError, and then changes nothing.

    Of several writers, on this machine or another, exactly one gets the name, under which the file is whole at once.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(8)}.part")
    try:
        create_file(unfinished, content)
        _claim(unfinished, path)
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()
    sync_folder(path.parent)


def _claim(unfinished: Path, path: Path) -> None:
    """Give a file a name if it is free. Without hard links an empty file holds the name for a moment."""
    try:
        os.link(unfinished, path)
    except FileExistsError:
        raise
    except OSError:  # FAT and some network file systems have no links
        os.close(os.open(path, _NEW_FILE, 0o666))
        unfinished.replace(path)


def set_aside(path: Path) -> Path:
    """Rename what is at `path` to `damaged-NAME`, or `damaged-NAME-2` and so on, and return that: nothing is overwritten."""
    aside, number = path.with_name(f"damaged-{path.name}"), 1
    while os.path.lexists(aside):
        number += 1
        aside = path.with_name(f"damaged-{path.name}-{number}")
    path.rename(aside)
    return aside


def create_file(path: Path, content: bytes) -> None:
    """Write a file that was not there, down to the disk; its name is safe only after `sync_folder`."""
    descriptor = os.open(path, _NEW_FILE, 0o666)
    try:
        write_all(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, content: bytes) -> None:
    """Write everything, however little the system takes at a time."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def make_folders(path: Path) -> None:
    """Make a folder, and those above that are missing; after this returns their names are durable."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: files that were made, renamed or removed there."""
    if os.name == "nt":  # Windows has no such call: renames are journalled
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_regular(path: Path, most: int) -> bytes:
    """The content of a regular file of at most so many bytes; raises DataError, and waits for no pipe."""
    with _regular(path) as (file, size):
        if size > most:
            raise DataError(_NOT_OURS.format(path=path))
        return file.read()


def read_end(path: Path, most: int) -> bytes:
    """The last `most` bytes of a regular file, or all of a smaller one; raises DataError, and waits for no pipe."""
    with _regular(path) as (file, size):
        file.seek(max(0, size - most))
        return file.read(most)


@contextlib.contextmanager
def _regular(path: Path) -> Iterator[tuple[IO[bytes], int]]:
    """A regular file to read, and its size; raises DataError for any other, and for what the system refuses."""
    try:
        descriptor = os.open(path, _WAIT_FOR_NOBODY)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise DataError(_NOT_OURS.format(path=path))
            with open(descriptor, "rb", closefd=False) as file:
                yield file, status.st_size
        finally:
            os.close(descriptor)
    except OSError as error:
        raise DataError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.part")


@dataclass(frozen=True)
class FilePrefix:
    """The beginning of a file that is still growing: how many bytes of it, and their sha256."""

    size: int
    sha256: str

    def __post_init__(self) -> None:
        if type(self.size) is not int or self.size < 0 or type(self.sha256) is not str:
            raise ValueError

    @classmethod
    def of(cls, content: bytes) -> "FilePrefix":
        return cls(len(content), hashlib.sha256(content).hexdigest())
