"""`dlcourse runs`: all runs below a folder on one screen, sorted and chosen as asked, also as CSV, JSON or Markdown."""

import argparse
import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dlcourse.cli.runs_table import FORMATS, Line, print_markdown, print_records, print_table
from dlcourse.cli.runs_where import chosen
from dlcourse.config.options import suggestion
from dlcourse.config.run_config import FolderConfig
from dlcourse.error_line import flag_error
from dlcourse.errors import ConfigError
from dlcourse.runs.find import is_sweep, planned_runs
from dlcourse.runs.folder import folder_of_runs
from dlcourse.runs.listing import list_runs
from dlcourse.runs.record import RunRecord
from dlcourse.terminal import print_help

HELP = """\
dlcourse runs [FOLDER]  all runs below a folder (default outputs), the newest last; a sweep is one line, of its best run
  --all                 a line for each run of a sweep, too; those of one sweep: dlcourse runs SWEEP
  --sort COLUMN         validation or test (best first), time (shortest first), name, or started (newest last)
  --where KEY=VALUE     only runs, also of sweeps, with this data, model, state, name, tag, optimizer, ... or option, such as
                        optimizer.lr=0.01; * in VALUE stands for any letters; all conditions must hold
  --markdown            the table to paste
  --csv, --json         all that is known of every run, for other programs

For example:
  dlcourse runs --where model=cnn --sort validation
  dlcourse runs outputs/multirun/2026-11-21_101500-3f2a --csv
"""

_FLAGS = ("--all", "--sort", "--where", *(f"--{name}" for name in FORMATS))


def main(words: list[str]) -> int:
    """List what the words behind `runs` ask for; raises ConfigError."""
    if "--help" in words or "-h" in words:
        print_help(HELP)
        return 0
    options = _parse(words)
    root, records = _read(options.folder)
    found = chosen(records, options.where)
    if options.all or options.where or options.format in ("csv", "json") or is_sweep(root):
        lines = [Line(record.folder, (record,)) for record in found]
    else:
        lines = _sweeps_together(found)
    lines = _sorted(lines, options.sort)
    if options.format in ("csv", "json"):
        print_records([line.best for line in lines], options.format)
    elif options.format == "markdown":
        print_markdown(lines, root)
    else:
        print_table(lines, root, records)
    return 0


def _parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.error = flag_error("runs")  # type: ignore[assignment, method-assign]
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--sort", default="started")
    parser.add_argument("--where", action="append", default=[])
    formats = parser.add_mutually_exclusive_group()
    for name in FORMATS:
        formats.add_argument(f"--{name}", action="store_const", dest="format", const=name)
    for word in words:
        if word.startswith("-") and word.partition("=")[0] not in _FLAGS:
            raise ConfigError(f"unknown flag '{word}'{suggestion(word.partition('=')[0], _FLAGS)}")
    options = parser.parse_args(words)
    if options.sort not in _ORDERS:
        raise ConfigError(f"unknown column '{options.sort}' to sort by{suggestion(options.sort, _ORDERS)}")
    return options


def _read(text: str | None) -> tuple[Path, Sequence[RunRecord]]:
    """The folder and all runs below it; where no folder is named and there is none yet, there are no runs."""
    root = Path(FolderConfig.root) if text is None else folder_of_runs(text)
    return root, list_runs(text)


def _sweeps_together(records: Sequence[RunRecord]) -> list[Line]:
    """A line for each run, or for all of a sweep together."""
    together: dict[Path, list[RunRecord]] = {}
    for record in records:
        together.setdefault(record.sweep or record.folder, []).append(record)
    return [
        Line(folder, tuple(_best_first(runs)), planned_runs(folder) if runs[0].sweep else 0)
        for folder, runs in together.items()
    ]


def _best_first(runs: list[RunRecord]) -> list[RunRecord]:
    """The runs with the best first, by the number that most of them are compared by; those without one follow."""
    monitors = Counter(run.monitor for run in runs if run.monitor)
    usual = monitors.most_common(1)[0][0] if monitors else ""
    return sorted(runs, key=lambda run: (run.monitor != usual, *_by_number(run, run.validation), run.started))


def _by_number(run: RunRecord, value: float | None) -> tuple[Any, ...]:
    """By this, better numbers come first; NaN follows, then runs that have none."""
    if value is None:
        return True, "", True, 0.0
    return False, run.monitor, math.isnan(value), -value if run.mode == "max" else value


_ORDERS: dict[str, Callable[[Line], tuple[Any, ...]]] = {
    "validation": lambda line: _by_number(line.best, line.best.validation),
    "test": lambda line: _by_number(line.best, line.best.test),
    "time": lambda line: (line.seconds is None, line.seconds or 0.0),
    "name": lambda line: (line.best.name, line.started),
    "started": lambda line: (line.started,),
}


def _sorted(lines: Sequence[Line], column: str) -> list[Line]:
    """The lines in the order of a column; of equal ones the newest is last."""
    return sorted(lines, key=lambda line: (*_ORDERS[column](line), line.started, str(line.folder)))
