"""The folder of debug runs, apart from real ones, and the findings written there."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from dlcourse.config.run_config import FolderConfig, RunConfig
from dlcourse.runs.folder import DEBUG, RunFolder
from dlcourse.training.debug.findings import Finding


def place(config: FolderConfig) -> FolderConfig:
    """Where a debug run goes: below `debug` in `run.root`, or to `run.dir` if that is given."""
    return dataclasses.replace(config, root=str(Path(config.root) / DEBUG))


def write_findings(
    config: RunConfig,
    command: str,
    findings: Sequence[Finding],
    lines: Sequence[str] = (),
    *,
    folder: RunFolder | None = None,
) -> RunFolder:
    """Write findings.json into this folder or a new one: command, findings, config. No command takes it for a run."""
    folder = folder or RunFolder.create(place(config.run), config.name)
    content = {
        "command": command,
        "findings": [dataclasses.asdict(finding) for finding in findings],
        "lines": list(lines),
    }
    folder.write_json("findings.json", {**content, "config": config.to_mapping()})
    return folder
