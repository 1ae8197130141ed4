"""The run folder: how it is made, what lies where, and how files get there whole."""

import contextlib
import csv
import io
import json
import secrets
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from dlcourse.config import FolderConfig
from dlcourse.errors import ConfigError, OutputError
from dlcourse.files import whole_file
from dlcourse.options import user_path

WEIGHTS, SPEC = "weights.safetensors", "spec.json"


class RunFolder:
    """A folder that belongs to one run alone.

    config.yaml, overrides.yaml, environment.json: how to do it again. run.json: how it went. metrics.jsonl: every number
    logged. weights.safetensors: the kept weights. spec.json: what the data set announced. report.txt, report.json and
    pictures: what it reached. progress/: pictures and texts of each evaluation.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, where: FolderConfig, name: str) -> "RunFolder":
        """A new folder, never one that is there already: `<root>/<name>/<time>-<4 hex>`, or exactly `dir`.

        Raises ConfigError where `dir` exists, OutputError where the system refuses.
        """
        if where.dir is not None:
            path = user_path(where.dir, "run.dir")
            with output_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                try:
                    path.mkdir()
                except FileExistsError:
                    raise ConfigError(f"run.dir={where.dir} exists already; name a folder that does not") from None
            return cls(path)
        return cls(claim_folder(user_path(where.root, "run.root") / name))

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def write_json(self, name: str, content: object) -> None:
        """Write a JSON file, whole or not at all."""
        self.write_text(name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Write a text file, whole or not at all."""
        with whole_file(self / name) as unfinished:
            unfinished.write_text(text, encoding="utf-8", newline="")

    def write_table(self, name: str, rows: list[list[object]]) -> None:
        """Write a CSV file, whole or not at all."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        self.write_text(name, text.getvalue())


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
    except BrokenPipeError:  # nothing is wrong with the folder: the reader of the console has gone
        raise
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(
            f"cannot write in {path}: {reason}; free space, or choose another place with run.root= or run.dir="
        ) from error
