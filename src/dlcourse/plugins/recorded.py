"""What a run records of the plug-ins that it uses, and how that compares with the plug-ins named when it is opened.

The record has names and checksums of files inside a plug-in folder, never where that folder is: who opens a run names it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from dlcourse.config.paths import conf_dir
from dlcourse.config.registry import Choice
from dlcourse.config.run_config import RunConfig
from dlcourse.errors import ConfigError
from dlcourse.plugins.folder import GROUPS
from dlcourse.plugins.named import FLAG, named_entries

Record = dict[str, dict[str, str]]
"""By group of the config: the `file` inside of its plug-in folder that the entry comes from, and its `sha256`."""

KEY = "plugins"
"""What the record is called in run.json and in a checkpoint; a run without plug-ins has none there."""


def used(config: RunConfig) -> Record:
    """The record of a run of this config with the folders that are named now; raises ConfigError."""
    return {
        entry.group: {"file": entry.file, "sha256": entry.sha256}
        for entry in named_entries()
        if _chosen(config, entry.group) == entry.name
    }


def read(facts: Mapping[str, Any]) -> Record:
    """The record in the facts of run.json or of a checkpoint, which may be a stranger's: what is malformed is left out."""
    record, found = facts.get(KEY), {}
    for group in GROUPS:
        entry = record.get(group) if isinstance(record, dict) else None
        if isinstance(entry, dict) and isinstance(entry.get("file"), str) and isinstance(entry.get("sha256"), str):
            found[group] = {"file": entry["file"][:200], "sha256": entry["sha256"]}
    return found


def require_named(config: RunConfig, facts: Mapping[str, Any]) -> None:
    """Raise ConfigError if an entry of the run comes from a plug-in folder and no folder that is named has it."""
    here = used(config)
    for group in read(facts):
        is_ours = (conf_dir() / group / f"{_chosen(config, group)}.yaml").exists()
        if group not in here and not is_ours:
            raise ConfigError(f"{group} '{_chosen(config, group)}' is from a plug-in folder; name it: {FLAG} DIR")


def changes(config: RunConfig, facts: Mapping[str, Any]) -> Iterator[str]:
    """A line for each file that has changed since the run wrote these facts of run.json or of a checkpoint."""
    here = used(config)
    for group, entry in read(facts).items():
        if group in here and here[group]["sha256"] != entry["sha256"]:
            yield f"plug-in {entry['file']} has changed since the run"


def _chosen(config: RunConfig, group: str) -> str:
    choice = getattr(config, group)
    assert isinstance(choice, Choice)
    return choice.name
