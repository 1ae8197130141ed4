"""The runs of a sweep put in order: those that differ in nothing but seed or fold are repetitions, not rivals."""

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dlcourse.console import format_metric
from dlcourse.runs.result import RunResult

SEED = "seed"
FOLD = "data.fold"
REPETITIONS = {SEED: "seeds", FOLD: "folds"}
"""The options in which repetitions of one setting differ, and how several of them are called."""
_LOSS = "val/loss"


@dataclass
class Job:
    """One run of a sweep: what sets it apart (`key=value` words), its folder, and its result, error or None if not run."""

    overrides: Sequence[str]
    folder: Path = Path()
    outcome: RunResult | Exception | None = None


@dataclass
class Group:
    """Runs that ended well and differ in nothing but seed or fold; `words` are what sets them apart from other groups."""

    words: tuple[str, ...]
    runs: list[tuple[Job, RunResult]] = field(default_factory=list)

    @property
    def monitor(self) -> str:
        """The name of the number by which they are compared."""
        return self.runs[0][1].monitor

    @property
    def best_run(self) -> RunResult:
        """The run that did best on validation."""
        return min((result for _, result in self.runs), key=lambda result: by_quality(result.best, result.mode))

    def values(self, name: str) -> list[float]:
        """A validation number of each run that has it."""
        return [result.scalars[name] for _, result in self.runs if name in result.scalars]

    def mean(self, name: str) -> float:
        """Its mean over the runs; NaN if one is NaN, or none has it."""
        values = self.values(name)
        return math.fsum(values) / len(values) if values and not any(map(math.isnan, values)) else math.nan

    def deviation(self, name: str) -> float | None:
        """Its standard deviation as a sample's, with n - 1; None for a single run."""
        values = self.values(name)
        if len(values) < 2:
            return None
        return statistics.stdev(values) if all(map(math.isfinite, values)) else math.nan

    def shown(self, name: str) -> str:
        """`95.14 % ± 1.39 %`, without the deviation for a single run; empty for a number that the runs do not have."""
        if not self.values(name):
            return ""
        mean, deviation = format_metric(name, self.mean(name)), self.deviation(name)
        return mean if deviation is None else f"{mean} ± {format_metric(name, deviation)}"


def rank(jobs: Sequence[Job]) -> list[Group]:
    """Groups of the runs that ended well, best first by the mean of the validation number that their task watches.

    Equal ones stand in the order of their validation loss. Tasks that watch different numbers are ranked apart. A NaN comes
    last.
    """
    groups: dict[tuple[tuple[str, ...], str], Group] = {}
    for job in jobs:
        if job.outcome is None or isinstance(job.outcome, Exception):
            continue
        words = tuple(without_repetitions(job.overrides))
        alone = "" if len(words) < len(job.overrides) else str(job.folder)  # the same words twice are two runs
        groups.setdefault((words, alone), Group(words)).runs.append((job, job.outcome))

    def place(group: Group) -> tuple[str, tuple[bool, float], tuple[bool, float]]:
        loss = group.mean(_LOSS) if group.values(_LOSS) else 0.0
        return group.monitor, by_quality(group.mean(group.monitor), group.runs[0][1].mode), by_quality(loss, "min")

    return sorted(groups.values(), key=place)


def without_repetitions(words: Sequence[str]) -> Iterator[str]:
    """The words that set a run apart from others than its repetitions."""
    return (word for word in words if word.partition("=")[0] not in REPETITIONS)


def repeated_over(ranked: Sequence[Group]) -> str:
    """`seeds`, `folds` or `seeds and folds`: what the runs of a group differ in; empty if each is alone."""
    words = {word for group in ranked if len(group.runs) > 1 for job, _ in group.runs for word in job.overrides}
    keys = {word.partition("=")[0] for word in words}
    return " and ".join(name for option, name in REPETITIONS.items() if option in keys)


def by_quality(value: float, mode: str) -> tuple[bool, float]:
    """The key to sort by: better numbers come first and NaN last."""
    return math.isnan(value), -value if mode == "max" else value
