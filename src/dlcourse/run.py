"""The run folder: how it is made, what lies where, and how files get there whole."""

import contextlib
import csv
import json
import os
import secrets
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO

from dlcourse.config import FolderConfig
from dlcourse.errors import ConfigError, OutputError


class RunFolder:
    """A folder that belongs to one run alone.

    config.yaml, overrides.yaml, environment.json: how to do it again. run.json: how it went. metrics.jsonl: every number
    logged. weights.safetensors: the best model. report.txt, report.json and pictures: what it reached.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, where: FolderConfig, name: str) -> "RunFolder":
        """A new folder, never one that is there already: `<root>/<name>/<time>-<4 hex>`, or exactly `dir`.

        Raises ConfigError where `dir` exists, OutputError where the system refuses.
        """
        if where.dir is not None:
            path = Path(where.dir).expanduser()
            with output_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                try:
                    path.mkdir()
                except FileExistsError:
                    raise ConfigError(f"run.dir={where.dir} exists already; name a folder that does not") from None
            return cls(path)
        return cls(claim_folder(Path(where.root).expanduser() / name))

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def write_json(self, name: str, content: object) -> None:
        """Write a JSON file, whole or not at all."""
        with whole_file(self / name) as file:
            json.dump(content, file, indent=2, ensure_ascii=False)
            file.write("\n")

    def write_text(self, name: str, text: str) -> None:
        """Write a text file, whole or not at all."""
        with whole_file(self / name) as file:
            file.write(text)

    def write_table(self, name: str, rows: list[list[object]]) -> None:
        """Write a CSV file, whole or not at all."""
        with whole_file(self / name) as file:
            csv.writer(file, lineterminator="\n").writerows(rows)


def claim_folder(parent: Path) -> Path:
    """A new folder in `parent`, named after the time: `2026-11-21_101500-3f2a`; no two callers get the same.

    Raises OutputError where the system refuses.
    """
    with output_errors(parent):
        parent.mkdir(parents=True, exist_ok=True)
        while True:
            path = parent / f"{datetime.now():%Y-%m-%d_%H%M%S}-{secrets.token_hex(2)}"
            with contextlib.suppress(FileExistsError):
                path.mkdir()
                return path


@contextlib.contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn what the system refuses when writing at `path` into OutputError."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(
            f"cannot write in {path}: {reason}; free space, or choose another place with run.root= or run.dir="
        ) from error


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[IO[str]]:
    """A text file to write that appears under its name only when it is complete."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            yield file
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
