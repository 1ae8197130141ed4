"""Whether two run folders hold the same run: everything but times, to the bit."""

import json
from pathlib import Path
from typing import Any

from dlcourse import resuming
from dlcourse.checkpoint import FOLDER
from dlcourse.metrics import METRICS
from dlcourse.run import CONFIG, LOCK, STATE, WEIGHTS, RunFolder

TIMES = ("epoch_seconds", "train_seconds", "samples_per_second")
_OF_THE_PROCESS = ("run.json", "report.json", "report.txt", "environment.json", CONFIG, METRICS, "error.txt")
"""Files with times in them, or with the name of the folder."""


def differences(run: Path, other: Path) -> list[str]:
    """What differs: weights, the final checkpoint, the log, and every table, text and picture; empty for the same run."""
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
    assert WEIGHTS in found, f"no weights in {run}"
    checkpoint, damaged = resuming.checkpoints(RunFolder(run)).newest()
    assert checkpoint is not None and not damaged, f"no good checkpoint in {run}"
    found |= {f"checkpoint: {name}": content for name, content in checkpoint.contents.items() if name != STATE}
    found[f"checkpoint: {STATE}"] = _timeless_state(checkpoint.json(STATE))
    found["status"] = resuming.status(run)
    records = [json.loads(line) for line in (run / METRICS).read_bytes().splitlines()]
    return found | {"metrics": [_timeless_record(record) for record in records]}


def _timeless_state(content: dict[str, Any]) -> str:
    content["about"]["config"].pop("run")
    for name in TIMES:
        content["state"]["history"].pop(name)
    return json.dumps(content)


def _timeless_record(record: dict[str, Any]) -> str:
    return json.dumps(
        {name: value for name, value in record.items() if name != "time" and not name.startswith("time/")}
    )
