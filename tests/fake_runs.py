"""Run folders as a training leaves them, as far as a list of runs reads them; nothing is trained."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def config_of(data: str, model: str, tags: Sequence[str] = (), **options: Any) -> dict[str, Any]:
    """A config with these options by their dotted names, `optimizer__lr=0.1`."""
    config: dict[str, Any] = {
        "model": {"name": model},
        "data": {"name": data},
        "optimizer": {"name": "adam", "lr": 0.001},
        "trainer": {"epochs": 10},
        "run": {"root": "outputs", "name": f"{data}-{model}", "dir": None, "tags": list(tags)},
        "seed": 0,
    }
    for name, value in options.items():
        section, dot, option = name.partition("__")
        if dot:
            config[section] = config[section] | {option: value}
        else:
            config[section] = value
    return config


def report_of(config: Mapping[str, Any], validation: float = 0.9, test: float = 0.8, **changes: Any) -> dict[str, Any]:
    """A report of a classifier, or of another task by other `monitor` and `mode`."""
    monitor = changes.get("monitor", "val/accuracy").removeprefix("val/")
    return {
        "run": config["run"]["name"],
        "tags": config["run"]["tags"],
        "data": {"name": config["data"]["name"]},
        "model": {"name": config["model"]["name"]},
        "monitor": "val/accuracy",
        "mode": "max",
        "epochs": 10,
        "kept_epoch": 9,
        "seconds": 12.5,
        "val": {"loss": 0.3, monitor: validation},
        "test": {"loss": 0.4, monitor: test},
    } | changes


def leave(
    folder: Path,
    *words: str,
    status: str = "done",
    started: str = "2026-11-21T10:00:00+0000",
    config: Mapping[str, Any] | None = None,
    report: Mapping[str, Any] | None = None,
    step: int | None = None,
    **facts: Any,
) -> Path:
    """Leave the folder of a run of 100 steps with these options typed; `step` is how far it has come."""
    config = config_of("digits", "mlp") if config is None else config
    folder.mkdir(parents=True, exist_ok=True)
    content = {"status": status, "started": started, "config": config, "steps": 100, "files": {}} | facts
    (folder / "run.json").write_text(json.dumps(content))
    (folder / "overrides.yaml").write_text("".join(f"- {json.dumps(word)}\n" for word in words) or "[]\n")
    if status == "done":
        (folder / "report.json").write_text(json.dumps(report_of(config) if report is None else report))
    if step is not None:
        records = [{"step": at, "epoch": 1 + at // 10, "time": 0.5, "train/loss": 0.5} for at in range(step + 1)]
        (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return folder
