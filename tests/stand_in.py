"""A stand-in for `dlcourse.training.session`, for tests of the command line: it records what it was asked to train."""

import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import dlcourse.training
from dlcourse.cli.main import main
from dlcourse.config.run_config import RunConfig
from dlcourse.errors import ConfigError

FOLDER = "# Files in a folder.\nname: folder\nroot: data  # text: folder of the files\n"


@dataclass(frozen=True)
class Result:
    """What `train.run` returns; the validation accuracy is `1 / (seed + epochs)`, the test accuracy the other way round."""

    folder: Path
    best: float
    kept_epoch: int = 2
    seconds: float = 1.25
    monitor: str = "val/accuracy"
    mode: str = "max"
    scalars: dict[str, float] = field(default_factory=dict)


@dataclass
class Trained:
    """The runs asked for, and what a run shall do: by default nothing."""

    configs: list[RunConfig] = field(default_factory=list)
    overrides: list[list[str]] = field(default_factory=list)
    behave: Callable[[RunConfig], None] = lambda config: None

    def run(self, config: RunConfig, overrides: list[str]) -> Result:
        self.configs.append(config)
        self.overrides.append(overrides)
        self.behave(config)
        best = 1 / (config.seed + config.trainer.epochs)
        scalars = {"val/accuracy": best, "val/loss": 0.5, "test/accuracy": 1 / best}
        return Result(Path(config.run.dir or config.run.root), best, scalars=scalars)


def check_entries(config: RunConfig) -> None:
    """Refuses the learning rates that the real check refuses."""
    if config.optimizer.options["lr"] <= 0:
        raise ConfigError(f"optimizer.lr must be a number > 0, got {config.optimizer.options['lr']}")


class CommandLine:
    """Runs `dlcourse train` in this process, with own config files in `folder`, and keeps what it printed."""

    def __init__(self, folder: Path, trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.trained, self._capsys = folder, trained, capsys
        self.out, self.err = "", ""

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def __call__(self, *words: str) -> int:
        """Run the words; a sweep in this process, which is the one that records what is trained."""
        here = ["hydra/launcher=dlcourse"] if "-m" in words and "hydra/launcher" not in " ".join(words) else []
        return self.raw("train", "--config-dir", str(self.folder), *words, *here)

    def raw(self, *words: str) -> int:
        self._capsys.readouterr()
        code = main(list(words))
        self.out, self.err = self._capsys.readouterr()
        return code

    def refuses(self, *words: str) -> str:
        """The one line after `dlcourse: error: ` with which exit code 2 comes, before anything was trained."""
        assert self(*words) == 2
        assert self.trained.configs == []
        assert self.err.startswith("dlcourse: error: ")
        assert self.err.count("\n") == 1
        return self.err.removeprefix("dlcourse: error: ").rstrip("\n")


def command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """A command line in an empty working folder, whose training is a stand-in."""
    trained = Trained()
    module = types.ModuleType("dlcourse.training.session")
    module.run = trained.run  # type: ignore[attr-defined]
    module.check_entries = check_entries  # type: ignore[attr-defined]
    module.require_one_length = lambda config, overrides: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "dlcourse.training.session", module)
    monkeypatch.setattr(dlcourse.training, "session", module, raising=False)
    monkeypatch.setattr(sys, "argv", ["dlcourse"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setenv("DLCOURSE_TRACEBACK", "0")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    line = CommandLine(tmp_path / "own", trained, capsys)
    line.write("data/folder.yaml", FOLDER)
    return line
