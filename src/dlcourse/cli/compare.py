"""`dlcourse compare RUN ...`: finished runs side by side, and whether what sets them apart is more than chance."""

import contextlib
import json
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcourse.cli import comparison_forms as forms
from dlcourse.cli.comparison_forms import Comparison
from dlcourse.config.options import suggestion
from dlcourse.config.paths import user_path
from dlcourse.config.run_config import FolderConfig
from dlcourse.console import Console
from dlcourse.errors import ConfigError, UserError
from dlcourse.runs.find import find_runs, required_run
from dlcourse.runs.folder import RunFolder, claim_folder
from dlcourse.runs.reopen import read_spec
from dlcourse.terminal import escaped, print_help

if TYPE_CHECKING:
    from dlcourse.plots import ImageGrid

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


def main(words: list[str]) -> int:
    """Compare the runs that the words behind `compare` name; raises UserError."""
    if "--help" in words or "-h" in words:
        print_help(HELP)
        return 0
    folders = _folders(words)
    found = _compare(folders)
    console = Console(quiet="--json" in words)
    lines = forms.lines(found)
    if "--json" not in words:
        print(*lines, sep="\n")
    command = shlex.join(["dlcourse", "compare", *(word for word in words if not word.startswith("-"))])
    content = {"command": command, **forms.content(found)}
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


def _keep(place: Path, found: Comparison, lines: list[str], content: dict[str, Any], console: Console) -> list[str]:
    """Write it into its folder, with pictures; returns the names of the files."""
    from dlcourse.plots import Captioned, save_png, to_image

    with RunFolder(place).locked() as folder:
        folder.write_text("comparison.txt", escaped("\n".join(lines)) + "\n")
        folder.write_json("comparison.json", content)
        files = ["comparison.txt", "comparison.json"]
        if found.disagreements:
            folder.write_table("disagreements.csv", forms.disagreement_rows(found))
            files.append("disagreements.csv")
        subject = "   ".join([found.data, *map(forms.label, found.settings)])
        for name, picture in _pictures(found, console):
            save_png(to_image(Captioned(picture, subject)), folder / name)
            files.append(name)
    return files


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
        yield "learning_curves.png", SweepCurves(metric, [forms.label(setting) for setting in ranked], curves)
    if found.disagreements and read_spec(found.settings[0].runs[0].folder).is_image:
        with _without_pictures(console):
            picture = _disagreement_picture(found)
            if picture is not None:
                yield "disagreements.png", picture


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
    captions = [forms.caption(each, found) for each in few]
    some = f": the first {len(few)} of {len(found.disagreements):,}" if len(few) < len(found.disagreements) else ""
    return ImageGrid(images.numpy(), captions, f"What the models disagree on{some}")
