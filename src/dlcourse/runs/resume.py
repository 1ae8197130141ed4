"""Runs that can be resumed: found, read, and compared with what is here now.

Nothing here needs torch, so that a command which cannot resume says so at once.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlcourse.config.duration import seconds_of
from dlcourse.config.paths import user_path
from dlcourse.config.run_config import NO_PART_OF_A_RUN, RunConfig
from dlcourse.config.yaml_file import read_yaml
from dlcourse.errors import ConfigError, DataError
from dlcourse.files import FilePrefix
from dlcourse.runs.checkpoints import FOLDER, Checkpoint
from dlcourse.runs.find import checkpoints_of, is_run
from dlcourse.runs.folder import CONFIG, LOCK, OVERRIDES, STATE, STATUS, RunFolder
from dlcourse.runs.reopen import run_facts

_MOST_THREADS = 1025
_BEFORE: dict[str, dict[str, Any]] = {"regression": {"standardize": False}}
"""What an option of a task was before there was such an option, for checkpoints of that time."""


@dataclass(frozen=True)
class Start:
    """Where a training starts: from nothing, or from a checkpoint of the run.

    `about` is what the checkpoint says about the run: its config, its command line, the machine and the data; it is empty
    without one. `damaged` has a line for each newer checkpoint that cannot be used.
    """

    checkpoint: Checkpoint | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    damaged: tuple[str, ...] = ()

    @property
    def epochs_done(self) -> int:
        """The whole epochs behind it; raises DataError."""
        return 0 if self.checkpoint is None else epochs_done(self.checkpoint)

    @property
    def log(self) -> FilePrefix | None:
        """As much of the run's log as belongs to it."""
        return None if self.checkpoint is None else self.checkpoint.log

    @property
    def threads(self) -> int | None:
        """The number of threads of the run so far, on which the last digits of its numbers depend."""
        return int(self.about["environment"]["threads"]) if self.about else None

    @property
    def epochs_planned(self) -> int | None:
        """The epochs of the run's config so far."""
        return int(self.about["config"]["trainer"]["epochs"]) if self.about else None

    @property
    def _seconds_used(self) -> float:
        """Those of `trainer.time` behind it; raises DataError."""
        return 0.0 if self.checkpoint is None else _saved_number(self.checkpoint, "length", "used")

    @property
    def lacks_pictures(self) -> bool:
        """Whether the run so far was to draw none."""
        return bool(self.about) and self.about["config"]["report"] == "light"

    def require_no_shorter(self, config: RunConfig) -> None:
        """Raise ConfigError if this asks for less than has been trained, or for a time in place of epochs."""
        asked, done = config.trainer, self.epochs_done
        before: str | None = self.about["config"]["trainer"]["time"] if self.about else asked.time
        if before is None and asked.time is not None:
            raise ConfigError(
                f"trainer.time={asked.time}: this run is trained for a number of epochs; write trainer.epochs=N"
            )
        if before is not None and asked.time is None:
            raise ConfigError(
                f"trainer.time=null: this run is trained for a time; write one such as trainer.time={before}"
            )
        if asked.time and before and self._seconds_used > seconds_of(asked.time) != seconds_of(before):
            raise ConfigError(
                f"trainer.time={asked.time}: the run has been trained for {self._seconds_used:.1f} seconds already; write a "
                "longer time"
            )
        if asked.time is None and asked.epochs < done:
            raise ConfigError(
                f"trainer.epochs={asked.epochs}: the run has done {done} epochs already; write trainer.epochs={done} or more"
            )

    def continues(self, config: RunConfig) -> bool:
        """Whether a finished run has more to do: it is to be longer, patience that ended it is another, or for pictures."""
        if not self.about:
            return True
        is_longer = _length(config.to_mapping()["trainer"]) != _length(self.about["config"]["trainer"])
        return is_longer or (self.lacks_pictures and config.report == "full")


def read_start(folder: RunFolder) -> Start:
    """Where a run, which must be locked, can be resumed. Raises DataError if all its checkpoints are damaged."""
    checkpoint, damaged = checkpoints_of(folder).newest()
    if checkpoint is None and damaged:
        what = damaged[0] if len(damaged) == 1 else f"{len(damaged)} are damaged, the newest: {damaged[0]}"
        raise DataError(f"no usable checkpoint in {folder / FOLDER}: {what}")
    return Start(checkpoint, about(checkpoint) if checkpoint else {}, tuple(damaged))


def about(checkpoint: Checkpoint) -> dict[str, Any]:
    """What the checkpoint says about its run, its config checked and whole; raises DataError and ConfigError."""
    content = checkpoint.json(STATE).get("about")
    if not (
        isinstance(content, dict)
        and isinstance(content.get("config"), dict)
        and isinstance(content.get("overrides"), list)
        and isinstance(content.get("data"), list)
        and isinstance(content.get("environment"), dict)
        and content["environment"].get("threads") in range(1, _MOST_THREADS)
    ):
        raise DataError(f"{checkpoint.path / STATE} does not say which run it is of")
    return content | {"config": as_it_was(RunConfig.from_mapping(content["config"]).to_mapping())}


