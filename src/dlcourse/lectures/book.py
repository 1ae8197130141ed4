"""What the book of the lectures binds: the figures that are made, as their folders hold them."""

import dataclasses
import shlex
from collections.abc import Iterable
from pathlib import Path

from dlcourse.errors import DataError
from dlcourse.lectures.drawing import REPORT, Drawn, read_drawn
from dlcourse.lectures.entry import Language, Lecture
from dlcourse.lectures.items import LECTURES
from dlcourse.lectures.planned import FIGURE, MADE_WITH
from dlcourse.lectures.text import filled
from dlcourse.pages.book import Book, FigurePage, Number
from dlcourse.pages.figures import read_figure


def book_of(lectures: Iterable[Lecture], folder: Path) -> Book:
    """The book of the figures that are made in a folder; raises DataError for one that is damaged."""
    pages, missing = [], []
    for lecture in lectures:
        place = folder / lecture.name
        if (place / REPORT).is_file():
            pages.append(_page(lecture, read_drawn(place)))
        else:
            missing.append(lecture.name)
    titles: dict[str, dict[Language, str]] = {
        letter: {"en": course.title.en, "ja": course.title.ja} for letter, course in LECTURES.items()
    }
    return Book(tuple(pages), titles, tuple(missing))


def _page(lecture: Lecture, drawn: Drawn) -> FigurePage:
    numbers = tuple(
        Number(each.band.number, each.band.shown(each.value), each.band.known, each.band.source, each.holds)
        for each in drawn.checked
    )
    return FigurePage(
        lecture.name,
        lecture.items,
        {"en": lecture.title["en"], "ja": lecture.title["ja"]},
        {"en": filled(lecture.text["en"], drawn.numbers), "ja": filled(lecture.text["ja"], drawn.numbers)},
        tuple(
            dataclasses.replace(read_figure(drawn.folder / name, lecture.title.en), alt=_alt(lecture, name))
            for name in drawn.content["pictures"]
        ),
        numbers,
        f"dlcourse lecture {lecture.name}" + " --full" * bool(drawn.content["full"]),
        tuple(_command(run["words"]) for run in drawn.content["runs"] if "words" in run),
    )


def _alt(lecture: Lecture, file: str) -> str:
    name = "" if file == FIGURE else f": {Path(file).stem.replace('_', ' ')}"
    return f"{lecture.title.en}{name}"


def _command(words: Iterable[str]) -> str:
    try:
        return shlex.join(["dlcourse", "train", *(str(word) for word in words if word not in MADE_WITH)])
    except TypeError:
        raise DataError("a figure names words of a run that are none; draw it again") from None
