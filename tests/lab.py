"""A folder to run `dlcourse train` in, for tests of whole runs."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from dlcourse import cli


@dataclass
class Lab:
    """A folder to run `dlcourse train` in, and what the latest command printed."""

    folder: Path
    capsys: pytest.CaptureFixture[str]
    out: str = ""
    err: str = ""

    def attempt(self, *words: str) -> int:
        """Run the command in this process; returns its exit code."""
        code = cli.main(["train", *words])
        self.out, self.err = self.capsys.readouterr()
        return code

    def train(self, *words: str, code: int = 0) -> Path | None:
        """Run the command, which must end with `code`; returns its run folder."""
        assert self.attempt(*words) == code, self.err
        runs = [line.split(maxsplit=1)[1] for line in self.out.splitlines() if line.startswith("run ")]
        return self.folder / runs[-1] if runs else None


def report(run: Path) -> dict:
    return json.loads((run / "report.json").read_text())
