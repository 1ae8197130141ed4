"""What `dlcourse compare` says: a table of the settings, each difference in words, and the same for programs."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dlcourse.console import is_share
from dlcourse.terminal import escaped
from dlcourse.text_table import aligned, counted

if TYPE_CHECKING:
    from dlcourse.metrics.paired import Difference
    from dlcourse.sweeps.comparison import Contrast, Disagreement, Setting

_TEST_COLUMNS = 3
_POINTS = " points"


@dataclass(frozen=True)
class Comparison:
    """What was found: the settings, the first of which the others are set against, and where classifiers disagree."""

    settings: "Sequence[Setting]"
    contrasts: "Sequence[Contrast]"
    disagreements: "Sequence[Disagreement]"

    @property
    def size(self) -> int:
        """The number of test examples."""
        return self.settings[0].runs[0].test_set[1]

    @property
    def data(self) -> str:
        return self.settings[0].runs[0].test_set[0]


def lines(found: Comparison) -> list[str]:
    """The table, and below it each difference in words."""
    count = sum(len(setting.runs) for setting in found.settings)
    what = f"{counted(count, 'run')} of {counted(len(found.settings), 'setting')}"
    said = [f"{what} on '{found.data}', {counted(found.size, 'test example')}", "", *_table(found), ""]
    for contrast in found.contrasts:
        said += [*_difference_lines(contrast, found), ""]
    if len(found.contrasts) > 1:
        said += [f"{len(found.contrasts)} comparisons: of 20 without any difference, one has p < 0.05 by chance", ""]
    if found.disagreements:
        who = "their first runs" if count > len(found.settings) else "the models"
        said += [f"{who} disagree on {counted(len(found.disagreements), 'example')} of {found.size:,}"]
    return said if said[-1] else said[:-1]


def _table(found: Comparison) -> list[str]:
    settings = found.settings
    options = dict.fromkeys(word.partition("=")[0] for setting in settings for word in setting.group.words)
    monitor = settings[0].group.monitor
    tests = _test_names(settings)
    shows_size = len({setting.runs[0].parameters for setting in settings}) > 1
    head = [
        "",
        *options,
        *["parameters"] * shows_size,
        monitor.replace("/", " "),
        *(name.replace("/", " ") for name in tests),
    ]
    rows = [[*head, "runs"]]
    for setting in settings:
        values = dict(word.split("=", 1) for word in setting.group.words)
        size = setting.runs[0].parameters
        cells = [setting.letter, *(values.get(option, "") for option in options)]
        cells += [f"{size:,}" if size is not None else ""] * shows_size
        rows.append([*cells, *(setting.group.shown(name) for name in (monitor, *tests)), _which(setting)])
    left = {0, *range(1, 1 + len(options)), len(rows[0]) - 1}
    return aligned([[escaped(cell, one_line=True) for cell in row] for row in rows], left=left)


def _test_names(settings: "Sequence[Setting]") -> list[str]:
    """The numbers of the test in the table: the one that is compared, the loss, and as many others as there is room for."""
    from dlcourse.sweeps.comparison import compared_metric

    there = [name for name in settings[0].runs[0].result.scalars if name.startswith("test/")]
    first = [f"test/{compared_metric(settings)[0]}", "test/loss"]
    return [name for name in dict.fromkeys([*first, *there]) if name in there][:_TEST_COLUMNS]


def _which(setting: "Setting") -> str:
    """The folder of a single run, or the seeds of several, or their folds."""
    if len(setting.runs) == 1:
        return str(setting.runs[0].folder)
    folds = [run.config.data.options.get("fold") for run in setting.runs]
    if None not in folds:
        return f"folds {', '.join(map(str, folds))}"
    return f"seeds {', '.join(str(run.config.seed) for run in setting.runs)}"


def _difference_lines(contrast: "Contrast", found: Comparison) -> Iterator[str]:
    """One difference: how large, how sure by each way there is to know, and what follows."""
    first, second = contrast.first, contrast.second
    yield f"{second} - {first}  test {contrast.metric} {_signed(contrast.metric, contrast.value)}{_verdict(contrast)}"
    counts = [len(setting.runs) for setting in found.settings if setting.letter in (first, second)]
    if contrast.seeds is not None:
        how = f"Welch's t-test, {counts[0]} and {counts[1]} runs, p = {contrast.seeds.p:.3g}"
        yield f"       over seeds     {_interval(contrast.metric, contrast.seeds)} ({how})"
    if contrast.examples is not None:
        how = f"paired bootstrap, {counted(found.size, 'example')}"
        yield f"       over examples  {_interval(contrast.metric, contrast.examples)} ({how})"
    if contrast.mcnemar is not None:
        test = contrast.mcnemar
        counts_words = f"only {first} is right on {test.only_first:,}, only {second} on {test.only_second:,}"
        yield f"       McNemar        {counts_words}, p = {test.p:.3g} (exact)"
    if contrast.seeds is None and contrast.examples is None:
        yield "       nothing tells how sure that is: train each setting with several seeds, as -m seed=0,1,2"


def _verdict(contrast: "Contrast") -> str:
    if contrast.seeds is None and contrast.examples is None:
        return ""
    return f": {contrast.better} is better" if contrast.better else ": not told apart"


def _interval(metric: str, found: "Difference") -> str:
    return f"95 % interval {_signed(metric, found.low).removesuffix(_POINTS)} to {_signed(metric, found.high)}"


def _signed(metric: str, value: float) -> str:
    """A difference with its sign: of shares in percentage points."""
    return f"{100 * value:+.2f}{_POINTS}" if is_share(metric) else f"{value:+.4g}"


def content(found: Comparison) -> dict[str, Any]:
    """The same for programs; a number that is not finite is null."""
    return {
        "data": found.data,
        "examples": found.size,
        "settings": [_setting_content(setting) for setting in found.settings],
        "differences": [_contrast_content(contrast) for contrast in found.contrasts],
        "disagreements": [each.example for each in found.disagreements],
    }


def _setting_content(setting: "Setting") -> dict[str, Any]:
    names = list(dict.fromkeys(name for run in setting.runs for name in run.result.scalars))
    return {
        "setting": setting.letter,
        "options": dict(word.split("=", 1) for word in setting.group.words),
        "runs": [str(run.folder) for run in setting.runs],
        "seeds": [run.config.seed for run in setting.runs],
        "mean": {name: _finite(setting.group.mean(name)) for name in names},
        "deviation": {name: _finite(setting.group.deviation(name)) for name in names},
    }


def _contrast_content(contrast: "Contrast") -> dict[str, Any]:
    content = {"settings": [contrast.first, contrast.second], "metric": contrast.metric}
    content |= {"difference": _finite(contrast.value), "better": contrast.better}  # type: ignore[dict-item]
    for name, found in (
        ("over_seeds", contrast.seeds),
        ("over_examples", contrast.examples),
        ("mcnemar", contrast.mcnemar),
    ):
        content[name] = None if found is None else vars(found)  # type: ignore[assignment]
    return content


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def disagreement_rows(found: Comparison) -> list[list[object]]:
    """A head and a row for each example on which the models disagree: its class, and what each setting says."""
    head: list[object] = ["example", "true", *(setting.letter for setting in found.settings)]
    rows: list[list[object]] = [[each.example, each.true, *each.said] for each in found.disagreements]
    return [head, *rows]


def label(setting: "Setting") -> str:
    """`B: cnn, 0.01`: the letter, and what tells the setting apart."""
    values = ", ".join(word.partition("=")[2] for word in setting.group.words)
    return f"{setting.letter}: {values}" if values else setting.letter


def caption(each: "Disagreement", found: Comparison) -> str:
    """What is true of an example, and what each setting says, a line each."""
    said = [f"{setting.letter} {name}" for setting, name in zip(found.settings, each.said, strict=True)]
    return "\n".join([f"true {each.true}", *said])
