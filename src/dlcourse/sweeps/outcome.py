"""How the runs of a sweep stand, as their folders tell: done, failed, cut short, or not done yet."""

import contextlib
from dataclasses import replace
from pathlib import Path

from dlcourse.errors import ConfigError, DataError, DivergedError, OutputError, UserError
from dlcourse.runs.folder import STATUS, RunFolder
from dlcourse.runs.reopen import run_facts
from dlcourse.runs.result import RunResult, read_result
from dlcourse.runs.resume import read_status


class RunFailedError(UserError):
    """Why a run failed, as its folder says."""

    exit_code = 1


class RunDivergedError(RunFailedError):
    """A run that failed because its loss became NaN or infinite: of a search the worst."""


class CutShortError(UserError):
    """A run whose process ended without a word; it is resumed with the sweep."""

    exit_code = 1


def outcome(folder: Path) -> RunResult | Exception | None:
    """What a run that nobody works on has come to; None for one that is still to be done, or was told to stop."""
    status = read_status(folder)
    try:
        if status == "done":
            return read_result(folder)
        if status == "failed":
            facts = run_facts(folder)
            kind = RunDivergedError if facts.get("error") == DivergedError.__name__ else RunFailedError
            return kind(str(facts.get("reason") or "it does not say why"))
    except DataError as error:
        return error
    return (
        CutShortError(f"its process ended without a word; see {log_of(folder).name}") if status == "running" else None
    )


def compared_by(reached: RunResult, metric: str | None, direction: str | None) -> RunResult:
    """The result as one that is compared by this number instead of its task's own; raises ConfigError."""
    metric = metric or reached.monitor
    if metric not in reached.scalars:
        raise ConfigError(
            f"hydra.sweeper.metric={metric}: the runs have no such number; expected one of {', '.join(reached.scalars)}"
        )
    known = {reached.monitor: reached.mode, "val/loss": "min"}
    if direction is None and metric not in known:
        raise ConfigError(f"hydra.sweeper.metric={metric}: say what is better with hydra.sweeper.direction=max or min")
    return replace(reached, monitor=metric, mode=direction or known[metric])


def record_failure(folder: Path, reason: str) -> None:
    """Let the folder of a run say that it failed, unless it does already, or another process works on it."""
    with contextlib.suppress(OSError, OutputError, UserError):
        folder.mkdir(exist_ok=True)
        with RunFolder(folder).locked() as run:
            if read_status(folder) != "failed":
                facts = run_facts(folder) if (folder / STATUS).exists() else {"files": {}}
                run.write_json(STATUS, facts | {"status": "failed", "reason": reason})


def log_of(folder: Path) -> Path:
    """The file beside a run's folder with what the run printed: `03.log`."""
    return folder.with_name(f"{folder.name.partition('-')[0]}.log")
