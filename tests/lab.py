"""A folder to run `dlcourse train` in, for tests of whole runs."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from dlcourse.cli import hydra_guard
from dlcourse.cli.hydra_overrides import parse
from dlcourse.cli.main import main
from dlcourse.config.paths import conf_dir
from dlcourse.config.run_config import FolderConfig, RunConfig
from dlcourse.training import session


@dataclass
class Lab:
    """A folder to run `dlcourse train` in, and what the latest command printed."""

    folder: Path
    capsys: pytest.CaptureFixture[str]
    out: str = ""
    err: str = ""
    always: tuple[str, ...] = ("report=light",)
    """Words of every command that does not give the same options itself."""

    def attempt(self, *words: str) -> int:
        """Run the command in this process; returns its exit code."""
        code = main(["train", *not_given(self.always, words), *words])
        self.out, self.err = self.capsys.readouterr()
        return code

    def ask(self, verb: str, *words: object, code: int = 0) -> str:
        """What a command prints on standard output; it must end with `code`."""
        self.capsys.readouterr()
        found = main([verb, *map(str, words)])
        self.out, self.err = self.capsys.readouterr()
        assert found == code, self.err
        return self.out

    def train(self, *words: str, code: int = 0) -> Path | None:
        """Run the command, which must end with `code`; returns its run folder."""
        assert self.attempt(*words) == code, self.err
        runs = [line.split(maxsplit=1)[1] for line in self.out.splitlines() if line.startswith("run ")]
        return self.folder / runs[-1] if runs else None


def not_given(options: Sequence[str], words: Sequence[str]) -> list[str]:
    """Those of `options` that these words do not give themselves."""
    given = {word.partition("=")[0] for word in words}
    return [option for option in options if option.partition("=")[0] not in given]


def only(kind: type, drawn: list[tuple[Any, str]]) -> Any:
    """The one picture of a kind."""
    (found,) = (picture for picture, _ in drawn if isinstance(picture, kind))
    return found


def report(run: Path) -> dict:
    return json.loads((run / "report.json").read_text())


def contents(folder: Path) -> dict[Path, bytes]:
    """Every file below a folder."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write_config(run: Path, text: str) -> None:
    """Another config.yaml in a run folder, and its checksum in run.json."""
    (run / "config.yaml").write_text(text)
    facts = json.loads((run / "run.json").read_text())
    facts["files"]["config.yaml"] = hashlib.sha256(text.encode()).hexdigest()
    (run / "run.json").write_text(json.dumps(facts))


def composed(*words: str) -> RunConfig:
    """The config that `dlcourse train` would run with these words; nothing is run. Raises ConfigError."""
    config = hydra_guard.compose(parse(list(words)), [conf_dir()])
    return hydra_guard.run_config(config)


def trained(folder: Path, *words: str) -> Path:
    """A run in this folder, made without the command line; of one epoch, unless the words say more."""
    config = composed("trainer.epochs=1", "device=cpu", "report=light", *words)
    session.run(replace(config, run=FolderConfig(dir=str(folder))), [])
    return folder
