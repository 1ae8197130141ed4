"""Finished runs side by side: which options tell them apart, what each setting reached, and how sure that is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from string import ascii_uppercase

import numpy as np
from numpy.typing import NDArray

from dlcourse.config.run_config import RunConfig, option_values
from dlcourse.errors import ConfigError, DataError
from dlcourse.metrics.paired import Difference, McNemar, mcnemar, over_examples, over_seeds
from dlcourse.runs.folder import RunFolder
from dlcourse.runs.predictions import PREDICTIONS, Predictions, read_predictions
from dlcourse.runs.reopen import read_config
from dlcourse.runs.result import RunResult, read_report, result_in
from dlcourse.runs.resume import read_status
from dlcourse.sweeps.ranking import REPETITIONS, Group, Job
from dlcourse.text_table import counted

Option = str | float | bool

_NO_SETTING = (*REPETITIONS, "device.threads")
"""Options in which the runs of one setting may differ."""
_HIGHER_IS_BETTER = ("accuracy",)


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """What the files of a finished run say; `result.scalars` has the numbers of validation and of the test."""

    folder: Path
    config: RunConfig
    result: RunResult
    test_set: tuple[str, int, str]
    """The name of the data, the size of their test set, and its checksum; that is empty for a run of an older version."""
    predictions: Predictions | None
    parameters: int | None = None

    @cached_property
    def options(self) -> Mapping[str, Option]:
        """Every option by its dotted name."""
        return option_values(self.config)


@dataclass(frozen=True, eq=False)
class Setting:
    """Runs that differ in nothing but the seed, under a letter."""

    letter: str
    group: Group
    runs: tuple[FinishedRun, ...]

    def values(self, metric: str) -> list[float]:
        """A number of the test for each run."""
        return self.group.values(f"test/{metric}")

    @property
    def has_predictions(self) -> bool:
        return all(run.predictions is not None for run in self.runs)

    def scores(self) -> NDArray[np.float64]:
        """The mean score `(N,)` over the runs of each example."""
        return np.mean([run.predictions.scores for run in self.runs if run.predictions], axis=0)


@dataclass(frozen=True)
class Contrast:
    """What sets a setting apart from the first, in a number of the test; what cannot be known of it is None."""

    first: str
    second: str
    metric: str
    value: float
    higher_is_better: bool
    seeds: Difference | None
    examples: Difference | None
    mcnemar: McNemar | None

    @property
    def better(self) -> str | None:
        """The letter of the better one; None if zero is in the interval over seeds, or without one, over examples."""
        found = self.seeds or self.examples
        if found is None or not found.is_clear:
            return None
        return self.second if (found.low > 0) == self.higher_is_better else self.first


def read_finished(folder: Path) -> FinishedRun:
    """What is needed of a run to compare it; raises UserError if it is not finished, or damaged."""
    RunFolder(folder).refuse_what_is_not_ours()
    config = read_config(folder)
    status = read_status(folder)
    if status != "done":
        raise ConfigError(f"{folder} is not finished ({status or 'unknown state'}); write dlcourse resume {folder}")
    report = read_report(folder)
    result = result_in(report, folder)
    try:
        test = {f"test/{name}": float("nan" if value is None else value) for name, value in report["test"].items()}
        data = report["data"]
        test_set = (str(data["name"]), int(data["test"]), str(data.get("test_sha256", "")))
        parameters = report["model"].get("parameters")
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise DataError(f"cannot read {folder / 'report.json'}: it does not say what was tested") from None
    predictions = read_predictions(folder)
    if predictions is not None and len(predictions.scores) != test_set[1]:
        raise DataError(
            f"{folder / PREDICTIONS} has {counted(len(predictions.scores), 'example')}, and the test set has {test_set[1]:,}"
        )
    scalars = {**result.scalars, **test}
    return FinishedRun(folder, config, replace(result, scalars=scalars), test_set, predictions, parameters)


def require_comparable(runs: Sequence[FinishedRun]) -> None:
    """Raise ConfigError unless all runs have the same task and the same test set."""
    first = runs[0]
    for run in runs[1:]:
        if run.config.task.name != first.config.task.name:
            raise ConfigError(
                f"{run.folder} has task '{run.config.task.name}' and {first.folder} has task "
                f"'{first.config.task.name}'; compare takes runs of one task"
            )
        if not _have_same_test_set(first, run):
            raise ConfigError(
                f"{run.folder} was tested on {_described(run, first)} and {first.folder} on {_described(first, run)}; "
                "compare takes runs of one test set, and dlcourse evaluate RUN data=NAME measures one on another"
            )


def _have_same_test_set(one: FinishedRun, other: FinishedRun) -> bool:
    """By what is true of each example; where that is not kept by the checksum, and for older runs by name and size."""
    if one.test_set[:2] != other.test_set[:2]:
        return False
    known = [run.predictions.true for run in (one, other) if run.predictions and run.predictions.true]
    if len(known) == 2:
        return known[0] == known[1]
    sums = {run.test_set[2] for run in (one, other) if run.test_set[2]}
    return len(sums) < 2


def _described(run: FinishedRun, other: FinishedRun) -> str:
    name, size, _ = run.test_set
    is_same_size = run.test_set[:2] == other.test_set[:2]
    return f"{'other ' if is_same_size else ''}{size:,} examples of '{name}'"


def differing(runs: Sequence[FinishedRun]) -> list[str]:
    """The options that tell the runs apart, in the order of the config.

    An option of an entry, `model.dropout`, is compared among runs with the same entry: that another model has another one
    says nothing that the model's name does not say.
    """
    names = dict.fromkeys(name for run in runs for name in run.options)
    return [name for name in names if _has_several_values(name, runs)]


def _has_several_values(name: str, runs: Sequence[FinishedRun]) -> bool:
    entry = name.partition(".")[0]
    values: dict[str, set[str]] = {}
    for run in runs:
        if name in run.options:
            group = "" if name == entry else str(run.options.get(entry))
            values.setdefault(group, set()).add(str(run.options[name]))
    return any(len(each) > 1 for each in values.values())


def settings(runs: Sequence[FinishedRun]) -> list[Setting]:
    """The runs by setting, in the order in which they were named."""
    varied = [name for name in differing(runs) if name not in _NO_SETTING]
    together: dict[tuple[str, ...], list[FinishedRun]] = {}
    for run in runs:
        words = tuple(f"{name}={_written(run.options[name])}" for name in varied if name in run.options)
        together.setdefault(words, []).append(run)
    return [
        Setting(_letters(place), Group(words, [(Job(words, run.folder), run.result) for run in found]), tuple(found))
        for place, (words, found) in enumerate(together.items())
    ]


def _written(value: Option) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _letters(place: int) -> str:
    """A to Z, then AA, AB, ..."""
    more, last = divmod(place, len(ascii_uppercase))
    return (_letters(more - 1) if more else "") + ascii_uppercase[last]


def compared_metric(found: Sequence[Setting]) -> tuple[str, bool]:
    """The number of the test that settings are compared by, and whether more of it is better.

    It is the mean score of the predictions if all runs have kept them, and what the task watches on validation else.
    """
    runs = [run for setting in found for run in setting.runs]
    metrics = {run.predictions.metric for run in runs if run.predictions}
    if len(metrics) == 1 and all(run.predictions for run in runs):
        (metric,) = metrics
        return metric, metric in _HIGHER_IS_BETTER
    result = runs[0].result
    return result.monitor.removeprefix("val/"), result.mode == "max"


def contrasts(found: Sequence[Setting]) -> list[Contrast]:
    """Each setting against the first."""
    metric, higher_is_better = compared_metric(found)
    return [_contrast(found[0], other, metric, higher_is_better) for other in found[1:]]


def _contrast(first: Setting, second: Setting, metric: str, higher_is_better: bool) -> Contrast:
    values = first.values(metric), second.values(metric)
    name = f"test/{metric}"
    pairs = first.has_predictions and second.has_predictions
    return Contrast(
        first.letter,
        second.letter,
        metric,
        second.group.mean(name) - first.group.mean(name),
        higher_is_better,
        over_seeds(*values),
        over_examples(first.scores(), second.scores()) if pairs else None,
        mcnemar(first.scores(), second.scores()) if pairs and _are_two_classifiers(first, second) else None,
    )


def _are_two_classifiers(first: Setting, second: Setting) -> bool:
    return all(
        len(setting.runs) == 1
        and setting.runs[0].predictions is not None
        and setting.runs[0].predictions.metric == "accuracy"
        for setting in (first, second)
    )


@dataclass(frozen=True)
class Disagreement:
    """An example of which two of the classifiers say different things: its number, its class, and what each says."""

    example: int
    true: str
    said: tuple[str, ...]
    confidence: tuple[float, ...]


def disagreements(found: Sequence[Setting]) -> list[Disagreement]:
    """Those of the first run of each setting, the surest contradictions first; none for what is no classifier."""
    predictions = [setting.runs[0].predictions for setting in found]
    known = [each for each in predictions if each is not None and each.predicted and each.confidence]
    if len(known) < len(found):
        return []
    rows = zip(known[0].true, zip(*(each.predicted for each in known), strict=True), _confidences(known), strict=True)
    differing = [
        Disagreement(example, true, said, confidence)
        for example, (true, said, confidence) in enumerate(rows)
        if len(set(said)) > 1
    ]
    return sorted(differing, key=lambda each: (-min(each.confidence), each.example))


def _confidences(known: Sequence[Predictions]) -> Iterable[tuple[float, ...]]:
    return zip(*(each.confidence for each in known), strict=True)
