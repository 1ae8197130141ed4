"""What a finished run recorded of its machine, its config and its data, and why another of the same config may differ.

Nothing here needs torch.
"""

import contextlib
import json
import shlex
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from dlcourse.config.run_config import NO_PART_OF_A_RUN
from dlcourse.config.yaml_file import read_yaml
from dlcourse.errors import ConfigError, DataError
from dlcourse.files import read_regular
from dlcourse.plugins import recorded as plugins
from dlcourse.runs.find import checkpoints_of, find_run
from dlcourse.runs.folder import CONFIG, ENVIRONMENT, WEIGHTS, RunFolder
from dlcourse.runs.record import read_words
from dlcourse.runs.reopen import run_facts
from dlcourse.runs.result import REPORT
from dlcourse.runs.resume import about, differing

_MAX_BYTES = 2**20
_MOST_OPTIONS = 8
_SPLITS = ("training set", "validation set", "test set")
_EXTENDING = ("trainer.epochs=", "trainer.patience=")
_TOLD_ELSEWHERE = ("device.threads", "trainer.checkpoint.")
"""Options that change no number, or only by the number of threads, which environment.json has."""


def recorded_environment(run: Path) -> dict[str, Any]:
    """The facts of the machine that a run began on; empty if they cannot be read."""
    with contextlib.suppress(DataError, ValueError, TypeError, RecursionError):
        return dict(json.loads(read_regular(run / ENVIRONMENT, _MAX_BYTES)))
    return {}


def differences(run: Path, other: Path, names: tuple[str, str]) -> list[str]:
    """A line for each option, version, device, plug-in or data split that differs between two runs, and what is unknown."""
    return [
        *_of_configs(run, other, names),
        *_of_plugins(run, other),
        *_of_machines(run, other, names),
        *_of_data(run, other),
    ]


def _of_machines(run: Path, other: Path, names: tuple[str, str]) -> Iterator[str]:
    sides = recorded_environment(run), recorded_environment(other)
    for side, folder in zip(sides, (run, other), strict=True):
        if not side:
            yield f"{folder / ENVIRONMENT} cannot be read: its machine is unknown"
            return
    facts, others = ({**side, "device": str(side.get("device")).partition(",")[0]} for side in sides)
    for key, (one, another) in differing(facts, others).items():
        if key != "command":
            yield f"{key}: {one} {names[0]}, {another} {names[1]}"


def _of_configs(run: Path, other: Path, names: tuple[str, str]) -> Iterator[str]:
    ours, theirs = (dict(_options(read_yaml(folder / CONFIG))) for folder in (run, other))
    different = [name for name in ours | theirs if ours.get(name) != theirs.get(name)]
    for name in different[:_MOST_OPTIONS]:
        one, another = (json.dumps(side[name]) if name in side else "missing" for side in (ours, theirs))
        yield f"{name}: {one} {names[0]}, {another} {names[1]}"
    if len(different) > _MOST_OPTIONS:
        yield f"{len(different) - _MOST_OPTIONS} more options differ"


def _options(config: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Every option by its dotted name that decides a run's numbers."""
    for key, value in config.items():
        name = f"{before}{key}"
        if name in NO_PART_OF_A_RUN or name.startswith(_TOLD_ELSEWHERE):
            continue
        if isinstance(value, Mapping):
            yield from _options(value, f"{name}.")
        else:
            yield name, value


def _of_plugins(run: Path, other: Path) -> Iterator[str]:
    ours, theirs = (plugins.read(_facts(folder)) for folder in (run, other))
    for group, entry in ours.items():
        if group in theirs and entry["sha256"] != theirs[group]["sha256"]:
            yield f"{group}: the plug-in {entry['file']} differs (sha256)"


def _facts(run: Path) -> dict[str, Any]:
    with contextlib.suppress(DataError):
        return run_facts(run)
    return {}


def _of_data(run: Path, other: Path) -> Iterator[str]:
    sides = _checksums(run), _checksums(other)
    for split in _SPLITS:
        if all(split in side for side in sides) and sides[0][split] != sides[1][split]:
            yield f"data: the {split} differs (sha256)"
    for side, folder in zip(sides, (run, other), strict=True):
        if len(side) < len(_SPLITS):
            known = "only the checksum of its test set" if side else "no checksum of its data"
            yield f"{folder} has no readable checkpoint: {known} is known"


def _checksums(run: Path) -> dict[str, str]:
    """The sha256 of each split, as the newest checkpoint says; of the test set alone if there is no checkpoint any more."""
    with contextlib.suppress(DataError, ConfigError):
        checkpoint, _ = checkpoints_of(RunFolder(run)).newest()
        if checkpoint is not None:
            return dict(zip(_SPLITS, map(str, about(checkpoint)["data"]), strict=False))
    with contextlib.suppress(DataError, ValueError, TypeError, KeyError, RecursionError):
        return {"test set": str(json.loads(read_regular(run / REPORT, 2**26))["data"]["test_sha256"])}
    return {}


def reasons(run: Path) -> list[str]:
    """Why a run may differ from another of its config on the same machine: a time limit, an extension, other weights."""
    return [*_timed(run), *_extended(run), *_source(run)]


def _timed(run: Path) -> Iterator[str]:
    """Whether a clock ended its training."""
    trainer = read_yaml(run / CONFIG).get("trainer")
    seconds = trainer.get("time") if isinstance(trainer, dict) else None
    if seconds is not None:
        yield (
            f"{run} has trainer.time={seconds}: the number of steps in that time varies; for bit-equal runs, train with "
            "trainer.epochs"
        )


def _extended(run: Path) -> Iterator[str]:
    """Whether it was resumed with more epochs or another patience: its first command is kept beside its later words."""
    command = str(recorded_environment(run).get("command", ""))
    try:
        began_with = shlex.split(command)
    except ValueError:  # a stranger's
        return
    added = [word for word in read_words(run) if word.startswith(_EXTENDING) and word not in began_with]
    if command and added:
        yield (
            f"{run} began as {command} and was resumed with {' '.join(added)}: its first epochs followed the learning rate "
            "schedule of the shorter training"
        )


def _source(run: Path) -> Iterator[str]:
    """Whether the run whose weights it started from is newer than itself, so that those were other weights."""
    with contextlib.suppress(DataError, ConfigError, ValueError, TypeError, KeyError, OSError):
        given = read_yaml(run / CONFIG).get("init_from")
        if given:
            source = find_run(given, "init_from")
            began = datetime.fromisoformat(run_facts(run)["started"])
            if (source / WEIGHTS).stat().st_mtime > began.timestamp():
                yield f"init_from={given} is {source} now, which is newer than {run}: that started from other weights"
