"""A text of short sentences drawn from a small grammar, whose words have known classes and known analogies."""

import dataclasses
from dataclasses import dataclass
from itertools import permutations
from typing import Annotated, TypeVar

import torch

from dlcourse.config.options import Count, NonNegativeInt, Probability, Range
from dlcourse.data import announced
from dlcourse.data.split import seeded_generator
from dlcourse.data.text import TextSource, Tokens
from dlcourse.spec import Data

_Item = TypeVar("_Item")

_ANIMALS = ("cat", "bird", "cow", "dog", "duck", "fox", "frog", "goat", "hen", "horse", "mouse", "owl")
_SEATS = ("mat", "branch", "grass", "rug", "pond", "log", "stone", "wall", "nest", "straw", "shelf", "roof")
_FOODS = ("fish", "berry", "clover", "bone", "worm", "grape", "fly", "leaf", "corn", "apple", "cheese", "moth")
"""Each animal with the place and the food that it likes best, in the same order."""
_SITTING = ("sat", "lay", "slept", "rested", "waited")
_EATING = ("ate", "found", "liked", "smelled", "wanted")

_PEOPLE = {
    ("he", "noble", "old"): "king",
    ("she", "noble", "old"): "queen",
    ("he", "noble", "young"): "prince",
    ("she", "noble", "young"): "princess",
    ("he", "common", "old"): "man",
    ("she", "common", "old"): "woman",
    ("he", "common", "young"): "boy",
    ("she", "common", "young"): "girl",
}
"""By what they have in common: whether it is "his" or "her", the rank and the age."""
_POSSESSIVE = {"he": "his", "she": "her"}
_THINGS = {"noble": ("crown", "jewel", "throne", "sword"), "common": ("hat", "coat", "bag", "bicycle")}
_HOMES = {"noble": ("palace", "castle", "tower"), "common": ("house", "cottage", "cabin")}
_AIMS = {"old": ("work", "market", "court"), "young": ("school", "lessons", "bed")}
_HAVING = ("lost", "took", "dropped", "cleaned")

CLASSES: dict[str, tuple[str, ...]] = {
    "animal": _ANIMALS,
    "place to sit": _SEATS,
    "food": _FOODS,
    "person": tuple(_PEOPLE.values()),
    "thing": _THINGS["noble"] + _THINGS["common"],
    "home": _HOMES["noble"] + _HOMES["common"],
    "aim": _AIMS["old"] + _AIMS["young"],
    "sitting": _SITTING,
    "eating": _EATING,
    "having": _HAVING,
}
"""The words of each class; those of the frame, such as "the", have none."""


def analogies() -> tuple[str, ...]:
    """All "a b c d" that say: a is to b as c is to d. The pairs differ in one and the same thing, such as the rank."""
    people: dict[tuple[str, ...], str] = {tuple(key): word for key, word in _PEOPLE.items()}
    found = []
    for (one, a), (two, b) in permutations(_PEOPLE.items(), 2):
        changed = [index for index in range(3) if one[index] != two[index]]
        if len(changed) != 1:
            continue
        (index,) = changed
        for three, c in _PEOPLE.items():
            alike = list(three)
            alike[index] = two[index]
            if three[index] == one[index] and c != a:
                found.append(f"{a} {b} {c} {people[tuple(alike)]}")
    return tuple(found)


@dataclass(frozen=True, kw_only=True)
class Grammar(TextSource):
    """Lines such as "the cat sat on the mat" and "the queen lost her crown", their words the tokens.

    Two sentences in five are of animals that sit, one in five of animals that eat, two in five of people. With
    probability `habit` an animal has its own place and its own food, or else any; so only what remembers the animal four
    words back knows what follows "sat on the". `sentences` are drawn by `seed`, which the run's seed does not change.
    """

    SPECS = (announced.text(16),)

    tokens: Tokens = "words"
    context: Count = 16
    sentences: Annotated[int, Range(ge=200)] = 20_000
    habit: Probability = 0.8
    seed: NonNegativeInt = 0

    def read(self) -> str:
        draw = _Draw(seeded_generator("grammar", self.seed))
        return "".join(f"{self._sentence(draw)}\n" for _ in range(self.sentences))

    def build(self, *, name: str, seed: int) -> Data:
        data = super().build(name=name, seed=seed)
        class_of = {word: label for label, words in CLASSES.items() for word in words}
        word_classes = tuple(class_of.get(word, "") for word in data.spec.vocabulary)
        if self.tokens == "words":
            data.spec = dataclasses.replace(data.spec, word_classes=word_classes, analogies=analogies())
        return data

    def _sentence(self, draw: "_Draw") -> str:
        kind = draw.below(5)
        if kind < 2:
            return self._of_an_animal(draw, _SITTING, " on", _SEATS)
        if kind < 3:
            return self._of_an_animal(draw, _EATING, "", _FOODS)
        return _of_a_person(draw)

    def _of_an_animal(self, draw: "_Draw", verbs: tuple[str, ...], link: str, favorites: tuple[str, ...]) -> str:
        animal = draw.below(len(_ANIMALS))
        chosen = favorites[animal] if draw.chance() < self.habit else draw.one(favorites)
        return f"the {_ANIMALS[animal]} {draw.one(verbs)}{link} the {chosen}"


def _of_a_person(draw: "_Draw") -> str:
    """What belongs to somebody, where they live or go: their rank, age and pronoun show in the words around."""
    (pronoun, rank, age), person = draw.one(tuple(_PEOPLE.items()))
    sentences = (
        f"the {person} {draw.one(_HAVING)} {_POSSESSIVE[pronoun]} {draw.one(_THINGS[rank])}",
        f"the {person} lives in the {draw.one(_HOMES[rank])} and {pronoun} is {age}",
        f"the {person} went to {draw.one(_AIMS[age])} with {_POSSESSIVE[pronoun]} {draw.one(_THINGS[rank])}",
    )
    return draw.one(sentences)


class _Draw:
    """Numbers and choices, one after the other, from a generator that is asked for many at a time."""

    _AT_ONCE = 4096

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator
        self._left: list[float] = []

    def chance(self) -> float:
        """A number uniform in [0, 1)."""
        if not self._left:
            self._left = torch.rand(self._AT_ONCE, generator=self._generator, dtype=torch.float64).tolist()
        return self._left.pop()

    def below(self, count: int) -> int:
        """A whole number in [0, count)."""
        return int(self.chance() * count)

    def one(self, items: tuple[_Item, ...]) -> _Item:
        """One of the items."""
        return items[self.below(len(items))]
