"""Files of data sets: where they are, how they are fetched from mirrors, and the checks they pass before use."""

import hashlib
import stat
import sys
import time
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

from tqdm import tqdm

from dlcourse.config.paths import default_root, path_to_read
from dlcourse.data.dataset import ImageSource
from dlcourse.errors import DataError, MissingDataError
from dlcourse.files import whole_file
from dlcourse.terminal import unguarded

_CHUNK = 1 << 18  # bytes
_ROUNDS = 2
_TRANSIENT = {408, 425, 429}  # HTTP codes below 500 after which asking the same mirror again may help


class _MirrorError(Exception):
    """A mirror did not deliver; `final` when asking it again is of no use."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


@dataclass(frozen=True)
class Advice:
    """What to type if a file cannot be read or written, is not the published one, or cannot be downloaded."""

    elsewhere: str
    repacked: str
    offline: str


_DATA = Advice(
    elsewhere="write data.root=FOLDER for another folder",
    repacked="delete it to download it again, or write data.verify=false for a repacked copy",
    offline="for files that are already there write data.root=FOLDER, with data.verify=false if they are repacked",
)


@dataclass(frozen=True, kw_only=True)
class DataFiles(ABC):
    """Abstract: the options of a data set in files.

    `root` is the folder of data files, null for `$DLCOURSE_DATA` or else `~/.cache/dlcourse`. Missing files are
    downloaded if `download` allows; files with published checksums must match them unless `verify` is false.
    """

    root: str | None = None
    download: bool = True
    verify: bool = True

    @property
    def root_folder(self) -> Path:
        """The root folder, `~` expanded."""
        return default_root() if self.root is None else path_to_read(self.root, "data.root")

    @property
    @abstractmethod
    def is_here(self) -> bool:
        """Whether all files are there, or an archive that holds them, so that nothing needs to be downloaded."""

    def require_download(self, missing: str, folder: Path) -> None:
        """Raise MissingDataError, naming the missing file and its folder, unless downloading is allowed."""
        if not self.download:
            raise MissingDataError(
                f"{missing} is not in {folder}; write data.root=FOLDER for the folder that holds it, "
                "or data.download=true"
            )

    def ready(self, path: Path, urls: Sequence[str], checksum: str, missing: str = "") -> Path:
        """The file at this path, downloaded unless it is there, else checked; raises DataError.

        `missing` is what the user is told to be missing, if it is another file, inside this one.
        """
        if lies_there(path):
            check_file(path, checksum if self.verify else None)
        else:
            self.require_download(missing or path.name, path.parent)
            fetch(urls, path, checksum)
        return path


def lies_there(path: Path) -> bool:
    """Whether the folder has an entry of that name, a broken link included: it is to be reported, not written over."""
    return path.is_symlink() or path.exists()


def check_file(path: Path, checksum: str | None = None, *, advice: Advice = _DATA) -> None:
    """Raise DataError unless `path` is a regular file, and one with that checksum, such as `md5:0123...`, if given.

    Anything else, such as a pipe, could be read for ever. Of a checksum, the first digits may be given alone.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DataError(f"{path} is not a regular file; put the file there or {advice.elsewhere}")
        if checksum is None:
            return
        algorithm, expected = checksum.split(":")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; {advice.elsewhere}") from None
    if not found.startswith(expected):
        raise DataError(f"{path}: {algorithm} differs from the published one; {advice.repacked}")


def fetch(
    urls: Sequence[str],
    target: Path,
    checksum: str,
    *,
    timeout: float = 30.0,
    pause: float = 1.0,
    advice: Advice = _DATA,
) -> None:
    """Download the file that lies at each of the `urls` to `target`, which appears only whole and with its checksum.

    Mirrors are tried in order and once more after `pause` seconds, less those that refused; `timeout` is that of each
    read, in seconds. Raises DataError, MissingDataError if no mirror delivers.
    """
    failures: dict[str, _MirrorError] = {}
    try:
        for url in [*urls] * _ROUNDS:
            if url in failures:
                if failures[url].final:
                    continue
                time.sleep(pause)
            try:
                _download(url, target, checksum, timeout)
            except _MirrorError as error:
                failures[url] = error
            else:
                return
    except OSError as error:
        raise DataError(f"cannot write {target}: {error.strerror}; {advice.elsewhere}") from None
    reasons = ", ".join(f"{urlsplit(url).netloc}: {error}" for url, error in failures.items())
    raise MissingDataError(f"cannot download {target.name} ({reasons}); {advice.offline}")


def _download(url: str, target: Path, checksum: str, timeout: float) -> None:
    algorithm, expected = checksum.split(":")
    digest = hashlib.new(algorithm, usedforsecurity=False)
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target) as unfinished, unfinished.open("wb") as file:
        for chunk in _read(url, timeout):
            digest.update(chunk)
            file.write(chunk)
        if not digest.hexdigest().startswith(expected):
            raise _MirrorError(f"wrong {algorithm}")


def _read(url: str, timeout: float) -> Iterator[bytes]:
    """The bytes at `url`, with progress on stderr; all failures of the network are _MirrorError."""
    request = urllib.request.Request(url, headers={"User-Agent": "dlcourse"})  # noqa: S310 - our own https/http addresses
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:  # noqa: S310
            expected: int | None = response.length
            received = 0
            with _progress(url, expected) as progress:
                while chunk := response.read(_CHUNK):
                    received += len(chunk)
                    progress.update(len(chunk))
                    yield chunk
    except HTTPError as error:
        error.close()
        raise _MirrorError(f"HTTP {error.code}", final=error.code < 500 and error.code not in _TRANSIENT) from None
    except (OSError, HTTPException) as error:
        raise _MirrorError(one_line(error)) from None
    if expected is not None and received != expected:
        raise _MirrorError(f"stopped after {received} of {expected} bytes")


def _progress(url: str, total: int | None) -> "tqdm[Any]":
    """A bar on a terminal, otherwise one line and silence."""
    address = urlsplit(url)
    label = Path(address.path).name
    if not sys.stderr.isatty():
        print(f"downloading {label} from {address.netloc}", file=sys.stderr)
    file = unguarded(sys.stderr)
    return tqdm(total=total, desc=label, unit="B", unit_scale=True, file=file, disable=not file.isatty())


def one_line(error: Exception) -> str:
    """What an error of the libraries below says, on one line."""
    reason = getattr(error, "reason", error)  # a URLError wraps what happened
    return " ".join(str(getattr(reason, "strerror", None) or reason).split()) or type(error).__name__


@dataclass(frozen=True, kw_only=True)
class ImageFiles(DataFiles, ImageSource):
    """A data set of images in files."""
