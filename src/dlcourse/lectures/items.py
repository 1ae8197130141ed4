"""The items of the lectures, A1 to D10: what a lecture is called, and how many items it has."""

import re

from dlcourse.errors import ConfigError

LECTURES: dict[str, tuple[str, int]] = {
    "A": ("machine learning, from regression to Transformers", 30),
    "B": ("methods of deep learning", 7),
    "C": ("CNN, RNN, language models, diffusion", 8),
    "D": ("RNN, reinforcement learning, generative models, hardware", 10),
}
"""Each lecture by its letter: its title, and the number of its last item."""


def all_items() -> list[str]:
    """`A1`, `A2`, ..., `D10`."""
    return [f"{letter}{number}" for letter, (_, last) in LECTURES.items() for number in range(1, last + 1)]


def item_key(item: str) -> tuple[str, int]:
    """Letter and number of an item, by which items are in order; raises ConfigError if there is none of that name."""
    found = re.fullmatch(r"([A-Z])([1-9][0-9]?)", item)
    if found is None or found[1] not in LECTURES or int(found[2]) > LECTURES[found[1]][1]:
        there = ", ".join(f"{letter}1 to {letter}{last}" for letter, (_, last) in LECTURES.items())
        raise ConfigError(f"unknown item '{item}'; items are {there}")
    return found[1], int(found[2])


def looks_like_item(word: str) -> bool:
    """Whether a word is meant to be an item, such as `A19` or `d4`."""
    return re.fullmatch(r"[A-Za-z][0-9]{1,3}", word) is not None
