"""Checkpoints: folders of files that appear by one rename, with a manifest that says what every byte must be.

A checkpoint is written and synced under another name, then renamed, then the names are synced: a crash, a kill or a power
cut at any call leaves the ones before it usable, and what `save` has reported stays. Reading takes the newest one whose
manifest holds, and says which were passed over. Nothing here knows what the files mean.
"""

import contextlib
import errno
import json
import os
import re
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlcourse.errors import ConfigError, DataError, OutputError
from dlcourse.files import FilePrefix, create_file, set_aside, sync_folder

FOLDER, MANIFEST = "checkpoints", "manifest.json"
FORMAT = 1

_NAME = re.compile(r"step-(\d{8,12})(?:\.(\d{1,6}))?")
_MAX_MANIFEST_BYTES = 2**20
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG)


class UnknownFormatError(ConfigError):
    """A checkpoint of a newer dlcourse than this one."""


@dataclass(frozen=True)
class Checkpoint:
    """One that was read and holds what its manifest says.

    `log` is the part of the run's log that belongs to it; the training is whole without it, should it have been lost.
    """

    path: Path
    step: int
    contents: dict[str, bytes]
    log: FilePrefix

    def json(self, name: str) -> dict[str, Any]:
        """The object in one of its JSON files; raises DataError."""
        try:
            content = json.loads(self.contents[name])
        except (KeyError, ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise DataError(f"{self.path / name} cannot be read")
        return content


@dataclass
class Checkpoints:
    """The checkpoints of a run, of which the newest `keep` are kept."""

    folder: Path
    keep: int = 2
    saved_step: int | None = field(default=None, init=False)
    """The step of the latest checkpoint that is safely on disk, or was read."""

    def save(self, step: int, contents: Mapping[str, bytes], log: FilePrefix, links: Mapping[str, Path]) -> int:
        """Write a checkpoint of these files, and of others that are `links` to files beside; returns its size in bytes.

        The log must be synced as far as `log` reaches. Raises OSError, which leaves the checkpoints before as they are.
        """
        self.folder.mkdir(exist_ok=True)
        if self.saved_step is None:  # the names of this folder and of the log may not have reached the disk yet
            sync_folder(self.folder.parent)
        path = self._free_place(step)
        unfinished = self.folder / f".{path.name}.{os.getpid()}.part"
        self._clear()
        try:
            unfinished.mkdir()
            prefixes = {name: FilePrefix.of(content) for name, content in contents.items()}
            for name, content in contents.items():
                create_file(unfinished / name, content)
            for name, original in links.items():
                prefixes[name] = FilePrefix.of(_link(original, unfinished / name))
            create_file(unfinished / MANIFEST, _manifest(step, prefixes, log))
            sync_folder(unfinished)
            unfinished.rename(path)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        sync_folder(self.folder)
        self.saved_step = step
        self._prune()
        return sum(prefix.size for prefix in prefixes.values())

    def exist(self) -> bool:
        """Whether there is any, good or damaged."""
        return bool(self._places())

    def newest(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest checkpoint that is whole, if there is one, and a line about each newer one that is not.

        Raises OutputError if the system does not let one be read, and UnknownFormatError for one of a newer dlcourse:
        nothing says that those are damaged.
        """
        damaged = []
        for place in reversed(self._places()):
            try:
                checkpoint = _read(place)
            except DataError as error:
                damaged.append(f"checkpoint {place.name} is damaged: {error}")
            else:
                self.saved_step = checkpoint.step
                return checkpoint, damaged
        return None, damaged

    def set_aside_newer(self, checkpoint: Checkpoint | None) -> None:
        """Rename what is newer than this one, so that it no longer counts: it was found damaged."""
        for place in self._places():
            if checkpoint is None or _order(place.name) > _order(checkpoint.path.name):
                set_aside(place)

    def _places(self) -> list[Path]:
        """The folders of checkpoints, oldest first."""
        if not self.folder.is_dir():
            return []
        found = [entry for entry in self.folder.iterdir() if _NAME.fullmatch(entry.name)]
        return sorted(found, key=lambda entry: _order(entry.name))

    def _free_place(self, step: int) -> Path:
        """`step-00000042`; with `.1`, `.2`, ... where a step has several, as before and after an evaluation."""
        name = f"step-{step:08d}"
        taken = [_order(entry.name)[1] for entry in self._places() if _order(entry.name)[0] == step]
        return self.folder / (f"{name}.{max(taken) + 1}" if taken else name)

    def _prune(self) -> None:
        """Remove all but the newest."""
        for place in self._places()[: -self.keep]:
            _remove(place, self.folder / f".{place.name}.{os.getpid()}.old")

    def _clear(self) -> None:
        """Remove what interrupted writers left."""
        for entry in self.folder.iterdir():
            if entry.name.startswith(".step-"):
                shutil.rmtree(entry, ignore_errors=True)


def _order(name: str) -> tuple[int, int]:
    match = _NAME.fullmatch(name)
    assert match is not None
    return int(match[1]), int(match[2] or 0)


def _remove(place: Path, aside: Path) -> None:
    """Take a checkpoint away: under another name first, so that a half removed one is never taken for a damaged one."""
    place.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def _link(original: Path, copy: Path) -> bytes:
    """A second name for a file that is never written again, only replaced; a copy if links cannot be made."""
    content = original.read_bytes()
    try:
        os.link(original, copy)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            copy.unlink()
        create_file(copy, content)
    return content


def _manifest(step: int, files: Mapping[str, FilePrefix], log: FilePrefix) -> bytes:
    content = {
        "format": FORMAT,
        "step": step,
        "files": {name: vars(prefix) for name, prefix in files.items()},
        "log": vars(log),
    }
    return (json.dumps(content, indent=1) + "\n").encode()


def _read(place: Path) -> Checkpoint:
    """A checkpoint whose manifest holds to the last byte; raises DataError."""
    manifest = _read_manifest(place)
    try:
        step = int(manifest["step"])
        prefixes = {str(name): FilePrefix(**prefix) for name, prefix in manifest["files"].items()}
        log_prefix = FilePrefix(**manifest["log"])
        is_canonical = _manifest(step, prefixes, log_prefix) == (place / MANIFEST).read_bytes()
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, OSError):
        is_canonical = False
    if not is_canonical or step != _order(place.name)[0]:
        raise DataError(f"{MANIFEST} is not as dlcourse wrote it")
    contents = {}
    for name, prefix in prefixes.items():
        if Path(name).name != name:
            raise DataError(f"{MANIFEST} names a file outside")
        contents[name] = _read_prefix(place / name, prefix)
    return Checkpoint(place, step, contents, log_prefix)


def _read_manifest(place: Path) -> Any:
    path = place / MANIFEST
    try:
        status = path.stat(follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_MANIFEST_BYTES:
            raise DataError(f"{MANIFEST} is not a file of dlcourse")
        manifest = json.loads(path.read_bytes())
    except OSError as error:
        raise _unreadable(path, error) from None
    except (ValueError, RecursionError):
        raise DataError(f"{MANIFEST} cannot be read") from None
    if not isinstance(manifest, dict):
        raise DataError(f"{MANIFEST} cannot be read")
    if isinstance(manifest.get("format"), int) and manifest["format"] > FORMAT:
        raise UnknownFormatError(
            f"{place} has format {manifest['format']!s:.12} of a newer dlcourse, this one reads {FORMAT}; update dlcourse"
        )
    return manifest


def _unreadable(path: Path, error: OSError) -> Exception:
    """A file that is not there is damage; one that the system refuses may well be whole."""
    reason = (error.strerror or str(error)).lower()
    if error.errno in _NOT_THERE:
        return DataError(f"{path.name}: {reason}")
    return OutputError(f"cannot read {path}: {reason}")


def _read_prefix(path: Path, prefix: FilePrefix) -> bytes:
    """The content of a file, checked against size and sha256; raises DataError."""
    try:
        status = path.stat(follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{path.name} is not a regular file")
        if status.st_size != prefix.size:
            raise DataError(f"{path.name} has {status.st_size} bytes, expected {prefix.size}")
        with path.open("rb") as file:
            content = file.read(prefix.size)
    except OSError as error:
        raise _unreadable(path, error) from None
    except ValueError:
        raise DataError(f"{path.name!r} is not the name of a file") from None
    if FilePrefix.of(content) != prefix:
        raise DataError(f"sha256 mismatch: {path.name}")
    return content
