"""A folder to run `dlcourse train` in, for tests of whole runs."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from omegaconf import open_dict

from dlcourse import cli
from dlcourse.commands import front_door
from dlcourse.commands.overrides import parse
from dlcourse.config import RunConfig, conf_dir


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


def only(kind: type, drawn: list[tuple[Any, str]]) -> Any:
    """The one picture of a kind."""
    (found,) = (picture for picture, _ in drawn if isinstance(picture, kind))
    return found


def report(run: Path) -> dict:
    return json.loads((run / "report.json").read_text())


def composed(*words: str) -> RunConfig:
    """The config that `dlcourse train` would run with these words; nothing is run. Raises ConfigError."""
    config = front_door.compose(parse(list(words)), [conf_dir()])
    with open_dict(config):
        del config["hydra"]
    return front_door.run_config(config)
