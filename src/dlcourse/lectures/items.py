"""The items of the lectures, A1 to D10: what a lecture is called, and how many items it has."""

import re
from dataclasses import dataclass

from dlcourse.errors import ConfigError


@dataclass(frozen=True)
class Title:
    """What a lecture is called, in English and in Japanese."""

    en: str
    ja: str


@dataclass(frozen=True)
class Course:
    """A lecture: its title, and the number of its last item."""

    title: Title
    last: int


LECTURES: dict[str, Course] = {
    "A": Course(
        Title("machine learning, from regression to Transformers", "機械学習の基礎: 回帰から Transformer まで"), 30
    ),
    "B": Course(Title("methods of deep learning", "深層学習の手法"), 7),
    "C": Course(Title("CNN, RNN, language models, diffusion", "CNN・RNN・言語モデル・拡散モデル"), 8),
    "D": Course(
        Title("RNN, reinforcement learning, generative models, hardware", "RNN・強化学習・生成モデル・ハードウェア"), 10
    ),
}
"""Each lecture by its letter."""


def all_items() -> list[str]:
    """`A1`, `A2`, ..., `D10`."""
    return [f"{letter}{number}" for letter, lecture in LECTURES.items() for number in range(1, lecture.last + 1)]


def item_key(item: str) -> tuple[str, int]:
    """Letter and number of an item, by which items are in order; raises ConfigError if there is none of that name."""
    found = re.fullmatch(r"([A-Z])([1-9][0-9]?)", item)
    if found is None or found[1] not in LECTURES or int(found[2]) > LECTURES[found[1]].last:
        there = ", ".join(f"{letter}1 to {letter}{lecture.last}" for letter, lecture in LECTURES.items())
        raise ConfigError(f"unknown item '{item}'; items are {there}")
    return found[1], int(found[2])


def looks_like_item(word: str) -> bool:
    """Whether a word is meant to be an item, such as `A19` or `d4`."""
    return re.fullmatch(r"[A-Za-z][0-9]{1,3}", word) is not None
