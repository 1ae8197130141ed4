"""Every figure has a file, every file a figure, and every item of the lectures a figure."""

import re
from pathlib import Path

import pytest

import lecture_page
from dlcourse.config.paths import conf_dir
from dlcourse.config.registry import Choice
from dlcourse.errors import ConfigError
from dlcourse.lectures.entry import Lecture, in_order, read_lecture
from dlcourse.lectures.figures import FIGURES
from dlcourse.lectures.items import LECTURES, all_items, item_key, looks_like_item
from dlcourse.lectures.text import names_in

FILES = sorted((conf_dir() / "lecture").glob("*.yaml"))
FOR_ANY_RUNS = {"against", "bars", "curves", "evaluated"}
WITHOUT_FIGURE: set[str] = set()


@pytest.fixture(params=FILES, ids=[path.stem for path in FILES])
def path(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


@pytest.fixture
def lecture(path: Path) -> Lecture:
    return read_lecture(path)


def test_a_file_says_what_it_is_and_how_to_make_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.match(r"# \S.{10,}[.:]\n", text), "the first line is a comment that says what this is"
    assert f"#   dlcourse lecture {path.stem}\n" in text
    assert re.search(r"^# Expected", text, re.MULTILINE), "the head says what is expected, and why"


def test_a_file_names_a_drawing_and_options_that_it_has(lecture: Lecture) -> None:
    for full in (False, True):
        FIGURES.check(Choice(lecture.drawing, lecture.drawing_options(full=full)))


def test_numbers_have_bands_with_a_source(lecture: Lecture) -> None:
    assert lecture.check, "a figure without a number is none"
    for band in lecture.check:
        assert band.source
        assert band.at_least is not None or band.at_most is not None
        assert band.at_least is None or band.at_most is None or band.at_least <= band.at_most


def test_the_words_are_in_both_languages_with_the_same_numbers(lecture: Lecture) -> None:
    for words in (lecture.title, lecture.text):
        assert words["en"].isascii(), words["en"]
        assert re.search("[\u3040-\u30ff]", words["ja"] + "の"), words["ja"]
        assert re.search("[\u3040-\u9fff]", words["ja"]), words["ja"]
    assert names_in(lecture.text["en"]) == names_in(lecture.text["ja"])
    assert names_in(lecture.text["en"]), "the paragraph tells numbers of the figure"


def test_every_drawing_has_its_file() -> None:
    used = {read_lecture(path).drawing for path in FILES}
    assert used | FOR_ANY_RUNS == set(FIGURES)


def test_every_item_has_a_figure() -> None:
    covered = {item for path in FILES for item in read_lecture(path).items}
    assert covered == set(all_items()) - WITHOUT_FIGURE


def test_items_are_in_order_and_unknown_ones_are_refused() -> None:
    items = all_items()
    assert items[0] == "A1" and items[-1] == "D10" and len(items) == 55
    assert sorted(items, key=item_key) == items
    with pytest.raises(ConfigError, match="A1 to A30, B1 to B7, C1 to C8, D1 to D10"):
        item_key("A31")
    assert looks_like_item("d4") and not looks_like_item("landscape") and not looks_like_item("vae2")
    first = [each.items[0] for each in in_order(map(read_lecture, FILES))]
    assert first == sorted(first, key=item_key)
    assert set(LECTURES) == {"A", "B", "C", "D"}


def test_the_documentation_lists_every_figure() -> None:
    assert lecture_page.PAGE.read_text(encoding="utf-8") == lecture_page.page(), (
        "PYTHONPATH=tests python -m lecture_page"
    )
