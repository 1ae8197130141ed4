"""docs/lectures.md, made of the files in conf/lecture; to write it anew: `PYTHONPATH=tests python -m lecture_page`."""

from collections.abc import Iterator
from pathlib import Path

from dlcourse.config.paths import conf_dir
from dlcourse.console import format_seconds
from dlcourse.lectures.entry import Lecture, in_order, read_lecture
from dlcourse.lectures.items import LECTURES
from dlcourse.text_table import markdown

PAGE = Path(__file__).resolve().parents[1] / "docs" / "lectures.md"
_HEAD = """\
# The lectures

Each figure of the four lectures is one command: `dlcourse lecture NAME`, or by its item, `dlcourse lecture A19`. It makes
ordinary runs, draws what they left, and sets its numbers beside known ones; [`dlcourse check`](commands/check.md) does so
for all of them. How a figure is made, and what it leaves: [`dlcourse lecture`](commands/lecture.md).

`dlcourse lecture --book lectures` binds the figures that are made into pages for a browser, in English and Japanese.

The first number of each figure is in the table, with its band and where that comes from; `conf/lecture/NAME.yaml` has
them all. Times are of one core.
"""


def page() -> str:
    """The whole page."""
    lectures = in_order(read_lecture(path) for path in (conf_dir() / "lecture").glob("*.yaml"))
    return "\n".join([_HEAD, *_tables(lectures)])


def _tables(lectures: list[Lecture]) -> Iterator[str]:
    for letter, course in LECTURES.items():
        yield f"## {letter}: {course.title.en}\n"
        rows = [_row(lecture) for lecture in lectures if lecture.items[0][0] == letter]
        yield "\n".join(
            markdown([["item", "name", "figure", "number", "known", "source", "time"], *rows], left=range(6))
        )
        yield ""


def _row(lecture: Lecture) -> list[str]:
    band = lecture.check[0]
    time = format_seconds(lecture.seconds)
    return [" ".join(lecture.items), f"`{lecture.name}`", lecture.title.en, band.number, band.known, band.source, time]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
