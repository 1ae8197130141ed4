"""The images in a zip or tar archive, unpacked into a new folder: nothing is written outside it, nothing fills the disk."""

import errno
import gzip
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import IO, Any

from dlcourse.data.download import one_line
from dlcourse.data.image_folder import SUFFIXES
from dlcourse.errors import DataError

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
"""Names of archives end in one of these."""
MOST_BYTES = 32 << 30
"""Of all files of an archive together, unpacked."""
MOST_FILES = 1_000_000
"""Of files and folders together."""
_DEEPEST = 16
_FREE, _RATIO = 64 << 20, 100  # images hardly shrink: an archive that unpacks to more than both is made to fill a disk
_DAMAGE = (
    *(zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError),
    *(NotImplementedError, RuntimeError, ValueError, OverflowError),
)
_LONGEST_READ = 16 << 20
_OF_A_MAC = "__MACOSX"


class _Short:
    """A file of which nobody reads much at a time: tarfile takes a header of any size into memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        if size > _LONGEST_READ:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self._file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class _Tar(tarfile.TarFile):
    def __init__(self, name: Any = None, mode: Any = "r", fileobj: Any = None, **options: Any) -> None:
        super().__init__(name, mode, None if fileobj is None else _Short(fileobj), **options)


def is_archive(path: Path) -> bool:
    """Whether the name is that of an archive."""
    return path.name.lower().endswith(ENDINGS)


@dataclass(frozen=True)
class _Member:
    name: str
    size: int
    kind: str
    """`file`, `folder`, or what else it is."""


def unpack_images(archive: Path, folder: Path) -> tuple[Path, list[str]]:
    """Unpack the image files into the folder; returns that of the classes, and the names of what was left out.

    Raises DataError for an archive that is damaged or has anything in it but plain files and folders inside of it.
    """
    left_out: list[str] = []
    try:
        limit = min(MOST_BYTES, max(_FREE, _RATIO * archive.stat().st_size))
        seen: set[str] = set()
        total = 0
        for number, (member, content) in enumerate(_members(archive)):
            parts = _inside(archive, member)
            total += member.size
            if total > limit:
                raise DataError(
                    f"{archive} unpacks to more than {limit:,} bytes, far more than images do; unpack it yourself"
                )
            if number >= MOST_FILES:
                raise DataError(f"{archive} holds more than {MOST_FILES:,} files; unpack it yourself")
            if not parts or parts[0] == _OF_A_MAC:
                continue
            target = folder.joinpath(*parts)
            if member.kind == "folder":
                target.mkdir(parents=True, exist_ok=True)
                continue
            if (name := "/".join(parts)) in seen:
                raise DataError(f"{archive} has two files called {name}; make a new one")
            seen.add(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.suffix.lower() not in SUFFIXES or target.name.startswith("."):
                left_out.append(name)
            elif content is not None:
                with target.open("xb") as file:
                    _copy(content, file, member)
    except _DAMAGE as error:
        raise _damaged(archive, error) from None
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise DataError(f"{archive} has a file and a folder of the same name; make a new one") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise DataError(f"{archive} has a file name that is too long; make a new one") from None
        if error.errno is not None:
            raise
        raise _damaged(archive, error) from None  # bz2's
    return _top(folder), left_out


def _damaged(archive: Path, error: Exception) -> DataError:
    return DataError(f"{archive} is damaged ({one_line(error)}); make or download it again")


def _members(archive: Path) -> Iterator[tuple[_Member, IO[bytes] | None]]:
    """What is in the archive, each with what to read it from, if it is a file, before the next one is asked for."""
    try:
        with archive.open("rb"):
            pass
    except OSError as error:
        raise DataError(f"cannot read {archive}: {error.strerror}") from None
    if archive.name.lower().endswith(".zip"):
        with zipfile.ZipFile(archive) as content:
            for info in content.infolist():
                is_link = (info.external_attr >> 28) == 0xA
                kind = "folder" if info.is_dir() else "a link" if is_link else "file"
                member = _Member(info.filename, info.file_size, kind)
                if kind != "file":
                    yield member, None
                    continue
                with content.open(info) as file:
                    yield member, file
    else:
        with _Tar.open(archive, "r:*") as tar:
            for entry in tar:
                other = "a link" if entry.issym() or entry.islnk() else "not a regular file"
                kind = "folder" if entry.isdir() else "file" if entry.isreg() else other
                yield _Member(entry.name, entry.size, kind), tar.extractfile(entry) if kind == "file" else None


def _inside(archive: Path, member: _Member) -> tuple[str, ...]:
    """The parts of a member's path; raises DataError for what is not a plain file or folder inside the archive."""
    path = PureWindowsPath(member.name)  # which knows / and \\, and letters of drives
    if path.anchor or ".." in path.parts:
        raise DataError(
            f"{archive}: {member.name} points outside the archive and could overwrite your files; make a new one"
        )
    if member.kind not in ("file", "folder"):
        raise DataError(f"{archive}: {member.name} is {member.kind}; only regular files are unpacked, make a new one")
    if len(path.parts) > _DEEPEST:
        raise DataError(f"{archive} has folders more than {_DEEPEST} levels deep; unpack it yourself")
    return path.parts


def _copy(content: IO[bytes], file: IO[bytes], member: _Member) -> None:
    """Write the content, which must be as long as the archive says."""
    shutil.copyfileobj(content, file)
    if file.tell() != member.size:
        raise EOFError(f"{member.name} is cut off")


def _top(folder: Path) -> Path:
    """The folder that holds the folders of the classes: an archive often has one around them all."""
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    if len(entries) == 1 and entries[0].is_dir() and any(entry.is_dir() for entry in entries[0].iterdir()):
        return _top(entries[0])
    return folder
