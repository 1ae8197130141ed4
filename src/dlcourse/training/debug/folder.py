"""Where debug runs lie, apart from real ones, and what they write there."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from dlcourse.config.run_config import FolderConfig, RunConfig
from dlcourse.runs.folder import DEBUG, RunFolder
from dlcourse.training.debug.findings import Finding


def place(config: FolderConfig) -> FolderConfig:
    """The folder of all runs for a debug run; `run.dir` is where it was asked for."""
    return dataclasses.replace(config, root=str(Path(config.root) / DEBUG))


def write_findings(
    config: RunConfig,
    command: str,
    findings: Sequence[Finding],
    lines: Sequence[str] = (),
    *,
    folder: RunFolder | None = None,
) -> RunFolder:
    """Write findings.json into this folder, or a new one: how it was called, what was found. No verb takes it for a run."""
    folder = folder or RunFolder.create(place(config.run), config.name)
    content = {
        "command": command,
        "findings": [dataclasses.asdict(finding) for finding in findings],
        "lines": list(lines),
    }
    folder.write_json("findings.json", {**content, "config": config.to_mapping()})
    return folder
