"""The run folder that a user names: of a finished run, or of one to resume."""

import json
import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from dlcourse.config.paths import named
from dlcourse.config.run_config import FolderConfig
from dlcourse.errors import ConfigError, DataError
from dlcourse.files import read_regular
from dlcourse.runs.checkpoints import FOLDER, Checkpoints
from dlcourse.runs.folder import CONFIG, OVERRIDES, SPEC, STATUS, SWEEP, WEIGHTS, RunFolder, folder_of_runs
from dlcourse.runs.metrics_log import METRICS
from dlcourse.runs.result import REPORT

_OF_A_RUN = {CONFIG, OVERRIDES, SPEC, METRICS, REPORT, WEIGHTS, FOLDER}
"""Names of which a run folder has several, also without its run.json."""
_MAX_PLAN_BYTES = 64 * 2**20
_DEEPEST = 6
"""Folders below each other that are looked into for runs."""


def required_run(text: str | None, verb: str, changes: Sequence[str] = ()) -> str:
    """The text that names a run, if it is given; raises ConfigError with a command in which it is not missing."""
    if text:
        return text
    runs = _below(Path(FolderConfig.root))
    run = shlex.quote(str(runs[-1])) if runs else "outputs/NAME/TIME"
    raise ConfigError(f"RUN is missing; write {' '.join(['dlcourse', verb, run, *changes])}")


def find_run(text: str, option: str = "") -> Path:
    """The run folder that `text` names: itself, or the newest run with weights below it. Raises ConfigError.

    A run that has no weights yet is not looked into: what is below it belongs to other runs.
    """
    path = folder_of_runs(text, option)
    if (path / WEIGHTS).is_file():
        return path
    if (path / STATUS).is_file() or any(path.glob("checkpoints/step-*")):
        raise ConfigError(
            f"{named(text, option)} is not finished, it has no {WEIGHTS} yet; write dlcourse resume {shlex.quote(text)}"
        )
    runs = sorted(path.glob(f"*/{WEIGHTS}")) + sorted(path.glob(f"*/*/{WEIGHTS}"))
    if not runs:
        raise ConfigError(f"{named(text, option)} has no {WEIGHTS}; expected the folder of a finished run")
    return max(runs, key=lambda weights: weights.stat().st_mtime_ns).parent


def find_runs(text: str) -> list[Path]:
    """The finished runs that `text` names: a run, all those of a sweep, or those of the newest below. Raises ConfigError."""
    path = find_finished(text)
    if not is_sweep(path):
        return [find_run(str(path))]
    done = [folder for folder, _ in runs_below(path) if (folder / REPORT).is_file() and (folder / WEIGHTS).is_file()]
    if not done:
        raise ConfigError(
            f"{named(text, '')} is a sweep without a finished run; write dlcourse resume {shlex.quote(text)}"
        )
    return sorted(done, key=lambda folder: (len(folder.name.partition("-")[0]), folder.name))  # 2 before 10


def find_finished(text: str) -> Path:
    """The folder of a run or a sweep that `text` names: itself, finished or not, or the newest with results below it.

    Raises ConfigError.
    """
    path = folder_of_runs(text)
    if is_run(path) or is_sweep(path) or (path / STATUS).is_file():
        return path
    runs = [folder for folder in _below(path) if is_sweep(folder) or (folder / WEIGHTS).is_file()]
    if not runs:
        raise ConfigError(f"'{text}' has no {WEIGHTS}; expected the folder of a finished run, or of a sweep")
    return runs[-1]


def find_started(text: str) -> Path:
    """The folder of a run or a sweep that `text` names: itself, or the newest below it. Raises ConfigError."""
    path = folder_of_runs(text)
    if is_run(path) or is_sweep(path):
        return path
    runs = _below(path)
    if not runs:
        raise ConfigError(f"'{text}' is not the folder of a run: it has no {CONFIG} and no {FOLDER}")
    return runs[-1]


def _below(path: Path) -> list[Path]:
    """The sweeps, and the runs outside of them, in a folder and in the folders there, the newest last."""
    folders = [folder for pattern in ("*", "*/*") for folder in path.glob(pattern)]
    found = [folder for folder in folders if is_sweep(folder) or (is_run(folder) and not is_sweep(folder.parent))]
    return sorted(found, key=lambda folder: folder.stat().st_mtime_ns)


def runs_below(folder: Path) -> Iterator[tuple[Path, Path | None]]:
    """Every run folder in a folder or itself, also of a run that is damaged, each with the folder of its sweep, if any.

    No link is followed, and no hidden folder is looked into.
    """
    yield from _runs_below(folder, None, _DEEPEST)


def _runs_below(folder: Path, sweep: Path | None, depth: int) -> Iterator[tuple[Path, Path | None]]:
    try:
        with os.scandir(folder) as entries:
            names = {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}
    except OSError:  # not ours to read, or removed meanwhile
        return
    if STATUS in names or len(_OF_A_RUN & names.keys()) > 1:
        yield folder, sweep
    elif depth:
        inside = folder if SWEEP in names else None
        for name, is_folder in names.items():
            if is_folder and not name.startswith("."):
                yield from _runs_below(folder / name, inside, depth - 1)


def planned_runs(sweep: Path) -> int:
    """How many runs a sweep is to have, also those that have no folder yet; 0 if its list cannot be read."""
    try:
        plan = json.loads(read_regular(sweep / SWEEP, _MAX_PLAN_BYTES))
        search = plan.get("search")
        if search is None:
            return len(plan["runs"])
        return int(search["trials"]) * int(search["seeds"] or 1) * int(search.get("folds") or 1)
    except (DataError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return 0


def is_sweep(folder: Path) -> bool:
    """Whether it is the folder of a sweep, which has a list of runs."""
    return (folder / SWEEP).is_file()


def is_run(folder: Path) -> bool:
    """Whether it is the folder of a run, which has a config or a checkpoint."""
    return folder.is_dir() and ((folder / CONFIG).is_file() or checkpoints_of(RunFolder(folder)).exist())


def checkpoints_of(folder: RunFolder, keep: int = 2) -> Checkpoints:
    """Those of a run folder."""
    return Checkpoints(folder / FOLDER, keep)
