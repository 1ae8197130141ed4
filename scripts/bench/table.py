"""The tables in Markdown, made from what the JSON file holds and nothing else."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

Record = Mapping[str, Any]
Number = Callable[[float], str]

LOOPS = {
    "dlcourse": "`dlcourse train`",
    "dlcourse_compiled": "`dlcourse train trainer.compile=true`",
    "dlcourse_log": "`dlcourse train trainer.log_every=1`",
    "dlcourse_digits": "`dlcourse train` on digits",
    "dlcourse_mnist": "`dlcourse train` on MNIST",
    "dlcourse_tiny": "`dlcourse train data=digits model=mlp`",
    "bare": "by hand",
    "tuned": "by hand, tuned",
    "worked": "by hand, PIL for each sample",
    "two_players": "by hand, two optimizers",
    "lightning": "Lightning",
    "lightning_hydra": "Lightning under Hydra",
    "keras_jax": "Keras on JAX",
    "skorch": "skorch",
}
"""What a table calls a loop, in the order in which it lists them."""


def markdown(results: Record) -> str:
    """All tables, under what a reader must know of the machine."""
    speeds = [contest for contest in results["contests"] if contest["kind"] == "speed"]
    parts = [_heading(results), *_speeds(speeds, results["runs"])]
    parts += [_memory(results["runs"]), _start(results["runs"]), _tiny(results["runs"])]
    parts += [_log(results["runs"]), _evaluation(results["runs"])]
    return "\n\n".join(part for part in parts if part) + "\n"


def _heading(results: Record) -> str:
    machine, settings = results["machine"], results["settings"]
    threads = settings["threads"] or "not set"
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    gpu = f"{results['gpu']}, " if results.get("gpu") else ""
    lines = [f"{gpu}{machine['processor']}, {machine['cores']} cores, threads {threads}, {versions}."]
    lines.append(f"Median (smallest to largest) of {settings['rounds']} round{'s' * (settings['rounds'] != 1)}.")
    lines += [f"Left out: {LOOPS[loop]} ({package} is not installed)." for loop, package in results["missing"].items()]
    if settings["quick"]:
        lines.append("Quick: sizes too small to compare anything.")
    lines += [f"Failed: {what}." for what in results["failed"]]
    lines += [f"The machine was busy: {line}." for line in results["busy"]]
    return "\n".join(lines)


def _speeds(contests: Sequence[Record], runs: Sequence[Record]) -> list[str]:
    """Samples per second, and their ratios to the contest's reference in the same round: a row for each contest."""
    names = [contest["name"] for contest in contests]
    loops = _loops(run for run in runs if run["contest"] in names and run["loop"] != "dlcourse_log")
    speeds = [[_spread(_speed(_of(name, runs, loop)), _whole) for loop in loops] for name in names]
    ratios = [
        [_spread(_ratios(_of(contest["name"], runs, loop), _reference(contest, runs)), _two_places) for loop in loops]
        for contest in contests
    ]
    heads = [LOOPS[loop] for loop in loops]
    return [
        _table([title, *heads], [[name, *row] for name, row in zip(names, rows, strict=True) if any(row)])
        for title, rows in (("ratio", ratios), ("samples/s", speeds))
    ]


def _reference(contest: Record, runs: Sequence[Record]) -> list[Record]:
    return _of(contest["name"], runs, contest["reference"])


def _speed(runs: Iterable[Record]) -> list[float]:
    return [run["samples_per_second"] for run in runs]


def _memory(runs: Sequence[Record]) -> str:
    names = ("mlp 64", "cnn48 64")
    measured = [run for run in runs if run["contest"] in names]
    rows = [
        [LOOPS[loop], *(_spread([run["peak_mb"] for run in _of(name, runs, loop)], _whole) for name in names)]
        for loop in _loops(measured)
    ]
    return _table(["peak memory, MB", *names], rows)


def _start(runs: Sequence[Record]) -> str:
    measured = _of("start", runs)
    rows = [
        [LOOPS[loop], _spread([run["first_step_seconds"] for run in _of("start", runs, loop)], _two_places)]
        for loop in _loops(measured)
    ]
    return _table(["start", "seconds to the end of the first step"], rows)


def _tiny(runs: Sequence[Record]) -> str:
    fields = ("seconds", "processor_seconds", "training_seconds")
    measured = _of("tiny run", runs)
    rows = [[LOOPS["dlcourse_tiny"], *(_spread([run[field] for run in measured], _two_places) for field in fields)]]
    return _table(["a tiny run", "seconds", "of processors", "in training"], rows if measured else [])


def _log(runs: Sequence[Record]) -> str:
    """What is left of the speed if each step is logged."""
    rows = [
        [name, _spread(_ratios(_of(name, runs, "dlcourse_log"), _of(name, runs, "dlcourse")), _two_places)]
        for name in _contests_with("dlcourse_log", runs)
        if _of(name, runs, "dlcourse")
    ]
    return _table(["`trainer.log_every=1`", "speed as a ratio to the default"], rows)


def _evaluation(runs: Sequence[Record]) -> str:
    measured = [run for run in runs if run["evaluation_us"] is not None]
    rows = [
        [name, LOOPS[loop], _spread([run["evaluation_us"] for run in _of(name, measured, loop)], _one_place)]
        for name in _contests_with("dlcourse_log", measured)
        for loop in _loops(_of(name, measured))
    ]
    return _table(["evaluation", "loop", "microseconds a sample"], rows)


def _contests_with(loop: str, runs: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(run["contest"] for run in runs if run["loop"] == loop))


def _of(contest: str, runs: Sequence[Record], loop: str | None = None) -> list[Record]:
    return [run for run in runs if run["contest"] == contest and loop in (None, run["loop"])]


def _loops(runs: Iterable[Record]) -> list[str]:
    found = {run["loop"] for run in runs}
    return [loop for loop in LOOPS if loop in found]


def _ratios(runs: Iterable[Record], references: Iterable[Record]) -> list[float]:
    """The speed of each run as a ratio to that of the reference in its round."""
    speeds = {run["round"]: run["samples_per_second"] for run in references}
    return [run["samples_per_second"] / speeds[run["round"]] for run in runs if run["round"] in speeds]


def _spread(numbers: Sequence[float], form: Number) -> str:
    """`5.1 (4.9 to 5.4)`: the median, and if there are several the smallest and the largest."""
    if not numbers:
        return ""
    median = form(statistics.median(numbers))
    return median if len(numbers) == 1 else f"{median} ({form(min(numbers))} to {form(max(numbers))})"


def _whole(number: float) -> str:
    return f"{number:,.0f}"


def _one_place(number: float) -> str:
    return f"{number:,.1f}"


def _two_places(number: float) -> str:
    return f"{number:,.2f}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with columns of equal width, or nothing if it has no rows."""
    if not rows:
        return ""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = [heads, ["-" * width for width in widths], *rows]
    return "\n".join("| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines)
