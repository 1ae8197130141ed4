"""The grammar: every sentence is one of its own, animals keep their habits, and what is said of classes is true."""

from collections import Counter

import pytest

from dlcourse.data.grammar import CLASSES, Grammar, analogies
from dlcourse.tokens import tokenizer_of


def test_an_animal_is_in_its_own_place_as_often_as_its_habit_says() -> None:
    lines = Grammar(sentences=6000, habit=0.7).read().splitlines()
    assert len(lines) == 6000
    places = Counter(line.split()[-1] for line in lines if line.startswith("the cat") and " on the " in line)
    assert set(places) == set(CLASSES["place to sit"])
    assert places["mat"] / places.total() == pytest.approx(0.7 + 0.3 / 12, abs=0.08)
    always = Grammar(sentences=2000, habit=1.0).read()
    assert "the cat sat on the mat\n" in always and "the cat sat on the rug" not in always


def test_the_words_of_a_class_and_the_analogies_are_in_the_vocabulary() -> None:
    data = Grammar(sentences=2000).build(name="grammar", seed=0)
    spec, words = data.spec, set(data.spec.vocabulary)
    assert all(words.issuperset(each) for each in CLASSES.values())
    classes = dict(zip(spec.vocabulary, spec.word_classes, strict=True))
    assert (classes["cat"], classes["queen"], classes["the"]) == ("animal", "person", "")
    assert len(set(spec.analogies)) == len(spec.analogies) == 3 * 8 * 3  # by thing that differs, first word and third
    assert "king queen man woman" in spec.analogies and "man king boy prince" in spec.analogies
    assert all(words.issuperset(each.split()) for each in analogies())
    text = tokenizer_of(spec).decode(data.train.tokens.tolist())  # type: ignore[attr-defined]
    assert Grammar(sentences=2000).read().startswith(text)


def test_the_draw_is_the_seeds_and_not_the_runs() -> None:
    first, second = (Grammar(sentences=300).build(name="grammar", seed=seed) for seed in (0, 1))
    assert first.test.fingerprint() == second.test.fingerprint()
    assert Grammar(sentences=300, seed=1).read() != Grammar(sentences=300).read()
