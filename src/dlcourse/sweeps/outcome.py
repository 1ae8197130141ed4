"""How the runs of a sweep stand, as their folders tell: done, failed, cut short, or not done yet."""

import contextlib
from pathlib import Path

from dlcourse.errors import DataError, OutputError, UserError
from dlcourse.runs.folder import STATUS, RunFolder
from dlcourse.runs.reopen import run_facts
from dlcourse.runs.result import RunResult, read_result
from dlcourse.runs.resume import read_status


class RunFailedError(UserError):
    """Why a run failed, as its folder says."""

    exit_code = 1


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
            return RunFailedError(str(run_facts(folder).get("reason") or "it does not say why"))
    except DataError as error:
        return error
    return (
        CutShortError(f"its process ended without a word; see {log_of(folder).name}") if status == "running" else None
    )


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
