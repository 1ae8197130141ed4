"""Drawings for runs of any kind: learning curves in one chart, a number against an option, and what an evaluation shows."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Literal

from dlcourse.console import is_share
from dlcourse.errors import ConfigError
from dlcourse.lectures.finished import Finished
from dlcourse.metrics.names import metric_name
from dlcourse.metrics.report import Report
from dlcourse.plots import BarChart, LineChart, Picture
from dlcourse.text_table import counted
from dlcourse.training.evaluate import evaluate


def curves(
    runs: Sequence[Finished],
    y: str = "val/loss",
    log: bool = False,
    least: float | None = None,
    most: float | None = None,
) -> Report:
    """A number of all runs over the epochs, in one chart, whose axis may be cut off at `least` and `most`.

    Its numbers are those that each run reached, behind the run's label: `optimizer.lr=0.1 val/mse`, `... diverged`.
    """
    lines = {run.label: run.series(y) for run in runs}
    chart = LineChart(lines, "epoch", axis_name(y), log_y=log, share=is_share(y), limits_y=(least, most))
    return Report(numbers_of(runs), pictures={"curves": chart})


def against(
    runs: Sequence[Finished],
    option: str = "",
    y: str = "test/accuracy",
    log_x: bool = False,
    log: bool = False,
) -> Report:
    """A number that the runs reached against the option that varies, a line for each combination of the others.

    Runs that differ in nothing but the seed are averaged. Besides the numbers of each run it gives for each line `lowest`,
    `lowest at`, `highest`, `highest at`, and in how many of its steps it falls and rises: `falls`, `rises`. The names of
    several lines stand before these.
    """
    option = option or _varied_option(runs)
    lines = {
        name: _means([(_number(run, option), run.numbers().get(y, float("nan"))) for run in group])
        for name, group in _groups(runs, {option, "seed"}).items()
    }
    scalars = numbers_of(runs)
    for name, (places, heights) in lines.items():
        scalars |= {f"{name} {key}".strip(): value for key, value in _shape(places, heights).items()}
    axis = option.rpartition(".")[2].replace("_", " ")
    named = {name or axis_name(y): line for name, line in lines.items()}
    chart = LineChart(named, axis, axis_name(y), log_x=log_x, log_y=log, share=is_share(y))
    return Report(scalars, pictures={"against": chart})


def bars(runs: Sequence[Finished], y: str = "test/accuracy", level: str = "", at: float = 0.0) -> Report:
    """A number that each run reached as a bar; `level` names the value `at`, which is marked, such as chance."""
    scalars = numbers_of(runs)
    reached = {run.label: run.numbers().get(y, float("nan")) for run in runs}
    chart = BarChart(reached, axis_name(y), share=is_share(y), at={level: at} if level else {})
    return Report(scalars, pictures={"bars": chart})


def evaluated(
    runs: Sequence[Finished], pictures: tuple[str, ...] = (), split: Literal["val", "test"] = "test"
) -> Report:
    """What the evaluation of one run shows: the pictures of these names, or all, and its numbers `test/...`."""
    (run,) = required(runs, 1)
    examples = getattr(run.data(), split)
    found = evaluate(run.open().task, examples, run.config.trainer.eval_batch_size, full=True)
    for name in pictures:
        if name not in found.pictures:
            raise ConfigError(f"lecture.pictures: the run has no picture '{name}'; it has {', '.join(found.pictures)}")
    chosen: dict[str, Picture] = {name: found.pictures[name] for name in pictures or found.pictures}
    scalars = run.numbers() | {f"{split}/{name}": value for name, value in found.scalars.items()}
    return Report(scalars, pictures=chosen, tables=found.tables, texts=found.texts)


def required(runs: Sequence[Finished], count: int, which: str = "") -> Sequence[Finished]:
    """The runs, if they are as many as the figure needs; raises ConfigError, with which they are to be."""
    if len(runs) != count:
        raise ConfigError(f"lecture.runs: the figure needs {counted(count, 'run')}{which}, got {len(runs)}")
    return runs


def numbers_of(runs: Sequence[Finished]) -> dict[str, float]:
    """The numbers of each run, behind its label if there are several."""
    if len(runs) == 1:
        return runs[0].numbers()
    return {f"{run.label} {name}": value for run in runs for name, value in run.numbers().items()}


def axis_name(number: str) -> str:
    """`test accuracy` for `test/accuracy`."""
    split, _, name = number.rpartition("/")
    words = {"val": "validation", "train": "training"}.get(split, split)
    return f"{words} {metric_name(name)}".strip()


def _varied_option(runs: Sequence[Finished]) -> str:
    names = {name for run in runs for name in run.varied} - {"seed"}
    if len(names) != 1:
        raise ConfigError(
            f"lecture.option: say which option is to be across; the runs differ in {', '.join(sorted(names)) or 'none'}"
        )
    return names.pop()


def _groups(runs: Sequence[Finished], without: set[str]) -> dict[str, list[Finished]]:
    groups: dict[str, list[Finished]] = {}
    for run in runs:
        name = " ".join(f"{key}={value}" for key, value in run.varied.items() if key not in without)
        groups.setdefault(name, []).append(run)
    return groups


def _number(run: Finished, option: str) -> float:
    try:
        return float(run.varied[option])
    except (KeyError, ValueError):
        raise ConfigError(
            f"lecture.runs: {option} must be a number in each run, got {run.varied.get(option)!r} in {run.folder}"
        ) from None


def _means(pairs: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Each place once, in order, and the mean of the heights there."""
    places = sorted({place for place, _ in pairs})
    at = {place: [height for where, height in pairs if where == place] for place in places}
    return places, [sum(heights) / len(heights) for heights in at.values()]


def _shape(places: Sequence[float], heights: Sequence[float]) -> Mapping[str, float]:
    """Where a line is lowest and highest, and in how many of its steps it falls and rises."""
    low, high = min(heights), max(heights)
    steps = [after - before for before, after in itertools.pairwise(heights)]
    return {
        "lowest": low,
        "lowest at": places[heights.index(low)],
        "highest": high,
        "highest at": places[heights.index(high)],
        "falls": float(sum(step < 0 for step in steps)),
        "rises": float(sum(step > 0 for step in steps)),
    }
