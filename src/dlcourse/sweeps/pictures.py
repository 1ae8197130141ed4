"""The pictures of a sweep, from what its runs have logged: their curves, their options, and the history of a search."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from dlcourse.config.run_config import RunConfig, option_values
from dlcourse.plots import (
    Captioned,
    OptionImportances,
    OptionSlices,
    ParallelOptions,
    Picture,
    SearchHistory,
    SweepCurves,
    save_png,
    to_image,
)
from dlcourse.runs.metrics_log import METRICS, read_metrics
from dlcourse.sweeps.importance import importances
from dlcourse.sweeps.outcome import outcome
from dlcourse.sweeps.ranking import SEED, Group, repeated_over

_FEWEST = 2
"""Runs from which on there is something to compare."""


def write_pictures(
    folder: Path,
    ranked: Sequence[Group],
    configs: Mapping[Path, RunConfig],
    subject: str,
    *,
    is_search: bool = False,
) -> list[str]:
    """Draw them for runs that are compared by the same number, and return the names of the files.

    `configs` are those of all runs by their folders, in the order of the runs; `subject` is what the caption says they are
    of. If `is_search`, the runs are trials, each chosen in view of those before it, and sweep_history.png shows them so.
    """
    if not ranked or len({group.monitor for group in ranked}) > 1 or sum(len(group.runs) for group in ranked) < _FEWEST:
        return []
    metric = ranked[0].monitor.partition("/")[2]
    drawn: dict[str, Picture] = {"sweep_curves.png": _curves(ranked, metric)}
    runs = [run for group in ranked for _, run in group.runs]
    options = [word.partition("=")[0].lstrip("+") for word in ranked[0].words]
    if options:
        rows = [_values(configs[run.folder]) for run in runs]
        values = [[row.get(option, "-") for row in rows] for option in options]
        reached = [run.best for run in runs]
        drawn["sweep_parallel.png"] = ParallelOptions(metric, runs[0].mode, options, values, reached)
        drawn["sweep_slices.png"] = OptionSlices(metric, options, values, reached)
        shares = importances(options, values, reached) if len(options) > 1 else None
        if shares:
            drawn["sweep_importances.png"] = OptionImportances(metric, list(shares), list(shares.values()))
    if is_search:
        drawn["sweep_history.png"] = _history(ranked, metric, configs)
    for name, picture in drawn.items():
        save_png(to_image(Captioned(picture, subject)), folder / name)
    return list(drawn)


def _history(ranked: Sequence[Group], metric: str, folders: Iterable[Path]) -> SearchHistory:
    """The trials that have ended, in their order; one that failed reached nothing."""
    results = {run.folder: run for group in ranked for _, run in group.runs}
    ended = [folder for folder in folders if folder in results or isinstance(outcome(folder), Exception)]
    reached = [results[folder].best if folder in results else math.nan for folder in ended]
    return SearchHistory(metric, ranked[0].runs[0][1].mode, reached, [folder not in results for folder in ended])


def _curves(ranked: Sequence[Group], metric: str) -> SweepCurves:
    labels = [
        ", ".join(word.partition("=")[2] for word in group.words) or repeated_over([group]) or SEED for group in ranked
    ]
    return SweepCurves(
        metric, labels, [[validation_curve(run.folder, metric) for _, run in group.runs] for group in ranked]
    )


def validation_curve(folder: Path, metric: str) -> tuple[list[int], list[float]]:
    """The epochs with a validation number, and these."""
    found = {
        int(record["epoch"]): float(record[f"val/{metric}"])
        for record in read_metrics(folder / METRICS)
        if f"val/{metric}" in record
    }
    return list(found), list(found.values())


def _values(config: RunConfig) -> dict[str, float | str]:
    """The options of a run, truth values as words."""
    options = {"experiment": config.name, **option_values(config)}
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in options.items()}
