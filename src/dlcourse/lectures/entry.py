"""conf/lecture/NAME.yaml: the runs a figure stands on, its numbers with their bands, and its words in two languages.

Nothing here imports torch: the figures can be listed without it.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dlcourse.config.options import Count, check_options
from dlcourse.config.yaml_file import read_yaml
from dlcourse.errors import ConfigError
from dlcourse.lectures.items import item_key

Language = Literal["en", "ja"]


# What YAML puts where it joins two lines, which Japanese does not have between its characters.
_BLANK_IN_JAPANESE = re.compile("(?<=[\u3000-\u9fff\uff00-\uffef]) (?=[\u3000-\u9fff\uff00-\uffef])")


@dataclass(frozen=True, kw_only=True)
class Words:
    """A text in English and in Japanese."""

    en: str
    ja: str

    def __getitem__(self, language: Language) -> str:
        return _BLANK_IN_JAPANESE.sub("", self.ja) if language == "ja" else self.en


@dataclass(frozen=True, kw_only=True)
class Band:
    """Between which values a number of a figure must lie, and who says so; with both ends equal, exactly there.

    `unit` is shown behind the number; of `%` the number is a share, as everywhere.
    """

    number: str
    source: str
    at_least: float | None = None
    at_most: float | None = None
    unit: str = ""

    def holds(self, value: float) -> bool:
        """Whether the value lies there; NaN lies nowhere."""
        low = -math.inf if self.at_least is None else self.at_least
        high = math.inf if self.at_most is None else self.at_most
        return low <= value <= high

    @property
    def known(self) -> str:
        """`91.8 to 92.8 %`, `at least 0.9`, `-13`."""
        low, high = (None if end is None else _written(end, self.unit) for end in (self.at_least, self.at_most))
        if low is None or high is None:
            text = f"at most {high}" if low is None else f"at least {low}"
        else:
            text = low if low == high else f"{low} to {high}"
        return f"{text} {self.unit}".rstrip()

    def shown(self, value: float) -> str:
        """The value with its unit: `92.27 %`."""
        return f"{_written(value, self.unit)} {self.unit}".rstrip()


def _written(value: float, unit: str) -> str:
    if unit == "%":
        return f"{100 * value:.2f}".rstrip("0").rstrip(".")
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.4g}"


@dataclass(frozen=True, kw_only=True)
class Lecture:
    """A figure of the lectures.

    `runs` are lines of words behind `dlcourse train`, with commas as behind -m; `{1}` in them stands for the folder of the
    first run of the figure. `full` has a line for each of them, or one for all, which `--full` adds, as it does
    `full_options` to the `options` of the drawing `draw`, by default the one of the figure's own name. `expect` says whether
    runs may diverge because that is the point. `seconds` is how long it takes on one core in its quick form.
    """

    name: str
    items: tuple[str, ...]
    title: Words
    text: Words
    check: tuple[Band, ...]
    seconds: Count
    runs: tuple[str, ...] = ()
    full: tuple[str, ...] = ()
    draw: str | None = None
    options: Any = field(default_factory=dict)
    full_options: Any = field(default_factory=dict)
    expect: Literal["done", "diverged"] = "done"

    @property
    def drawing(self) -> str:
        """The name of the function that draws it."""
        return self.draw or self.name

    def lines(self, *, full: bool) -> list[str]:
        """The lines of words of its runs; those of `--full` have more, which replace words of the same option."""
        if not full or not self.full:
            return list(self.runs)
        more = self.full * len(self.runs) if len(self.full) == 1 else self.full
        return [_replaced(line, words) for line, words in zip(self.runs, more, strict=True)]

    def drawing_options(self, *, full: bool) -> dict[str, Any]:
        """The options of its drawing; those of `--full` may differ."""
        return {**self.options, **(self.full_options if full else {})}


def _replaced(line: str, more: str) -> str:
    """The words of a line without those whose options `more` has, then the words of `more`."""
    options = {word.partition("=")[0] for word in more.split()}
    return " ".join([*(word for word in line.split() if word.partition("=")[0] not in options), *more.split()])


def read_lecture(path: Path) -> Lecture:
    """The figure in a file; raises ConfigError."""
    content = read_yaml(path)
    try:
        lecture = Lecture(**check_options(Lecture, content, where=""))
        for item in lecture.items:
            item_key(item)
        for section in ("options", "full_options"):
            if not isinstance(getattr(lecture, section), Mapping):
                raise ConfigError(f"{section} must be a section, got {getattr(lecture, section)!r}")
        if lecture.full and len(lecture.full) not in (1, len(lecture.runs)):
            raise ConfigError(f"full must have one line, or {len(lecture.runs)}, one for each line of runs")
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    if lecture.name != path.stem:
        raise ConfigError(f"{path}: name must be {path.stem}, got '{lecture.name}'")
    return lecture


def in_order(lectures: Iterable[Lecture]) -> list[Lecture]:
    """By the first item of each."""
    return sorted(lectures, key=lambda lecture: (item_key(lecture.items[0]), lecture.name))
