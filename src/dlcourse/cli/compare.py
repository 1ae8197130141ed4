"""`dlcourse compare RUN ...`: finished runs side by side, and whether what sets them apart is more than chance."""

import contextlib
import json
import math
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcourse.config.options import suggestion
from dlcourse.config.paths import user_path
from dlcourse.config.run_config import FolderConfig
from dlcourse.console import Console, format_metric, is_share
from dlcourse.errors import ConfigError, UserError
from dlcourse.runs.find import find_runs, required_run
from dlcourse.runs.folder import RunFolder, claim_folder
from dlcourse.runs.reopen import read_spec
from dlcourse.terminal import escaped, print_help
from dlcourse.text_table import aligned, counted

if TYPE_CHECKING:
    from dlcourse.metrics.paired import Difference
    from dlcourse.plots import ImageGrid
    from dlcourse.sweeps.comparison import Contrast, Disagreement, Setting

HELP = """\
dlcourse compare RUN RUN ...       finished runs side by side; RUN is a run folder, one above it, or a sweep: all its runs
  --json                           the numbers for programs, nothing else

Runs that differ in nothing but the seed are one setting, shown with mean and standard deviation. Each setting is compared
with the first: over the seeds by Welch's t-test, over the examples of the test set by the paired bootstrap, and two
classifiers by McNemar's test.

For example:
  dlcourse compare outputs/digits-mlp outputs/digits-cnn
  dlcourse compare outputs/multirun/2026-11-21_101500-3f2a

Table, curves and the examples on which the models disagree are kept in outputs/comparisons/DATA/TIME.
"""

COMPARISONS = "comparisons"
_FLAGS = ("--json", "--help")
_FEWEST = 2
_SHOWN = 25  # disagreements in the picture
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


def main(words: list[str]) -> int:
    """Compare the runs that the words behind `compare` name; raises UserError."""
    if "--help" in words or "-h" in words:
        print_help(HELP)
        return 0
    folders = _folders(words)
    found = _compare(folders)
    console = Console(quiet="--json" in words)
    lines = _lines(found)
    if "--json" not in words:
        print(*lines, sep="\n")
    command = shlex.join(["dlcourse", "compare", *(word for word in words if not word.startswith("-"))])
    content = {"command": command, **_content(found)}
    place = claim_folder(user_path(FolderConfig.root, "run.root") / COMPARISONS / found.data)
    files = _keep(place, found, [command, "", *lines], content, console)
    console.show("saved", f"{place}: {'  '.join(files)}")
    if "--json" in words:
        print(json.dumps(content, indent=2, ensure_ascii=False))
    return 0


def _folders(words: list[str]) -> list[Path]:
    """The runs that are named, each once; raises ConfigError."""
    for word in words:
        if word.startswith("-") and word not in _FLAGS:
            raise ConfigError(f"unknown flag '{word}'{suggestion(word, _FLAGS)}")
    named = [word for word in words if not word.startswith("-")]
    if not named:
        required_run(None, "compare", ["RUN"])
    folders = list(dict.fromkeys(folder for word in named for folder in find_runs(word)))
    if len(folders) < _FEWEST:
        raise ConfigError(f"compare takes at least {_FEWEST} runs, got {folders[0]} alone; name another, or a sweep")
    return folders


def _compare(folders: Sequence[Path]) -> Comparison:
    """Read the runs and set them against each other; raises UserError."""
    from dlcourse.sweeps import comparison

    runs = [comparison.read_finished(folder) for folder in folders]
    comparison.require_comparable(runs)
    found = comparison.settings(runs)
    return Comparison(found, comparison.contrasts(found), comparison.disagreements(found))


def _lines(found: Comparison) -> list[str]:
    """The table, and below it each difference in words."""
    count = sum(len(setting.runs) for setting in found.settings)
    what = f"{counted(count, 'run')} of {counted(len(found.settings), 'setting')}"
    lines = [f"{what} on '{found.data}', {counted(found.size, 'test example')}", "", *_table(found), ""]
    for contrast in found.contrasts:
        lines += [*_difference_lines(contrast, found), ""]
    if len(found.contrasts) > 1:
        lines += [f"{len(found.contrasts)} comparisons: of 20 without any difference, one has p < 0.05 by chance", ""]
    if found.disagreements:
        who = "their first runs" if count > len(found.settings) else "the models"
        lines += [f"{who} disagree on {counted(len(found.disagreements), 'example')} of {found.size:,}"]
    return lines if lines[-1] else lines[:-1]


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
        rows.append([*cells, *(_mean(setting, name) for name in (monitor, *tests)), _which(setting)])
    left = {0, *range(1, 1 + len(options)), len(rows[0]) - 1}
    return aligned([[escaped(cell, one_line=True) for cell in row] for row in rows], left=left)


