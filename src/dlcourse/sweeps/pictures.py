"""The pictures of a sweep, from what its runs have logged: sweep_curves.png, sweep_parallel.png and sweep_slices.png."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from dlcourse.config.run_config import RunConfig, option_values
from dlcourse.plots import Captioned, OptionSlices, ParallelOptions, Picture, SweepCurves, save_png, to_image
from dlcourse.runs.metrics_log import METRICS, read_metrics
from dlcourse.sweeps.ranking import SEED, Group

_FEWEST = 2
"""Runs from which on there is something to compare."""


def write_pictures(folder: Path, ranked: Sequence[Group], configs: Mapping[Path, RunConfig], subject: str) -> list[str]:
    """Draw them for runs that are compared by the same number, and return the names of the files.

    `configs` are those of the runs by their folders; `subject` is what the caption says they are of.
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
    for name, picture in drawn.items():
        save_png(to_image(Captioned(picture, subject)), folder / name)
    return list(drawn)


def _curves(ranked: Sequence[Group], metric: str) -> SweepCurves:
    labels = [", ".join(word.partition("=")[2] for word in group.words) or SEED for group in ranked]
    return SweepCurves(metric, labels, [[_curve(run.folder, metric) for _, run in group.runs] for group in ranked])


def _curve(folder: Path, metric: str) -> tuple[list[int], list[float]]:
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
