"""A figure drawn from its runs: its picture, its numbers against their bands, and its paragraph, in a folder of its own."""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcourse import __version__
from dlcourse.config.registry import Choice
from dlcourse.errors import ConfigError, DataError
from dlcourse.files import make_folders, read_regular
from dlcourse.lectures.entry import Band, Language
from dlcourse.lectures.figures import FIGURES
from dlcourse.lectures.planned import FIGURE, PlannedFigure
from dlcourse.lectures.text import filled
from dlcourse.metrics.report import Report
from dlcourse.plots import Captioned, save_png, to_image
from dlcourse.plots.picture import JAPANESE_FONTS, japanese_fonts
from dlcourse.rng import seed_everything
from dlcourse.runs.folder import RunFolder, output_errors

REPORT = "report.json"
_MAX_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Checked:
    """A number of a figure beside its band."""

    band: Band
    value: float

    @property
    def holds(self) -> bool:
        return self.band.holds(self.value)


def draw(figure: PlannedFigure, language: Language) -> None:
    """Draw a figure whose runs have ended, and write all of it to its folder; raises UserError."""
    began = time.perf_counter()
    seed_everything(0)
    lecture = figure.lecture
    report = FIGURES.build(Choice(lecture.drawing, figure.options), runs=figure.finished())
    checked = check(figure, report.scalars)
    texts = {name: filled(lecture.text[name], report.scalars) for name in ("en", "ja")}
    with output_errors(figure.folder):
        make_folders(figure.folder)
    if language == "ja" and not japanese_fonts():
        language = "en"
        report.lines.append(
            f"the title in the picture is English: none of these fonts is here: {', '.join(JAPANESE_FONTS)}"
        )
    with RunFolder(figure.folder).locked() as folder:
        pictures = _save_pictures(folder, report, f"{' '.join(lecture.items)}  {lecture.title[language]}")
        for name, text in texts.items():
            folder.write_text(f"text.{name}.md", f"{text}\n")
        for name, rows in report.tables.items():
            folder.write_table(f"{name}.csv", rows)
        for name, text in report.texts.items():
            folder.write_text(f"{name}.txt", f"{text}\n")
        content = _content(figure, report, checked, pictures)
        folder.write_json(REPORT, content | {"seconds": round(time.perf_counter() - began, 2)})


def check(figure: PlannedFigure, numbers: Mapping[str, float]) -> list[Checked]:
    """The numbers that have a band; raises ConfigError if the drawing does not give one of them."""
    for band in figure.lecture.check:
        if band.number not in numbers:
            raise ConfigError(
                f"lecture {figure.lecture.name}: check names '{band.number}', which the figure does not give; it has "
                f"{', '.join(numbers)}"
            )
    return [Checked(band, numbers[band.number]) for band in figure.lecture.check]


def _save_pictures(folder: RunFolder, report: Report, caption: str) -> list[str]:
    """Save the first picture as figure.png, and others by their names; returns the names of the files."""
    names = []
    for place, (name, picture) in enumerate(report.pictures.items()):
        file = FIGURE if place == 0 else f"{name}.png"
        save_png(to_image(Captioned(picture, caption) if place == 0 else picture), folder / file)
        names.append(file)
    return names


def _content(figure: PlannedFigure, report: Report, checked: list[Checked], pictures: list[str]) -> dict[str, Any]:
    lecture = figure.lecture
    return {
        "figure": lecture.name,
        "items": list(lecture.items),
        "version": __version__,
        "drawing": lecture.drawing,
        "options": dict(figure.options),
        "full": figure.full,
        "numbers": {name: _number(value) for name, value in report.scalars.items()},
        "lines": report.lines,
        "checks": [
            {
                "number": each.band.number,
                "value": _number(each.value),
                "at_least": each.band.at_least,
                "at_most": each.band.at_most,
                "unit": each.band.unit,
                "source": each.band.source,
                "holds": each.holds,
            }
            for each in checked
        ],
        "pictures": pictures,
        "tables": [f"{name}.csv" for name in report.tables],
        "texts": [f"{name}.txt" for name in report.texts],
        "runs": [{"folder": run.folder.name, "words": list(run.words)} for run in figure.runs]
        or [{"folder": str(folder)} for folder in figure.given],
    }


def _number(value: float) -> float | None:
    return None if not math.isfinite(value) else float(value)


@dataclass(frozen=True)
class Drawn:
    """A figure as its folder holds it."""

    folder: Path
    content: Mapping[str, Any]

    @property
    def numbers(self) -> dict[str, float]:
        """All its numbers by name."""
        return {name: math.nan if value is None else value for name, value in self.content["numbers"].items()}

    @property
    def checked(self) -> list[Checked]:
        """Its numbers beside their bands."""
        fields = ("number", "at_least", "at_most", "unit", "source")
        return [
            Checked(Band(**{name: each[name] for name in fields}), math.nan if each["value"] is None else each["value"])
            for each in self.content["checks"]
        ]

    @property
    def files(self) -> list[str]:
        """What is there to be looked at."""
        return [*self.content["pictures"], *self.content["tables"], *self.content["texts"]]


def read_drawn(folder: Path) -> Drawn:
    """The figure in a folder; raises DataError."""
    try:
        content = dict(json.loads(read_regular(folder / REPORT, _MAX_BYTES)))
        drawn = Drawn(folder, content)
        drawn.checked, drawn.numbers, drawn.files  # noqa: B018 - that they are there
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise DataError(f"cannot read {folder / REPORT}: it is no figure's; draw it again") from None
    return drawn
