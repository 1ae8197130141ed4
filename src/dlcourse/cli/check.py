"""`dlcourse check`: every number of the lectures' figures beside the one that theory or the literature knows."""

import json
import time
from collections.abc import Sequence
from typing import Any

from dlcourse.cli import lecture_plan
from dlcourse.cli.lecture import figures_folder, parse, plan, work
from dlcourse.console import Console, format_seconds
from dlcourse.files import whole_file
from dlcourse.lectures.work import Ended
from dlcourse.runs.folder import output_errors
from dlcourse.sweeps.grid import SOME_FAILED
from dlcourse.terminal import print_help, styled
from dlcourse.text_table import counted

HELP = """\
dlcourse check                  make every figure of the lectures, and compare its numbers with known ones
dlcourse check NAME ...         some of them, by name, by item, or by lecture: dlcourse check landscape A3 C
  data.root=DIR                 the folder of data files
  --full                        the published settings instead of the quick ones
  --strict                      figures whose data are missing count as failed
  --config-dir DIR              figures of your own, in DIR/lecture

For example:
  dlcourse check A3

Exit codes: 0 all numbers are within their bands, 1 one is out, 4 a run failed that should not have. Runs that are done are
used again; after Ctrl-C the same command goes on. All rows are in outputs/lectures/check.json.
"""

_COLUMNS = (("item", 8), ("figure", 16), ("number", 38), ("known", 20), ("measured", 12), ("source", 34), ("time", 9))
_OUT = 1


def main(words: list[str]) -> int:
    """Check the figures that the words behind `check` name, by default all; raises UserError."""
    if "--help" in words or "-h" in words:
        print_help(HELP)
        return 0
    options = parse("check", words, switches=("full", "strict"))
    known = lecture_plan.lectures(options.config_dir)
    names = [word for word in options.words if "=" not in word] or list(known)
    asked = lecture_plan.asked([*names, *(word for word in options.words if "=" in word)], known)
    began = time.perf_counter()
    table = _Table()
    print(_line([name for name, _ in _COLUMNS]))
    work(plan(asked, options), "en", lambda *_: None, table.add)
    path = figures_folder() / "check.json"
    seconds = time.perf_counter() - began
    with output_errors(path), whole_file(path) as unfinished:
        unfinished.write_text(json.dumps(table.content(seconds), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    Console().show("", f"{table.summary()}   {format_seconds(seconds)}   {path}")
    return table.exit_code(strict=options.strict)


class _Table:
    """The rows of a check, printed as they come."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._figures: dict[str, tuple[str, ...]] = {}
        self._failed: list[str] = []
        self._skipped: list[str] = []

    def add(self, ended: Ended) -> None:
        """Add the numbers of a figure, or why there are none."""
        from dlcourse.lectures.drawing import read_drawn

        lecture = ended.figure.lecture
        items, time_taken = " ".join(lecture.items), format_seconds(ended.seconds)
        self._figures[lecture.name] = lecture.items
        if ended.problem:
            (self._skipped if ended.is_missing_data else self._failed).append(lecture.name)
            word = "skipped" if ended.is_missing_data else styled("failed", "red")
            print(f"{items:<8} {lecture.name:<16} {word}  {ended.problem}", flush=True)
            return
        drawn = read_drawn(ended.figure.folder)
        for each in drawn.checked:
            row = [
                items,
                lecture.name,
                each.band.number,
                each.band.known,
                each.band.shown(each.value),
                each.band.source,
            ]
            end = "ok" if each.holds else styled("OUT", "bold", "red") + f"  {drawn.folder}"
            print(f"{_line([*row, time_taken])} {end}", flush=True)
        folders = [run["folder"] for run in drawn.content["runs"]]
        self._rows += [
            {"figure": lecture.name, "items": list(lecture.items), **each, "runs": folders, "seconds": ended.seconds}
            for each in drawn.content["checks"]
        ]

    def summary(self) -> str:
        """`50 of 50 items, 118 of 118 numbers within their bands`."""
        bad = {row["figure"] for row in self._rows if not row["holds"]} | {*self._failed, *self._skipped}
        items = {item for items in self._figures.values() for item in items}
        fine = items - {item for figure in bad for item in self._figures[figure]}
        holding = sum(row["holds"] for row in self._rows)
        numbers = f"{holding} of {counted(len(self._rows), 'number')} within their bands"
        skipped = f"   skipped: {', '.join(self._skipped)}" * bool(self._skipped)
        return f"{len(fine)} of {counted(len(items), 'item')}, {numbers}{skipped}"

    def content(self, seconds: float) -> dict[str, Any]:
        """All rows for check.json."""
        from dlcourse.device import environment

        return {
            "environment": environment(),
            "seconds": round(seconds, 1),
            "numbers": self._rows,
            "failed": self._failed,
            "skipped": self._skipped,
        }

    def exit_code(self, *, strict: bool) -> int:
        """The code that the command ends with."""
        if self._failed:
            return SOME_FAILED
        return _OUT if not all(row["holds"] for row in self._rows) or (strict and self._skipped) else 0


def _line(cells: Sequence[str]) -> str:
    """The cells in columns; one that is wider pushes the others on."""
    return " ".join(cell.ljust(width) for cell, (_, width) in zip(cells, _COLUMNS, strict=True))
