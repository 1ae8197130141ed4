"""Files of figures: what is read, what is refused, and how bands are shown."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from dlcourse.errors import ConfigError
from dlcourse.lectures.entry import Band, Words, read_lecture

GOOD = """\
name: mine
items: [A3]
title: {en: Mine, ja: 私の図}
draw: curves
runs: [data=iris, data=wine]
full: [trainer.epochs=9]
options: {y: val/loss}
full_options: {log: true}
seconds: 3
check:
  - {number: a, at_least: 0.5, at_most: 0.75, unit: "%", source: theory}
text: {en: "{a}", ja: "{a} である"}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_full_adds(tmp_path: Path) -> None:
    lecture = read_lecture(write(tmp_path, GOOD))
    assert lecture.lines(full=False) == ["data=iris", "data=wine"]
    assert lecture.lines(full=True) == ["data=iris trainer.epochs=9", "data=wine trainer.epochs=9"]
    quick = replace(lecture, runs=("data=iris trainer.epochs=2,3 seed=1", "data=wine"), full=("trainer.epochs=9", ""))
    assert quick.lines(full=True) == ["data=iris seed=1 trainer.epochs=9", "data=wine"], "an option is given once"
    assert lecture.drawing == "curves"
    assert lecture.drawing_options(full=False) == {"y": "val/loss"}
    assert lecture.drawing_options(full=True) == {"y": "val/loss", "log": True}


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("items: [A3]", "items: [A99]", "unknown item 'A99'"),
        ("items: [A3]", "itms: [A3]", "did you mean 'items'"),
        ("name: mine", "name: other", "name must be mine, got 'other'"),
        ("seconds: 3", "seconds: soon", "seconds must be a whole number >= 1"),
        ("source: theory", "sauce: theory", "unknown option 'check.sauce'"),
        ("full: [trainer.epochs=9]", "full: [a=1, b=2, c=3]", "full must have one line, or 2"),
        ("options: {y: val/loss}", "options: 3", "options must be a section"),
        ("runs: [data=iris, data=wine]", "runs: data=iris", "runs must be a list"),
    ],
)
def test_a_file_that_is_wrong_is_refused_in_one_line(tmp_path: Path, before: str, after: str, says: str) -> None:
    assert before in GOOD
    path = write(tmp_path, GOOD.replace(before, after))
    with pytest.raises(ConfigError) as caught:
        read_lecture(path)
    assert says in str(caught.value) and str(path) in str(caught.value)


def band(**values: float | str) -> Band:
    return Band(**{"number": "n", "source": "s", **values})  # type: ignore[arg-type]


def test_a_band_holds_what_lies_in_it_ends_included() -> None:
    within = band(at_least=0.5, at_most=0.75)
    assert within.holds(0.5) and within.holds(0.75)
    assert not within.holds(0.4999) and not within.holds(0.7501) and not within.holds(math.nan)
    assert band(at_least=0.5).holds(math.inf) and not band(at_most=0.5).holds(math.inf)


def test_bands_and_values_are_shown_with_their_unit() -> None:
    assert band(at_least=0.918, at_most=0.928, unit="%").known == "91.8 to 92.8 %"
    assert band(at_least=0.918, unit="%").shown(0.92271) == "92.27 %"
    assert band(at_least=900, at_most=1100).known == "900 to 1,100"
    assert band(at_least=-13, at_most=-13).known == "-13"
    assert band(at_most=1e-6).known == "at most 1e-06"
    assert band(at_least=105, at_most=107, unit="nats").known == "105 to 107 nats"


def test_lines_joined_in_japanese_have_no_blank_between() -> None:
    words = Words(en="a b", ja="大きい 。また MNIST の 図")
    assert words["ja"] == "大きい。また MNIST の図"
    assert words["en"] == "a b"
