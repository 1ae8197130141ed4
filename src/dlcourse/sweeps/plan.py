"""sweep.json: the runs of a sweep, written before any of them begins; how they stand, their folders say.

The list of a search grows, by each trial when its turn comes.
"""

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString

from dlcourse.errors import DataError
from dlcourse.files import read_regular, write_durably
from dlcourse.plugins.named import flags
from dlcourse.runs.folder import SWEEP
from dlcourse.sweeps.search import Search, search_from

_FORMAT = 1
_MAX_BYTES = 64 * 2**20


@dataclass(frozen=True)
class PlannedRun:
    """A run by the words behind `dlcourse train`, of which `varied` are those that set it apart, and its folder's name."""

    words: tuple[str, ...]
    varied: tuple[str, ...]
    folder: str


@dataclass(frozen=True)
class Plan:
    """The runs of a sweep in order, the folder of config files they were composed with, and how they are launched.

    Those of a search are the ones that were chosen so far.
    """

    runs: tuple[PlannedRun, ...]
    config_dir: str | None = None
    launcher: Mapping[str, Any] = field(default_factory=dict)
    search: Search | None = None

    def is_same_list(self, other: "Plan") -> bool:
        """Whether both are the same runs or the same search, wherever and however they are launched."""
        if self.search is not None:
            return self.config_dir == other.config_dir and self.search.is_same(other.search)
        return other.search is None and (self.config_dir, [run.words for run in self.runs]) == (
            other.config_dir,
            [run.words for run in other.runs],
        )


def command(run: PlannedRun, folder: Path, config_dir: str | None) -> list[str]:
    """The command that does a run of a sweep in its folder, and continues it if it was begun.

    It looks for no modules in the current folder, which is the user's (-P), and names the plug-in folders that are named
    here, whatever the files of the sweep say.
    """
    places = [*flags(), *([] if config_dir is None else ["--config-dir", config_dir])]
    where = f"run.dir={QuotedString(str(folder), Quote.single).with_quotes()}"
    return [sys.executable, "-P", "-m", "dlcourse", "train", *places, *run.words, where, "resume=auto"]


def write_plan(folder: Path, plan: Plan) -> None:
    """Write it, durably."""
    content = {"format": _FORMAT, **asdict(plan)}
    write_durably(folder / SWEEP, (json.dumps(content | {"sha256": _checksum(content)}, indent=1) + "\n").encode())


def read_plan(folder: Path) -> Plan:
    """What is written there; raises DataError for a file that is damaged, or of another version."""
    path = folder / SWEEP
    try:
        content = json.loads(read_regular(path, _MAX_BYTES))
        stated = content.pop("sha256")
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise DataError(f"{path} is damaged: it is no list of runs; start the sweep anew") from None
    if content.get("format") != _FORMAT:
        raise DataError(f"{path} is of another version of dlcourse: format {content.get('format')!r}, not {_FORMAT}")
    if stated != _checksum(content):
        raise DataError(f"{path} is damaged: its content differs from its checksum; start the sweep anew")
    try:
        plan = _plan(content)
    except (KeyError, TypeError, AttributeError, ValueError):
        raise DataError(f"{path} is damaged: it is no list of runs; start the sweep anew") from None
    for run in plan.runs:
        if Path(run.folder).name != run.folder or run.folder in ("", ".", ".."):
            raise DataError(f"{path} names a folder outside of the sweep: {run.folder!r}")
    return plan


def _plan(content: Mapping[str, Any]) -> Plan:
    search = content.get("search")
    return Plan(
        tuple(map(_run, content["runs"])),
        content["config_dir"],
        content["launcher"],
        None if search is None else search_from(search),
    )


def _run(entry: Mapping[str, Any]) -> PlannedRun:
    return PlannedRun(_words(entry["words"]), _words(entry["varied"]), str(entry["folder"]))


def _words(words: Iterable[Any]) -> tuple[str, ...]:
    return tuple(map(str, words))


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
