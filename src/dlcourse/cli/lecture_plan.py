"""From the words behind `dlcourse lecture` to figures whose runs and options are checked."""

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override

from dlcourse.cli import config_files
from dlcourse.cli.hydra_overrides import parse
from dlcourse.cli.sweep import checked
from dlcourse.config.options import suggestion
from dlcourse.config.run_config import GROUPS, RunConfig
from dlcourse.errors import ConfigError
from dlcourse.lectures.entry import Lecture, in_order, read_lecture
from dlcourse.lectures.items import LECTURES, item_key, looks_like_item
from dlcourse.lectures.planned import MADE_WITH, RUNS, PlannedFigure, PlannedRun, folder_of
from dlcourse.runs.find import find_run
from dlcourse.sweeps.grid import combinations
from dlcourse.sweeps.plan import PlannedRun as SweepRun

GROUP = "lecture"
_OF_FILES = ("data.root", "data.download", "data.verify")
"""Options of runs that may be given to a figure: they say where its data are."""
_OF_THE_FIGURE = ("run.dir", "run.root", "run.name", "resume")
"""Options of runs that say where they lie."""
_OTHER_RUN = re.compile(r"\{([1-9][0-9]*)\}")


@dataclass(frozen=True)
class Asked:
    """The figures that were asked for, options of their drawings, words about data files, and runs to draw from."""

    lectures: tuple[Lecture, ...]
    options: Mapping[str, Any]
    files: tuple[str, ...]
    given: tuple[Path, ...] = ()
    words: tuple[str, ...] = ()


def lectures(config_dir: str | None) -> dict[str, Lecture]:
    """All figures by name, in the order of their items; raises ConfigError for a file that is none."""
    found = config_files.entries(GROUP, config_files.folders(config_dir))
    return {lecture.name: lecture for lecture in in_order(map(read_lecture, found.values()))}


def asked(words: Sequence[str], known: Mapping[str, Lecture]) -> Asked:
    """What these words ask for: names, items and letters of lectures, and options; raises ConfigError."""
    names = [word for word in words if "=" not in word]
    chosen = {lecture.name: lecture for name in names for lecture in _chosen(name, known)}
    typed = [word for word in words if "=" in word]
    options: dict[str, Any] = {}
    files, given = [], tuple[Path, ...]()
    for override in parse(typed):
        key = override.key_or_group
        name = key.removeprefix(f"{GROUP}.")
        if key in _OF_FILES:
            files.append(str(override.input_line))
        elif key.partition(".")[0] in (*GROUPS, "trainer", "run", "seed"):
            raise ConfigError(
                f"{key} is fixed by this figure; dlcourse train {override.input_line} trains one, and lecture.runs=[RUN] "
                "draws yours"
            )
        elif name == "runs":
            given = _given(override.value())
        else:
            options[name] = override.value()
    if (options or given) and len(chosen) != 1:
        raise ConfigError(
            f"'{typed[0]}' is for one figure, and {len(chosen)} were asked for; write dlcourse lecture NAME {typed[0]}"
        )
    return Asked(tuple(chosen.values()), options, tuple(files), given, tuple(typed))


def _chosen(name: str, known: Mapping[str, Lecture]) -> list[Lecture]:
    """The figures of a name, an item or a lecture."""
    if name in known:
        return [known[name]]
    if name.upper() in LECTURES:
        return [lecture for lecture in known.values() if any(item[0] == name.upper() for item in lecture.items)]
    if looks_like_item(name):
        item_key(item := name.upper())
        found = [lecture for lecture in known.values() if item in lecture.items]
        if not found:
            raise ConfigError(f"item {item} has no figure yet; dlcourse lecture lists those there are")
        return found
    raise ConfigError(f"unknown lecture '{name}'{suggestion(name, known)}")


def _given(value: Any) -> tuple[Path, ...]:
    if isinstance(value, str):
        raise ConfigError(f"lecture.runs must be a list of run folders, got '{value}'; write lecture.runs=[{value}]")
    return tuple(find_run(str(name)) for name in value)


def planned(what: Asked, folder: Path, *, full: bool, config_dir: str | None) -> list[PlannedFigure]:
    """The figures with their runs, which lie in `folder` with them; raises ConfigError for the first that cannot be."""
    from dlcourse.config.registry import Choice
    from dlcourse.lectures.figures import FIGURES

    figures = []
    for lecture in what.lectures:
        options = {**lecture.drawing_options(full=full), **what.options}
        options = FIGURES.check(Choice(lecture.drawing, options))
        runs = () if what.given else tuple(_runs(lecture, what.files, folder / RUNS, full=full, config_dir=config_dir))
        place = folder / lecture.name
        figures.append(PlannedFigure(lecture, options, runs, place, full, what.given, what.words))
    return figures


def _runs(
    lecture: Lecture, files: Sequence[str], folder: Path, *, full: bool, config_dir: str | None
) -> Iterator[PlannedRun]:
    """The runs of a figure, of all combinations of its words."""
    made: list[PlannedRun] = []
    for line in lecture.lines(full=full):
        needs = tuple(made[int(number) - 1].folder for number in _OTHER_RUN.findall(line))
        text = _OTHER_RUN.sub(lambda found: str(made[int(found[1]) - 1].folder.absolute()), line)
        overrides = parse(text.split())
        _require_no_folder(lecture, overrides)
        for words in combinations(overrides):
            made.append(_run((*words, *_missing(words)), files, folder, needs, config_dir))
            yield made[-1]


def _require_no_folder(lecture: Lecture, overrides: Iterable[Override]) -> None:
    """Raise ConfigError for a word that says where a run is to lie."""
    for override in overrides:
        if override.key_or_group in _OF_THE_FIGURE:
            raise ConfigError(
                f"lecture {lecture.name}: '{override.input_line}' cannot stand in its runs, the figure says where they lie"
            )


def _missing(words: Iterable[str]) -> list[str]:
    given = {word.partition("=")[0] for word in words}
    return [word for word in MADE_WITH if word.partition("=")[0] not in given]


def _run(
    words: tuple[str, ...], files: Sequence[str], folder: Path, needs: tuple[Path, ...], config_dir: str | None
) -> PlannedRun:
    config = _config(words, config_dir)
    of_files = tuple(word for word in files if word.partition("=")[0].removeprefix("data.") in _file_options(config))
    if of_files:
        words = (*words, *of_files)
        config = _config(words, config_dir)
    return PlannedRun(words, config, folder_of(config, folder), needs)


@functools.cache
def _config(words: tuple[str, ...], config_dir: str | None) -> RunConfig:
    return checked(SweepRun(words, (), ""), config_dir)


def _file_options(config: RunConfig) -> set[str]:
    return set(config.data.options)
