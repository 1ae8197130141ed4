"""Durations as text."""

import pytest

from dlcourse.config.duration import Duration, seconds_of, twice
from dlcourse.config.options import convert
from dlcourse.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10min", 600), ("2h", 7200), ("1.5h", 5400), ("0.5s", 0.5), ("10 min", 600)]
)
def test_a_duration_has_seconds(text: str, seconds: float) -> None:
    assert seconds_of(convert(text, Duration | None, "trainer.time")) == seconds


@pytest.mark.parametrize(
    "value", [0, 90, 1.5, True, "0s", "0.0min", "-5s", "soon", "10", "10m", "1e3s", "s", "", "10min ", "inf", "٣s"]
)
def test_anything_else_is_refused_in_words(value: object) -> None:
    with pytest.raises(ConfigError, match=r"^trainer\.time must be text such as 90s, 10min or 2h, or null, got "):
        convert(value, Duration | None, "trainer.time")


@pytest.mark.parametrize(
    ("text", "longer"),
    [("2s", "4s"), ("10min", "20min"), ("1.5h", "3h"), ("600000s", "1200000s"), ("0.00001s", "0.00002s")],
)
def test_twice_as_long_is_a_duration_in_the_same_unit(text: str, longer: str) -> None:
    assert convert(twice(text), Duration, "trainer.time") == longer
