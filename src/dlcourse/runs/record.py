"""A run as a list of runs shows it, finished or not: read without torch, and without disturbing a run that is going on.

Its folder may be a stranger's: no link in it is followed, and what cannot be read is told instead.
"""

import contextlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

from dlcourse.config.yaml_file import read_yaml
from dlcourse.errors import ConfigError, DataError
from dlcourse.files import read_regular
from dlcourse.runs.folder import CONFIG, OVERRIDES, STATUS, is_in_use
from dlcourse.runs.metrics_log import METRICS, newest_record
from dlcourse.runs.reopen import run_facts
from dlcourse.runs.result import REPORT, read_report, result_in

State = Literal["done", "running", "stopped", "failed", "cut short", "damaged"]
STATES: tuple[State, ...] = get_args(State)

_WRITTEN = ("done", "running", "stopped", "failed")
_READ = (STATUS, REPORT, CONFIG, OVERRIDES, METRICS)
_MAX_OVERRIDES_BYTES = 2**20
_LONGEST_NAME = 255
_YEAR_3000 = 32_503_680_000.0


@dataclass(frozen=True)
class RunRecord:
    """A run as it stands: `validation` and `test` are the number that its task watches, once it is done.

    `words` are the options typed for it, `reason` says why it failed or what is damaged, `progress` which share of its steps
    an unfinished one has done. `started` is in seconds since 1970, `seconds` how long it took, or has taken so far.
    """

    folder: Path
    state: State
    reason: str = ""
    name: str = ""
    data: str = ""
    model: str = ""
    tags: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    monitor: str = ""
    mode: str = ""
    validation: float | None = None
    test: float | None = None
    epochs: int | None = None
    progress: float | None = None
    started: float = 0.0
    seconds: float | None = None
    sweep: Path | None = None
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The whole config; empty if it cannot be read, or stands in config.yaml alone, as that of a run of an older version."""


def read_record(folder: Path, sweep: Path | None = None) -> RunRecord:
    """What the files of a run say; raises nothing for what is damaged."""
    try:
        _refuse_links(folder)
        facts, state = _status(folder)
        config = facts.get("config")
        report = read_report(folder) if state == "done" else {}
        if not isinstance(config, dict):
            config = _names(report) if report else _config_in_yaml(folder)
        words = read_words(folder)
        common = _described(config, words, folder) | {
            "words": words,
            "started": _started(facts, folder),
            "sweep": sweep,
        }
        if state == "done":
            return RunRecord(folder, state, **common, **_reached(report, folder))
        return RunRecord(folder, state, **common, **_on_the_way(state, facts, config, common["started"], folder))
    except (DataError, ConfigError) as error:
        reason = str(error).replace(f"{folder}{os.sep}", "")
        return RunRecord(folder, "damaged", reason, name=folder.parent.name, started=_changed(folder), sweep=sweep)


def whole_config(record: RunRecord) -> Mapping[str, Any]:
    """The config of a run, from config.yaml if need be, which takes some milliseconds; empty if it cannot be read."""
    if "trainer" in record.config or record.state == "damaged":
        return record.config
    with contextlib.suppress(ConfigError):
        return read_yaml(record.folder / CONFIG)
    return record.config


def read_words(folder: Path) -> tuple[str, ...]:
    """The options typed for a run, as overrides.yaml says; none if it cannot be read."""
    with contextlib.suppress(DataError, ValueError, RecursionError):
        lines = read_regular(folder / OVERRIDES, _MAX_OVERRIDES_BYTES).decode().splitlines()
        return tuple(str(json.loads(line.removeprefix("- "))) for line in lines if line.startswith("- "))
    return ()


def _refuse_links(folder: Path) -> None:
    for name in _READ:
        if (folder / name).is_symlink():
            raise DataError(f"{name} is a link, which dlcourse does not make")


def _status(folder: Path) -> tuple[dict[str, Any], State]:
    """What run.json says, and what that means: a run whose process is gone does not run, whatever it says."""
    facts = run_facts(folder)
    if facts.get("status") == "running" and not is_in_use(folder):
        facts = run_facts(folder)  # it may have ended in between
        if facts.get("status") == "running":
            return facts, "cut short"
    status = facts.get("status")
    if status not in _WRITTEN:
        raise DataError(f"{STATUS} is damaged, it has no status")
    return facts, status


def _described(config: Mapping[str, Any], words: tuple[str, ...], folder: Path) -> dict[str, Any]:
    """The names that a config gives; without one, those that were typed."""
    typed = dict(word.split("=", 1) for word in words if "=" in word)
    data, model = (_name(config, section) or typed.get(section, "") for section in ("data", "model"))
    run = config.get("run")
    run = run if isinstance(run, dict) else {}
    name, tags = run.get("name"), run.get("tags")
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
        name = folder.parent.name
    tags = tuple(map(str, tags)) if isinstance(tags, list) else ()
    return {"name": name, "data": data, "model": model, "tags": tags, "config": config}


def _name(config: Mapping[str, Any], section: str) -> str:
    options = config.get(section)
    name = options.get("name") if isinstance(options, dict) else None
    return name[:_LONGEST_NAME] if isinstance(name, str) else ""


def _names(report: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a config that a report repeats: enough for a listing, and read a hundred times as fast as YAML."""
    names = {section: report.get(section) for section in ("data", "model")}
    return {**names, "run": {"name": report.get("run"), "tags": report.get("tags")}}


