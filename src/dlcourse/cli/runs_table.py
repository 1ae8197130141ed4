"""The lines of `dlcourse runs`: a table that fits the terminal, or Markdown, CSV and JSON."""

import csv
import json
import math
import re
import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from dlcourse.config.run_config import NO_PART_OF_A_RUN
from dlcourse.console import format_metric, format_seconds
from dlcourse.runs.record import STATES, RunRecord
from dlcourse.terminal import escaped, styled, width
from dlcourse.text_table import aligned, counted, markdown

FORMATS = ("markdown", "csv", "json")

_HEAD = ("run", "data", "model", "options", "validation", "test", "time", "state")
_WORDS = {0, 1, 2, 3, 7}
"""The columns of words; the others are of numbers."""
_OPTIONS, _STATE = _HEAD.index("options"), _HEAD.index("state")
_LEAST = 40
"""Columns of a terminal for options and state together, with fewer of which names are shortened."""
_UNSAID = ("data", "model", "device.threads")
"""What is typed, but has a column of its own or says nothing of the result."""
_USUAL = ("trainer.epochs", "seed", "model", "data")
"""Options that a short name must not be taken for, typed or not."""
_TIME = re.compile(r"\d{4}-\d\d-\d\d_\d{6}(?=-[0-9a-f]{4}$)")


@dataclass(frozen=True)
class Line:
    """A run, or the runs of a sweep with the best first."""

    folder: Path
    runs: tuple[RunRecord, ...]
    planned: int = 0
    """How many runs the whole sweep is to have."""

    @property
    def best(self) -> RunRecord:
        return self.runs[0]

    @property
    def is_sweep(self) -> bool:
        return self.folder != self.best.folder

    @property
    def started(self) -> float:
        """When the newest of its runs began."""
        return max(run.started for run in self.runs)

    @property
    def seconds(self) -> float | None:
        """Those of all of its runs that tell."""
        known = [run.seconds for run in self.runs if run.seconds is not None]
        return math.fsum(known) if known else None

    @property
    def state(self) -> str:
        """`running 43 %`, `failed: why`, or how many runs of a sweep are in which state."""
        if self.is_sweep:
            left = self.planned - len(self.runs)
            return _counts(self.runs) + (f", {left} to do" if left > 0 else "")
        run = self.best
        progress = "" if run.progress is None else f" {math.floor(100 * run.progress)} %"
        return f"{run.state}{progress}" + (f": {run.reason}" if run.reason else "")


def _counts(runs: Iterable[RunRecord]) -> str:
    counts = Counter(run.state for run in runs)
    return ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])


def print_table(lines: Sequence[Line], root: Path, records: Sequence[RunRecord]) -> None:
    """Print the lines as a table to read, and how many of all these runs below `root` it shows."""
    if lines:
        rows = _rows(lines, root)
        for number, line in enumerate(_fitted(rows, _short_names(lines, records, root))):
            print(_styled(line, rows[number][_STATE]) if number else styled(line, "bold"))
        print()
    shown = [run for line in lines for run in line.runs]
    print(_summary(shown, len(records), root))


def print_markdown(lines: Sequence[Line], root: Path) -> None:
    """Print the lines as a table to paste."""
    print("\n".join(markdown(_rows(lines, root), left=_WORDS)))


def _summary(shown: Sequence[RunRecord], total: int, root: Path) -> str:
    if not total:
        return f"no runs in {escaped(str(root), one_line=True)} yet; dlcourse train starts one"
    some = f"{len(shown):,} of " if len(shown) < total else ""
    states = f": {_counts(shown)}" if shown else ""
    return f"{some}{counted(total, 'run')} in {escaped(str(root), one_line=True)}{states}"


def _rows(lines: Sequence[Line], root: Path) -> list[list[str]]:
    """The head and a row of plain words for each line."""
    short = _short_options(run for line in lines for run in line.runs)
    rows = [list(_HEAD)]
    for line in lines:
        best, monitor = line.best, line.best.monitor.removeprefix("val/")
        validation = "" if best.validation is None else f"{monitor} {format_metric(monitor, best.validation)}"
        test = "" if best.test is None else format_metric(monitor, best.test)
        time = "" if line.seconds is None else format_seconds(line.seconds)
        cells = [
            _below(line.folder, root),
            best.data,
            best.model,
            _options(best, short),
            validation,
            test,
            time,
            line.state,
        ]
        rows.append([escaped(cell.strip(), one_line=True) for cell in cells])
    return rows


def _below(folder: Path, root: Path) -> str:
    """The path from the folder that is listed; of that folder itself, its name."""
    return str(folder.relative_to(root)) if folder != root else folder.name or str(folder)


def _options(run: RunRecord, short: Mapping[str, str]) -> str:
    """`lr=0.01 epochs=3`: what was typed, less what another column says."""
    return " ".join(f"{short[key]}={value}" for key, value in _told(run))


