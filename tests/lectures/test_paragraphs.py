"""Paragraphs with numbers in them, and their language."""

import pytest

from dlcourse.errors import ConfigError
from dlcourse.lectures.text import filled, language_of, names_in

NUMBERS = {"optimizer.lr=0.1 val/mse": 0.01164, "count": 1200.0, "test accuracy": 0.92271}


def test_numbers_take_the_places_of_their_names() -> None:
    text = "{optimizer.lr=0.1 val/mse:.3f}, {optimizer.lr=0.1 val/mse}, {count}, {count:.1e}, {test accuracy:.1%}"
    assert filled(text, NUMBERS) == "0.012, 0.01164, 1,200, 1.2e+03, 92.3 %"
    assert names_in(text) == set(NUMBERS)


def test_a_name_that_the_figure_does_not_give_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"the text names 'loss', .* it has optimizer"):
        filled("{loss}", NUMBERS)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"LANG": "ja_JP.UTF-8"}, "ja"),
        ({"LANG": "ja_JP", "LC_ALL": "C"}, "en"),
        ({"LC_MESSAGES": "ja"}, "ja"),
        ({}, "en"),
    ],
)
def test_the_language_is_that_of_the_locale(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert language_of(None) == expected
    assert language_of("en") == "en" and language_of("ja") == "ja"


def test_other_languages_are_refused() -> None:
    with pytest.raises(ConfigError, match="--lang must be en or ja, got 'fr'"):
        language_of("fr")
