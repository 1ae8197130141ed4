"""The end of a sweep: its runs ranked by their validation numbers, on the screen and in summary.txt, .csv, .json and .md."""

import math
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcourse.console import format_seconds
from dlcourse.error_line import error_line
from dlcourse.runs.folder import RunFolder, output_errors
from dlcourse.sweeps.outcome import RunDivergedError
from dlcourse.sweeps.ranking import Group, Job, rank, repeated_over
from dlcourse.terminal import escaped
from dlcourse.text_table import aligned, markdown


@dataclass(frozen=True)
class Summary:
    """The table of a sweep: its heading, its rows with a head, which columns are words, and what failed, a line each."""

    heading: str
    rows: list[list[str]]
    words: frozenset[int]
    failures: list[str]


def summarize(jobs: Sequence[Job]) -> Summary:
    """What `write_summary` prints, as plain data."""
    ranked = rank(jobs)
    rows = _table(ranked)
    words = frozenset(_left(ranked, len(rows[0]))) if rows else frozenset[int]()
    return Summary("".join(_heading(ranked)), rows, words, _failures(jobs))


def write_summary(folder: Path, jobs: Sequence[Job], pictures: Sequence[str] = ()) -> None:
    """Print the table and write it into the sweep's folder, beside these pictures."""
    ranked = rank(jobs)
    table = _table(ranked)
    lines = [*_heading(ranked), *_aligned(table, ranked), *_failures(jobs)]
    print(
        "",
        *lines,
        f"\nsweep  {folder}",
        *["saved  " + "  ".join(["summary.csv", *pictures])] * bool(pictures),
        f"look   dlcourse tensorboard {shlex.quote(str(folder))}",
        sep="\n",
        flush=True,
    )
    with output_errors(folder):
        files = RunFolder(folder)
        files.write_text("summary.txt", escaped("\n".join(lines)) + "\n")
        files.write_text("summary.md", escaped("\n".join(_markdown(table, ranked))) + "\n")
        files.write_table("summary.csv", _csv_rows(ranked, jobs))
        files.write_json("summary.json", _content(ranked, jobs))


def _heading(ranked: Sequence[Group]) -> list[str]:
    """By what the runs are ranked, and that nobody looked at the test set for it."""
    if not ranked:
        return []
    monitors = dict.fromkeys((group.monitor, group.runs[0][1].mode) for group in ranked)
    over = f", mean ± standard deviation over {repeated_over(ranked)}" if _has_repetitions(ranked) else ""
    by = " and ".join(f"{name} ({'higher' if mode == 'max' else 'lower'} is better)" for name, mode in monitors)
    return [f"ranked by {by}{over}; the test set has no part in it"]


def _has_repetitions(ranked: Sequence[Group]) -> bool:
    return any(len(group.runs) > 1 for group in ranked)


def _validation_names(ranked: Sequence[Group]) -> list[str]:
    """The validation numbers of all runs, those that ranked first, without repetition."""
    monitors = [group.monitor for group in ranked]
    others = [name for group in ranked for _, run in group.runs for name in run.scalars if name.startswith("val/")]
    return list(dict.fromkeys([*monitors, *others]))


def _varied(ranked: Sequence[Group]) -> list[str]:
    return [word.partition("=")[0] for word in ranked[0].words] if ranked else []


def _table(ranked: Sequence[Group]) -> list[list[str]]:
    """A head and a row for each group, which names the folder of its best run."""
    if not ranked:
        return []
    names, repeats = _validation_names(ranked), _has_repetitions(ranked)
    rows = [
        ["rank", *_varied(ranked), *names, "epoch", "time", *["runs"] * repeats, "best run" if repeats else "folder"]
    ]
    for place, group in enumerate(ranked, start=1):
        values = [group.shown(name) for name in names]
        words = [word.partition("=")[2] for word in group.words]
        count = [str(len(group.runs))] * repeats
        best = group.best_run
        seconds = sum(run.seconds for _, run in group.runs) / len(group.runs)
        rows.append(
            [str(place), *words, *values, str(best.kept_epoch), format_seconds(seconds), *count, best.folder.name]
        )
    return rows


def _left(ranked: Sequence[Group], columns: int) -> set[int]:
    """The columns of words; the others are of numbers."""
    return {0, *range(1, 1 + len(_varied(ranked))), columns - 1}


def _aligned(table: Sequence[Sequence[str]], ranked: Sequence[Group]) -> list[str]:
    """Words to the left and numbers to the right, as wide as their widest entry."""
    return aligned(table, left=_left(ranked, len(table[0]))) if table else []


def _markdown(table: Sequence[Sequence[str]], ranked: Sequence[Group]) -> list[str]:
    """The table to paste."""
    return [*_heading(ranked), "", *markdown(table, left=_left(ranked, len(table[0])))] if table else []


def _failures(jobs: Sequence[Job]) -> list[str]:
    lines = []
    for job in jobs:
        if isinstance(job.outcome, Exception):
            which = " ".join(job.overrides) or f"run {job.folder.name}"  # of two runs of the same words
            if isinstance(job.outcome, RunDivergedError):
                lines.append(f"diverged  {which}: {job.outcome}")
            else:
                lines.append(f"failed  {which}: {error_line(job.outcome)}")
    not_run = sum(job.outcome is None for job in jobs)
    return [*lines, f"not run  {not_run} of {len(jobs)}, interrupted"] if not_run else lines


def _csv_rows(ranked: Sequence[Group], jobs: Sequence[Job]) -> list[list[object]]:
    """A head and a row for each run, with the rank of its group; the failed ones with their error and without a rank."""
    names = _validation_names(ranked)
    varied = [override.partition("=")[0] for override in jobs[0].overrides]
    rows: list[list[object]] = [["rank", *varied, *names, "kept_epoch", "seconds", "folder", "error"]]
    for place, group in enumerate(ranked, start=1):
        for job, run in group.runs:
            values = [run.scalars.get(name) for name in names]
            rows.append([place, *_values(job), *values, run.kept_epoch, round(run.seconds, 3), run.folder, ""])
    for job in jobs:
        if isinstance(job.outcome, Exception):
            rows.append(["", *_values(job), *[""] * len(names), "", "", job.folder, error_line(job.outcome)])
    return rows


def _values(job: Job) -> list[str]:
    return [override.partition("=")[2] for override in job.overrides]


def _content(ranked: Sequence[Group], jobs: Sequence[Job]) -> dict[str, Any]:
    """The same for programs; a number that is not finite is null."""
    return {
        "ranked": [
            {
                "rank": place,
                "options": _options(group.words),
                "monitor": group.monitor,
                "mean": _finite((name, group.mean(name)) for name in _validation_names([group])),
                "deviation": _finite((name, group.deviation(name)) for name in _validation_names([group])),
                "runs": [_options(job.overrides) | {"folder": job.folder.name} for job, _ in group.runs],
            }
            for place, group in enumerate(ranked, start=1)
        ],
        "failed": [
            {"options": _options(job.overrides), "folder": job.folder.name, "error": error_line(job.outcome)}
            for job in jobs
            if isinstance(job.outcome, Exception)
        ],
        "not_run": [_options(job.overrides) for job in jobs if job.outcome is None],
    }


def _options(words: Iterable[str]) -> dict[str, str]:
    return {key: value for key, _, value in (word.partition("=") for word in words)}


def _finite(numbers: Iterable[tuple[str, float | None]]) -> dict[str, float | None]:
    return {name: value if value is not None and math.isfinite(value) else None for name, value in numbers}
