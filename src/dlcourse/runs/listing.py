"""The runs below a folder as Python's users see them: a list of records, which a notebook shows as a table."""

import os
from pathlib import Path

from dlcourse.config.paths import StrPath
from dlcourse.config.run_config import FolderConfig
from dlcourse.console import format_metric, format_seconds
from dlcourse.html_table import html_table
from dlcourse.runs.find import runs_below
from dlcourse.runs.folder import DEBUG, folder_of_runs
from dlcourse.runs.record import RunRecord, read_record
from dlcourse.terminal import escaped
from dlcourse.text_table import aligned

_COLUMNS = ("run", "data", "model", "options", "validation", "test", "time", "state", "folder")


class RunList(list[RunRecord]):
    """Records of runs, shown as a table; `pandas.DataFrame` takes it as it is."""

    def __repr__(self) -> str:
        if not self:
            return "[]"
        lines = aligned([_COLUMNS, *self._rows()], left=range(len(_COLUMNS)))
        return "\n".join(escaped(line, one_line=True) for line in lines)

    def _repr_html_(self) -> str:
        return html_table(self._rows(), _COLUMNS)

    def _rows(self) -> list[list[str]]:
        return [[told(record)[name] for name in _COLUMNS] for record in self]


def list_runs(folder: StrPath | None = None) -> RunList:
    """Every run below a folder, by default `outputs`, finished or not, the newest last.

    Debug runs are left out, unless this folder is `outputs/debug` or in it.
    Raises ConfigError if there is no such folder; if none is named and there is no `outputs` yet, there are no runs.
    """
    root = Path(FolderConfig.root) if folder is None else folder_of_runs(os.fspath(folder))
    records = [read_record(path, sweep) for path, sweep in runs_below(root)]
    real = [record for record in records if not (record.config.get("debug") and _is_below_debug(record.folder, root))]
    return RunList(sorted(real, key=lambda record: (record.started, str(record.folder))))


def _is_below_debug(folder: Path, root: Path) -> bool:
    """Whether a folder of debug runs lies between; one above `root`, such as a project called so, does not count."""
    return DEBUG in folder.relative_to(root).parts


def told(record: RunRecord) -> dict[str, str]:
    """What a line says of a run, in words by column; empty where there is nothing to say."""
    monitor = record.monitor.removeprefix("val/")
    return {
        "run": record.name,
        "data": record.data,
        "model": record.model,
        "options": " ".join(word for word in record.words if word.partition("=")[0] not in ("data", "model")),
        "validation": _number(monitor, record.validation),
        "test": _number(monitor, record.test),
        "time": "" if record.seconds is None else format_seconds(record.seconds),
        "state": f"{record.state}: {record.reason}" if record.reason else record.state,
        "folder": str(record.folder),
    }


def _number(monitor: str, value: float | None) -> str:
    return "" if value is None else f"{monitor} {format_metric(monitor, value)}"
