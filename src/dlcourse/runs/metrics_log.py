"""metrics.jsonl: every number logged, a JSON object a line, appended only, and cut back when a run resumes."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dlcourse.errors import OutputError
from dlcourse.files import FilePrefix, read_end, set_aside, write_all, write_durably

METRICS = "metrics.jsonl"

_TAIL_BYTES = 64 * 1024
_APPEND = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)


class MetricsLog:
    """The file of a run, open for appending. What lies behind `start`, if that is given, is cut off first.

    `lost` is empty, or says why what `start` vouches for is not there any more: then the log begins empty.
    """

    def __init__(self, path: Path, start: FilePrefix | None = None) -> None:
        self._path = path
        content, self.lost = (b"", "") if start is None else _restore(path, start)
        self._descriptor = os.open(path, _APPEND, 0o666)
        os.ftruncate(self._descriptor, len(content))
        self._size = len(content)
        self._digest = hashlib.sha256(content)
        self._waiting: list[str] = []

    def append(self, record: Mapping[str, object]) -> None:
        """Add one line, which is written with the next `flush`."""
        self._waiting.append(json.dumps(record, ensure_ascii=False) + "\n")

    def flush(self) -> None:
        """Write what was added; raises OSError, after which part of a line may stand at the end."""
        lines = "".join(self._waiting).encode()
        self._waiting = []
        write_all(self._descriptor, lines)
        self._size += len(lines)
        self._digest.update(lines)

    def sync(self) -> FilePrefix:
        """Make all lines durable; returns how far that is."""
        self.flush()
        os.fsync(self._descriptor)
        return FilePrefix(self._size, self._digest.hexdigest())

    def require_intact(self) -> None:
        """Raise OutputError if somebody else has removed, replaced, cut or continued the file."""
        if not self._path.is_file() or self._path.stat().st_size != self._size:
            raise OutputError(f"{self._path} was removed, replaced or changed while the run was writing to it")

    def close(self) -> None:
        """Write what was added and close the file; a second time does nothing. Raises OSError, the file is closed then."""
        if self._descriptor >= 0:
            try:
                self.flush()
            finally:
                os.close(self._descriptor)
                self._descriptor = -1


def _restore(path: Path, start: FilePrefix) -> tuple[bytes, str]:
    """Make the file begin with what `start` vouches for; returns that, or nothing and why it is lost.

    Other line ends, which editors and copying make, are put right. A file of which some bytes are others is set aside
    whole: nothing says which of its numbers are still right.
    """
    found = path.read_bytes() if path.is_file() else b""
    if FilePrefix.of(found[: start.size]) == start:
        return found[: start.size], ""
    with_our_line_ends = found.replace(b"\r\n", b"\n")[: start.size]
    if FilePrefix.of(with_our_line_ends) == start:
        write_durably(path, with_our_line_ends)
        return with_our_line_ends, ""
    if not os.path.lexists(path):
        return b"", f"{path.name} is gone"
    return b"", f"{path.name} is not as this run wrote it, and was renamed to {set_aside(path).name}"


def read_metrics(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a log, as far as they are whole: the last line of a run that was killed may be torn."""
    for line in path.read_bytes().splitlines():
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            return
        if isinstance(record, dict) and _is_ours(record):
            yield record


def timeless(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record with nothing in the place of each time: what two runs that are the same have in common."""
    return {name: None if name == "time" or name.startswith("time/") else value for name, value in record.items()}


def newest_record(path: Path) -> dict[str, Any] | None:
    """The last whole record of a log, also while it is written to; None if it has none. Raises DataError."""
    for line in reversed(read_end(path, _TAIL_BYTES).splitlines()):
        with contextlib.suppress(ValueError, RecursionError):
            record = json.loads(line)
            if isinstance(record, dict) and _is_ours(record):
                return record
    return None


def _is_ours(record: dict[str, Any]) -> bool:
    """Whether a record has the shape that `Logger` gives it: the log of a stranger's run may hold anything."""
    words = record.keys() & {"text", "picture", "file", "histogram"}
    numbers = {name: value for name, value in record.items() if name not in words}
    if words == {"histogram"}:
        counts = numbers.pop("counts", None)
        is_whole = numbers.keys() >= {"min", "max", "sum", "sum_squares"} and isinstance(counts, list) and bool(counts)
        if not is_whole or not all(type(count) is int and 0 <= count < 2**63 for count in counts):
            return False
    elif words not in (set(), {"text", "file"}, {"picture", "file"}):
        return False
    return (
        type(record.get("step")) is int
        and type(record.get("epoch")) is int
        and type(record.get("time")) is float
        and all(isinstance(record[word], str) for word in words)
        and all(
            isinstance(number, float) or (type(number) is int and abs(number) < 2**63) for number in numbers.values()
        )
    )
