"""Whether two run folders hold the same run: everything but times, to the bit."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from dlcourse.config.yaml_file import read_yaml
from dlcourse.runs import resume
from dlcourse.runs.checkpoints import FOLDER
from dlcourse.runs.find import checkpoints_of
from dlcourse.runs.folder import CONFIG, LOCK, STATE, WEIGHTS, RunFolder
from dlcourse.runs.metrics_log import METRICS, timeless

TIMES = ("epoch_seconds", "train_seconds", "samples_per_second")
_OF_THE_PROCESS = ("run.json", "report.txt", "environment.json", "error.txt")
"""Files with times in them, or of the machine."""

_REPORT = "report.json"
TIMES_OF_REPORT = ("date", "seconds", "train_seconds", "samples_per_second")


def differences(run: Path, other: Path) -> list[str]:
    """What differs: weights, the final checkpoint, what lies beside it, the log, the config, the report, and every table,
    text and picture; empty for the same run.
    """
    ours, theirs = contents(run), contents(other)
    return [
        *(f"only one has {name}" for name in sorted(set(ours) ^ set(theirs))),
        *(f"{name} differs" for name in sorted(set(ours) & set(theirs)) if ours[name] != theirs[name]),
    ]


def contents(run: Path) -> dict[str, Any]:
    """What must be equal, by name. A run that is not finished has no weights, which is an error here."""
    found: dict[str, Any] = {}
    for path in sorted(run.rglob("*")):
        name = str(path.relative_to(run))
        if path.is_file() and not name.startswith((LOCK, FOLDER, "events.")) and name not in _OF_THE_PROCESS:
            found[name] = path.read_bytes()
        if path.parent == run / FOLDER and not path.name.startswith("step-"):
            found[name] = "left over"
    assert WEIGHTS in found, f"no weights in {run}"
    checkpoint, damaged = checkpoints_of(RunFolder(run)).newest()
    assert checkpoint is not None and not damaged, f"no good checkpoint in {run}"
    found |= {f"checkpoint: {name}": content for name, content in checkpoint.contents.items() if name != STATE}
    found[f"checkpoint: {STATE}"] = _timeless_state(checkpoint.json(STATE))
    found["status"] = resume.read_status(run)
    found[METRICS] = [json.dumps(timeless(json.loads(line))) for line in found[METRICS].splitlines()]
    found[CONFIG] = _placeless_config(read_yaml(run / CONFIG))
    found[_REPORT] = _without_times(json.loads(found[_REPORT]), TIMES_OF_REPORT)
    return found


def _timeless_state(content: dict[str, Any]) -> str:
    """Of times, whether there are any yet: what was spent before a resume must not be lost."""
    content["about"]["config"] = _placeless_config(content["about"]["config"])
    history = content["state"]["history"]
    history |= {name: history[name] > 0 for name in TIMES}
    return json.dumps(content)


def _without_times(content: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The same, with nothing in the place of each time: none may be missing."""
    return {name: None if name in names else value for name, value in content.items()}


def _placeless_config(config: dict[str, Any]) -> dict[str, Any]:
    return config | {"run": config["run"] | {"dir": None}}