def _test_names(settings: "Sequence[Setting]") -> list[str]:
    """The numbers of the test in the table: the one that is compared, the loss, and as many others as there is room for."""
    from dlcourse.sweeps.comparison import compared_metric

    there = [name for name in settings[0].runs[0].result.scalars if name.startswith("test/")]
    first = [f"test/{compared_metric(settings)[0]}", "test/loss"]
    return [name for name in dict.fromkeys([*first, *there]) if name in there][:_TEST_COLUMNS]


def _mean(setting: "Setting", name: str) -> str:
    """`97.22 % ± 0.56 %`; empty for a number that the runs do not have."""
    if not setting.group.values(name):
        return ""
    mean, deviation = format_metric(name, setting.group.mean(name)), setting.group.deviation(name)
    return mean if deviation is None else f"{mean} ± {format_metric(name, deviation)}"


def _which(setting: "Setting") -> str:
    """The folder of a single run, or the seeds of several."""
    if len(setting.runs) == 1:
        return str(setting.runs[0].folder)
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


def _content(found: Comparison) -> dict[str, Any]:
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


def _keep(place: Path, found: Comparison, lines: list[str], content: dict[str, Any], console: Console) -> list[str]:
    """Write it into its folder, with pictures; returns the names of the files."""
    from dlcourse.plots import Captioned, save_png, to_image

    with RunFolder(place).locked() as folder:
        folder.write_text("comparison.txt", escaped("\n".join(lines)) + "\n")
        folder.write_json("comparison.json", content)
        files = ["comparison.txt", "comparison.json"]
        if found.disagreements:
            folder.write_table("disagreements.csv", _rows(found))
            files.append("disagreements.csv")
        for name, picture in _pictures(found, console):
            save_png(
                to_image(Captioned(picture, f"{found.data}   {'   '.join(map(_label, found.settings))}")), folder / name
            )
            files.append(name)
    return files


def _rows(found: Comparison) -> list[list[object]]:
    head: list[object] = ["example", "true", *(setting.letter for setting in found.settings)]
    rows: list[list[object]] = [[each.example, each.true, *each.said] for each in found.disagreements]
    return [head, *rows]


def _pictures(found: Comparison, console: Console) -> Iterator[tuple[str, Any]]:
    """The curves of all settings, and images on which they disagree, each with the name of its file."""
    from dlcourse.plots import SweepCurves
    from dlcourse.sweeps.pictures import validation_curve
    from dlcourse.sweeps.ranking import by_quality

    monitors = {(setting.group.monitor, setting.runs[0].result.mode) for setting in found.settings}
    if len(monitors) == 1:
        ((monitor, mode),) = monitors
        metric = monitor.partition("/")[2]
        ranked = sorted(found.settings, key=lambda setting: by_quality(setting.group.mean(monitor), mode))
        curves = [[validation_curve(run.folder, metric) for run in setting.runs] for setting in ranked]
        yield "learning_curves.png", SweepCurves(metric, [_label(setting) for setting in ranked], curves)
    if found.disagreements and read_spec(found.settings[0].runs[0].folder).is_image:
        with _without_pictures(console):
            picture = _disagreement_picture(found)
            if picture is not None:
                yield "disagreements.png", picture


def _label(setting: "Setting") -> str:
    values = ", ".join(word.partition("=")[2] for word in setting.group.words)
    return f"{setting.letter}: {values}" if values else setting.letter


@contextlib.contextmanager
def _without_pictures(console: Console) -> Iterator[None]:
    """Say why there are none of the examples, such as data that are not there any more."""
    try:
        yield
    except UserError as error:
        console.say("note", f"the examples are not drawn: {error}")


def _disagreement_picture(found: Comparison) -> "ImageGrid | None":
    """The examples on which the models contradict each other most surely."""
    from dlcourse.cli.train import load_session

    load_session()
    from dlcourse.plots import ImageGrid
    from dlcourse.training.test_set import test_images

    few = found.disagreements[:_SHOWN]
    images = test_images(found.settings[0].runs[0].config, [each.example for each in few], by="compare")
    if images is None:
        return None
    captions = [_caption(each, found) for each in few]
    some = f": the first {len(few)} of {len(found.disagreements):,}" if len(few) < len(found.disagreements) else ""
    return ImageGrid(images.numpy(), captions, f"What the models disagree on{some}")


def _caption(each: "Disagreement", found: Comparison) -> str:
    said = [f"{setting.letter} {name}" for setting, name in zip(found.settings, each.said, strict=True)]
    return "\n".join([f"true {each.true}", *said])