def _told(run: RunRecord) -> list[tuple[str, str]]:
    """The options that set a run apart from others, in the order in which they were typed; tags are among them."""
    pairs = ((word.partition("=")[0], word.partition("=")[2]) for word in run.words)
    return [
        (key, value.replace(" ", ""))
        for key, value in pairs
        if key == "run.tags" or not (key in _UNSAID or key.partition(".")[0] in NO_PART_OF_A_RUN)
    ]


def _short_options(runs: Iterable[RunRecord]) -> dict[str, str]:
    """Options by their names without the section, unless that could be another of those shown."""
    keys = dict.fromkeys(key for run in runs for key, _ in _told(run))
    meant = Counter(_last(key) for key in dict.fromkeys([*keys, *_USUAL]))
    return {key: _last(key) if meant[_last(key)] == 1 else key for key in keys}


def _last(key: str) -> str:
    return key.partition(".")[2] or key


def _short_names(lines: Sequence[Line], records: Sequence[RunRecord], root: Path) -> dict[str, str]:
    """`digits-mlp/*-286e` by the whole path, which a shell completes to it: the time is left out if nothing else fits."""
    folders = dict.fromkeys([*(line.folder for line in lines), *(record.folder for record in records)])
    paths = [_below(folder, root) for folder in folders]
    short = {path: "/".join(_short_part(part) for part in path.split("/")) for path in paths}
    times = Counter(short.values())
    return {
        escaped(path.strip(), one_line=True): escaped(name if times[name] == 1 else path, one_line=True)
        for path, name in short.items()
    }


def _short_part(part: str) -> str:
    number, dash, _ = part.partition("-")
    return f"{number}-*" if dash and "=" in part and number.isdecimal() else _TIME.sub("*", part)


def _fitted(rows: list[list[str]], short_names: Mapping[str, str]) -> list[str]:
    """The rows in lines no wider than the terminal, as far as that can be; elsewhere in lines as long as they are."""
    if not sys.stdout.isatty():
        return aligned(rows, left=_WORDS)
    short = [rows[0], *([short_names[name], *cells] for name, *cells in rows[1:])]
    for table, columns in ((rows, range(len(_HEAD))), (short, range(len(_HEAD))), (short, (0, *range(3, len(_HEAD))))):
        kept = [[row[column] for column in columns] for row in table]
        options, state = columns.index(_OPTIONS), columns.index(_STATE)
        widths = [max(map(len, column)) for column in zip(*kept, strict=True)]
        free = width() - sum(widths) + widths[options] + widths[state] - 2 * (len(widths) - 1)
        if free >= min(_LEAST, widths[options] + widths[state]):
            break
    least = len("options")
    for_state = min(widths[state], max(free // 2, free - widths[options], min(free - least, len("cut short 43 %"))))
    for row in kept:
        row[state] = _cut(row[state], max(for_state, least))
        row[options] = _cut(row[options], max(free - for_state, least))
    return aligned(kept, left={place for place, column in enumerate(columns) if column in _WORDS})


def _cut(text: str, most: int) -> str:
    """The text, or as much of it as leaves room for three dots, which `most` has to be."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _styled(line: str, state: str) -> str:
    """The line with its state in red if the run needs somebody."""
    word = state.partition(":")[0]
    place = line.rfind(word)
    if place < 0 or not state.startswith(("failed", "damaged", "cut short")):
        return line
    return line[:place] + styled(line[place:], "red")


def print_records(records: Sequence[RunRecord], form: str) -> None:
    """Print all that is known of each run, as `csv` or `json`; a number that is not finite is left out there."""
    rows = [_content(record) for record in records]
    if form == "json":
        print(json.dumps([_finite(row) for row in rows], indent=1))
        return
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(_content(RunRecord(Path(), "done")))
    for row in rows:
        row |= {"options": shlex.join(row["options"]), "tags": ",".join(row["tags"])}
        writer.writerow(["" if value is None else escaped(str(value), one_line=True) for value in row.values()])


def _content(run: RunRecord) -> dict[str, Any]:
    return {
        "folder": str(run.folder),
        "name": run.name,
        "sweep": str(run.sweep) if run.sweep else None,
        "data": run.data,
        "model": run.model,
        "options": list(run.words),
        "tags": list(run.tags),
        "monitor": run.monitor or None,
        "mode": run.mode or None,
        "validation": run.validation,
        "test": run.test,
        "epochs": run.epochs,
        "seconds": None if run.seconds is None else round(run.seconds, 2),
        "started": datetime.fromtimestamp(run.started).astimezone().isoformat(timespec="seconds"),
        "state": run.state,
        "progress": None if run.progress is None else round(run.progress, 4),
        "reason": run.reason or None,
    }


def _finite(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in row.items()
    }