def _config_in_yaml(folder: Path) -> dict[str, Any]:
    """The config of a run whose run.json does not have it; empty before it is written. Raises ConfigError."""
    return read_yaml(folder / CONFIG) if (folder / CONFIG).exists() else {}


def _started(facts: Mapping[str, Any], folder: Path) -> float:
    with contextlib.suppress(KeyError, ValueError, TypeError, OverflowError):
        return _as_date(datetime.fromisoformat(facts["started"]).timestamp())
    return _changed(folder)


def _changed(folder: Path) -> float:
    with contextlib.suppress(OSError):
        return _as_date(folder.stat().st_mtime)
    return 0.0


def _as_date(seconds: float) -> float:
    """The nearest time that can be shown as a date everywhere."""
    return min(max(seconds, 0.0), _YEAR_3000)


def _reached(report: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The numbers of a finished run; raises DataError."""
    result = result_in(report, folder)
    test = None
    with contextlib.suppress(KeyError, TypeError, ValueError, OverflowError):
        test = float(report["test"][result.monitor.removeprefix("val/")])
    return {
        "monitor": result.monitor,
        "mode": result.mode,
        "validation": result.best,
        "test": test,
        "epochs": result.epochs,
        "seconds": result.seconds,
    }


def _on_the_way(
    state: State, facts: Mapping[str, Any], config: Mapping[str, Any], started: float, folder: Path
) -> dict[str, Any]:
    """How far a run is that is not done, or why it failed."""
    if state == "failed":
        return {"reason": str(facts.get("reason") or "it does not say why")}
    seconds = max(0.0, time.time() - started) if state == "running" else None
    return {"progress": _progress(facts, config, folder), "seconds": seconds}


def _progress(facts: Mapping[str, Any], config: Mapping[str, Any], folder: Path) -> float | None:
    """The share of its steps that a run has made, by epochs if it does not say how many steps there are."""
    try:
        record = newest_record(folder / METRICS)
    except DataError:
        return None
    steps, trainer = facts.get("steps"), config.get("trainer")
    epochs = trainer.get("epochs") if isinstance(trainer, dict) and trainer.get("time") is None else None
    if record is None:
        return 0.0
    for done, total in ((record["step"], steps), (record["epoch"] - 1, epochs)):
        if type(total) is int and total > 0:
            return min(1.0, max(0.0, done / total))
    return None
