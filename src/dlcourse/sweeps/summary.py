"""The end of a sweep: its runs ranked by their validation numbers, on the screen, in summary.txt and in summary.csv."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dlcourse.console import format_metric, format_seconds
from dlcourse.error_line import error_line
from dlcourse.runs.folder import RunFolder, output_errors
from dlcourse.runs.result import RunResult
from dlcourse.terminal import escaped
from dlcourse.text_table import aligned


@dataclass
class Job:
    """One run of a sweep: what sets it apart (`key=value` words), its folder, and its result, error or None if not run."""

    overrides: Sequence[str]
    folder: Path = Path()
    outcome: RunResult | Exception | None = None


def write_summary(folder: Path, jobs: Sequence[Job]) -> None:
    """Print the table and write it into the sweep's folder."""
    ranked = rank(jobs)
    lines = [*_table(ranked), *_failures(jobs)]
    print(
        "",
        *lines,
        f"\nsweep  {folder}",
        f"look   tensorboard --logdir {shlex.quote(str(folder))}",
        sep="\n",
        flush=True,
    )
    with output_errors(folder):
        files = RunFolder(folder)
        files.write_text("summary.txt", escaped("\n".join(lines)) + "\n")
        files.write_table("summary.csv", _csv_rows(ranked, jobs))


def rank(jobs: Sequence[Job]) -> list[tuple[Job, RunResult]]:
    """The runs that ended well, best first by the validation number of the weights they kept.

    Runs of tasks that watch different numbers are ranked apart. A NaN comes last.
    """
    done = [(job, job.outcome) for job in jobs if job.outcome is not None and not isinstance(job.outcome, Exception)]

    def place(entry: tuple[Job, RunResult]) -> tuple[str, bool, float]:
        result = entry[1]
        return result.monitor, result.best != result.best, -result.best if result.mode == "max" else result.best

    return sorted(done, key=place)


def _validation_names(ranked: Sequence[tuple[Job, RunResult]]) -> list[str]:
    """The validation numbers of all runs, those that ranked first, without repetition."""
    monitors = [result.monitor for _, result in ranked]
    others = [name for _, result in ranked for name in result.scalars if name.startswith("val/")]
    return list(dict.fromkeys([*monitors, *others]))


def _table(ranked: Sequence[tuple[Job, RunResult]]) -> list[str]:
    """`rank  model=mlp  0.95 ...`, words to the left and numbers to the right, as wide as their widest entry."""
    if not ranked:
        return []
    names = _validation_names(ranked)
    varied = [override.partition("=")[0] for override in ranked[0][0].overrides]
    rows = [["rank", *varied, *names, "epoch", "time", "folder"]]
    for place, (job, result) in enumerate(ranked, start=1):
        values = [format_metric(name, result.scalars[name]) if name in result.scalars else "" for name in names]
        words = [override.partition("=")[2] for override in job.overrides]
        rows.append(
            [str(place), *words, *values, str(result.kept_epoch), format_seconds(result.seconds), result.folder.name]
        )
    left = {0, *range(1, 1 + len(varied)), len(rows[0]) - 1}
    return aligned(rows, left=left)


def _failures(jobs: Sequence[Job]) -> list[str]:
    lines = []
    for job in jobs:
        if isinstance(job.outcome, Exception):
            which = " ".join(job.overrides) or f"run {job.folder.name}"  # of two runs of the same words
            lines.append(f"failed  {which}: {error_line(job.outcome)}")
    not_run = sum(job.outcome is None for job in jobs)
    return [*lines, f"not run  {not_run} of {len(jobs)}, interrupted"] if not_run else lines


def _csv_rows(ranked: Sequence[tuple[Job, RunResult]], jobs: Sequence[Job]) -> list[list[object]]:
    """A head and a row for each run, the failed ones with their error and without a rank."""
    names = _validation_names(ranked)
    varied = [override.partition("=")[0] for override in jobs[0].overrides]
    rows: list[list[object]] = [["rank", *varied, *names, "kept_epoch", "seconds", "folder", "error"]]
    for place, (job, result) in enumerate(ranked, start=1):
        values = [result.scalars.get(name) for name in names]
        rows.append([place, *_words(job), *values, result.kept_epoch, round(result.seconds, 3), result.folder, ""])
    for job in jobs:
        if isinstance(job.outcome, Exception):
            rows.append(["", *_words(job), *[""] * len(names), "", "", job.folder, error_line(job.outcome)])
    return rows


def _words(job: Job) -> list[str]:
    return [override.partition("=")[2] for override in job.overrides]
