"""The run folder: how it is made, what is where, and how files get there whole."""

import contextlib
import csv
import errno
import hashlib
import io
import json
import os
import platform
import secrets
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

from safetensors import SafetensorError, safe_open

from dlcourse.config.options import hint
from dlcourse.config.paths import named, path_to_read, user_path
from dlcourse.config.run_config import FolderConfig
from dlcourse.errors import ConfigError, OutputError
from dlcourse.files import make_folders, sync_folder, whole_file, write_durably

WEIGHTS, SPEC, CONFIG = "weights.safetensors", "spec.json", "config.yaml"
STATUS, STATE, OVERRIDES = "run.json", "state.json", "overrides.yaml"
LOCK, ERROR, SWEEP, ENVIRONMENT = ".lock", "error.txt", "sweep.json", "environment.json"
DEBUG = "debug"
"""The folder below `run.root` in which debug runs lie."""
_APPEND = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)  # no link out of a stranger's folder
_TO_LOOK = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_TRIES, _BETWEEN_TRIES = 10, 0.02  # seconds: whoever only looks at a lock holds it for some microseconds
_VOUCHED_FOR = (CONFIG, SPEC)
"""The files from which a run is opened again, whose sha256 run.json holds."""


class RunFolder:
    """A folder that belongs to one run alone.

    config.yaml, overrides.yaml, environment.json: how to do it again. run.json: how it went. metrics.jsonl: every number
    logged. weights.safetensors: the kept weights. checkpoints/: what a run is resumed from. spec.json: what the data
    set announced. report.txt, report.json and pictures: what it reached. progress/: pictures and texts of each evaluation.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sums: dict[str, str] = {}
        self._owner = ""  # what the lock says while it is ours: no other says the same
        self._locked: int | None = None

    @classmethod
    def create(cls, where: FolderConfig, name: str) -> "RunFolder":
        """A new folder, never one that is there already: `<root>/<name>/<time>-<4 hex>`, or exactly `dir`.

        Raises ConfigError if `dir` exists, OutputError if the system refuses.
        """
        if where.dir is not None:
            path = user_path(where.dir, "run.dir")
            with output_errors(path):
                make_folders(path.parent)
                try:
                    path.mkdir()
                    sync_folder(path.parent)
                except FileExistsError:
                    raise ConfigError(
                        f"run.dir={where.dir} exists already; write run.dir=FOLDER for a new one"
                    ) from None
            return cls(path)
        return cls(claim_folder(user_path(where.root, "run.root") / name))

    @contextlib.contextmanager
    def locked(self) -> Iterator["RunFolder"]:
        """Be the only one to write in this folder, which it gives; raises ConfigError if another process already is.

        The kernel frees the lock when the process ends, however it ends. What the file says is for people.
        """
        self.refuse_what_is_not_ours()
        with contextlib.ExitStack() as stack:
            with output_errors(self.path):
                file = stack.enter_context(os.fdopen(os.open(self / LOCK, _APPEND, 0o666), "a+", encoding="utf-8"))
                self._lock(file)
                self._locked = file.fileno()
            try:
                yield self
            finally:
                self._owner, self._locked = "", None

    def leave_lock_to_parent(self) -> None:
        """In a forked process: have no part in the lock, which would last until this process ends as well."""
        if self._locked is not None:
            os.close(self._locked)

    def _lock(self, file: IO[str]) -> None:
        if fcntl is not None:
            try:
                _take(file.fileno())
            except BlockingIOError:
                file.seek(0)
                owner = " ".join(file.read(200).split()) or "another process"
                raise ConfigError(f"{self.path} is in use by {owner}; wait for it, or stop it first") from None
        file.truncate(0)
        self._owner = f"process {os.getpid()} on {platform.node()} since {datetime.now():%Y-%m-%d %H:%M:%S.%f}\n"
        file.write(self._owner)
        file.flush()

    def tidy(self) -> None:
        """Remove what writers left that were killed in the middle of a file, and what an earlier defect had to say."""
        for unfinished in (*self.path.glob(".*.part"), *self.path.glob("progress/.*.part")):
            unfinished.unlink()
        (self / ERROR).unlink(missing_ok=True)

    def refuse_what_is_not_ours(self) -> None:
        """Raise ConfigError if a folder that may be a stranger's holds what leads elsewhere, or what a reader waits for."""
        with output_errors(self.path):
            for entry in self.path.iterdir():
                if entry.is_symlink():
                    raise ConfigError(f"{entry} is a link, which dlcourse does not make; put there what it leads to")
                if entry.exists() and not entry.is_file() and not entry.is_dir():
                    raise ConfigError(f"{entry} is a pipe or a device, which dlcourse does not make; remove it")

    def require_in_place(self) -> None:
        """Raise OutputError if the locked folder is gone, or another one has its name: nothing may be written there."""
        try:
            owner = (self / LOCK).read_text(encoding="utf-8") if self._owner else ""
        except (OSError, ValueError):
            owner = None  # gone, or another's
        if owner != self._owner:
            raise OutputError(
                f"the run folder {self.path} was removed, moved or replaced while this run was using it; if it was moved, "
                "resume it with dlcourse resume NEW_PLACE"
            )

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def write_status(self, status: str, /, **facts: object) -> None:
        """Write run.json: how it goes, and what the files from which it is opened again must be.

        The weights are among them, by the checksum in them, once they do not change any more.
        """
        sums = {name: self._sums[name] for name in _VOUCHED_FOR if name in self._sums}
        if status != "running" and (self / WEIGHTS).is_file():
            facts["weights"] = _checksum_in(self / WEIGHTS)
        self.write_json(STATUS, {"status": status, **facts, "files": sums})

    def write_json(self, name: str, content: object) -> None:
        """Write a JSON file, whole or not at all."""
        self.write_text(name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Write a text file, whole or not at all; what the run is opened by again, down to the disk."""
        self.require_in_place()
        content = text.encode()
        if name in (STATUS, *_VOUCHED_FOR):
            write_durably(self / name, content)
            self._sums[name] = hashlib.sha256(content).hexdigest()
        else:
            with whole_file(self / name) as unfinished:
                unfinished.write_bytes(content)

    def write_table(self, name: str, rows: list[list[object]]) -> None:
        """Write a CSV file, whole or not at all."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        self.write_text(name, text.getvalue())


def is_in_use(folder: Path) -> bool:
    """Whether a process works on the run in a folder; if that cannot be found out, it may.

    A shared lock is asked for, and freed at once: a run that holds its lock does not notice, one that begins tries again.
    """
    if fcntl is None:
        return True
    try:
        descriptor = os.open(folder / LOCK, _TO_LOOK)
    except OSError as error:
        return error.errno != errno.ENOENT
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _take(descriptor: int) -> None:
    """Lock a file against all others; raises BlockingIOError if another process keeps it locked."""
    for _ in range(_TRIES - 1):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(_BETWEEN_TRIES)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _checksum_in(weights: Path) -> str:
    """The checksum that the file states of itself; empty if it was damaged meanwhile."""
    try:
        with safe_open(weights, "numpy") as file:
            return str((file.metadata() or {}).get("sha256", ""))
    except (OSError, SafetensorError):
        return ""


def folder_of_runs(text: str, option: str = "") -> Path:
    """The folder that `text` names: of a run, or one above; raises ConfigError if there is none."""
    path = path_to_read(text, option)
    if not path.is_dir():
        problem = "is not a folder" if path.exists() else "does not exist"
        meant = _meant(path) or "; expected the folder of a run, such as outputs/mnist-cnn"
        raise ConfigError(f"{named(text, option)} {problem}{meant}")
    return path


def _meant(path: Path) -> str:
    """`; did you mean 'outputs/digits-mlp'?`: the folder of a similar name beside this path or in outputs; may be empty."""
    for parent in (path.parent, Path(FolderConfig.root)):
        with contextlib.suppress(OSError):
            folders = sorted(folder.name for folder in parent.iterdir() if folder.is_dir())
            if meant := hint(path.name, folders, f"{parent}/" if parent.name else ""):
                return meant
    return ""


def claim_folder(parent: Path) -> Path:
    """A new folder in `parent`, named after the time: `2026-11-21_101500-3f2a`; no two callers get the same.

    Raises OutputError if the system refuses.
    """
    with output_errors(parent):
        make_folders(parent)
        while True:
            path = parent / f"{datetime.now():%Y-%m-%d_%H%M%S}-{secrets.token_hex(2)}"
            with contextlib.suppress(FileExistsError):
                path.mkdir()
                sync_folder(parent)
                return path


@contextlib.contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn what the system refuses when writing at `path` into OutputError."""
    try:
        yield
    except BrokenPipeError:  # nothing is wrong with the folder: the reader of the console has gone
        raise
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        space = "free space, or " if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        raise OutputError(
            f"cannot write in {path}: {reason}; {space}write run.root=FOLDER or run.dir=FOLDER for another place"
        ) from error