def as_it_was(config: dict[str, Any]) -> dict[str, Any]:
    """The config of a run with what was meant by an option that it lacks, since there was none at its time."""
    for option, before in _BEFORE.get(config["task"]["name"], {}).items():
        config["task"].setdefault(option, before)
    return config


def epochs_done(checkpoint: Checkpoint) -> int:
    """The whole epochs behind a checkpoint; raises DataError."""
    return int(_saved_number(checkpoint, "epoch")) - 1


def _saved_number(checkpoint: Checkpoint, *path: str) -> float:
    """A number in the state of the training, by the names that lead to it; raises DataError."""
    value: Any = checkpoint.json(STATE)
    try:
        for name in ("state", *path):
            value = value[name]
        return float(value)
    except (KeyError, TypeError, ValueError):
        raise DataError(f"{checkpoint.path / STATE} does not say how far the run was") from None


def read_status(folder: Path) -> str:
    """`running`, `done`, `stopped` or `failed`, as run.json says; empty if it cannot be read."""
    try:
        word = str(run_facts(folder).get("status"))
    except DataError:
        return ""
    return word if word in ("running", "done", "stopped", "failed") else ""


def find_same(config: RunConfig, name: str) -> Path | None:
    """The folder that `resume=auto` continues: `run.dir` if there is a run, else the newest unfinished one alike.

    Raises ConfigError if `run.dir` holds a run with another config; fewer epochs than are asked for now are no other.
    """
    if config.run.dir is not None:
        folder = user_path(config.run.dir, "run.dir")
        if not is_run(folder) and not _is_hardly_begun(folder):
            return None
        saved = {} if _is_hardly_begun(folder) else _config_of(folder)
        different = _differences(config, _for_as_long(config, saved))
        if different:
            raise ConfigError(
                f"run.dir={config.run.dir} holds another run: its {different[0]} differs; name another folder, "
                f"or resume that one with dlcourse resume {folder}"
            )
        return folder
    root = user_path(config.run.root, "run.root") / name
    for folder in sorted((path for path in root.glob("*") if is_run(path)), reverse=True):
        with contextlib.suppress(ConfigError, DataError):  # what cannot be read is not ours to resume
            if read_status(folder) != "done" and not _differences(config, _config_of(folder)):
                return folder
    return None


def _length(trainer: Mapping[str, Any]) -> tuple[Any, ...]:
    """What decides how long a config trains; 2min are as long as 120s."""
    time = trainer["time"]
    return trainer["epochs"], time and seconds_of(time), trainer["patience"]


def environment_changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """A line for each fact of the machine that differs, which the last digits of the numbers may show."""
    for key, (before, here) in differing(then, now).items():
        yield f"{key}: {here} here, {before} when the run began; the numbers may differ in their last digits"


def differing(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The facts of `then` that are others now, each with both values."""
    return {key: (before, now.get(key)) for key, before in then.items() if now.get(key) != before}


def _is_hardly_begun(folder: Path) -> bool:
    """Whether a run was killed here before it wrote its config: there is nothing in the folder that could be lost."""
    return folder.is_dir() and all(
        entry.name in (LOCK, STATUS, OVERRIDES) or entry.name.endswith(".part") for entry in folder.iterdir()
    )


def _config_of(folder: Path) -> Mapping[str, Any]:
    """The config in the newest good checkpoint, or in its file; raises ConfigError if there is neither."""
    checkpoint, _ = checkpoints_of(RunFolder(folder)).newest()
    if checkpoint is not None:
        return about(checkpoint)["config"]
    return read_yaml(folder / CONFIG)


def _for_as_long(config: RunConfig, saved: Mapping[str, Any]) -> Mapping[str, Any]:
    """A saved config with the epochs of this one, if it has fewer: such a run can be continued."""
    trainer = saved.get("trainer")
    if not isinstance(trainer, Mapping) or not isinstance(epochs := trainer.get("epochs"), int):
        return saved
    return {**saved, "trainer": {**trainer, "epochs": max(epochs, config.trainer.epochs)}}


def _differences(config: RunConfig, other: Mapping[str, Any]) -> list[str]:
    """The sections in which a saved config differs from this one."""
    ours = config.to_mapping()
    return [
        key
        for key, value in other.items()
        if key not in NO_PART_OF_A_RUN and _without_newer(ours.get(key), value) != value
    ]


def _without_newer(section: Any, saved: Any) -> Any:
    """The section without the options that are null and that a saved one lacks: there were none of them in its time."""
    if not isinstance(section, Mapping) or not isinstance(saved, Mapping):
        return section
    return {name: value for name, value in section.items() if value is not None or name in saved}
