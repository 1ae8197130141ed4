"""Durations as people write them, such as 90s, 10min and 2h: the type of an option, and its seconds."""

import re
from typing import Annotated

_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_WRITTEN = re.compile(r"(\d{1,9}(?:\.\d{1,9})?) ?(s|min|h)", re.ASCII)


class _Written:
    """All texts that are a duration."""

    def __contains__(self, text: str) -> bool:
        match = _WRITTEN.fullmatch(text)
        return match is not None and float(match[1]) > 0

    def __str__(self) -> str:
        return "such as 90s, 10min or 2h"


Duration = Annotated[str, _Written()]


def seconds_of(duration: str) -> float:
    """The seconds of a text that is a `Duration`."""
    number, unit = _parts(duration)
    return number * _UNITS[unit]


def twice(duration: str) -> str:
    """A text that is twice as long, in the same unit: `20min` for `10min`."""
    number, unit = _parts(duration)
    return f"{2 * number:.9f}".rstrip("0").rstrip(".") + unit


def _parts(duration: str) -> tuple[float, str]:
    match = _WRITTEN.fullmatch(duration)
    assert match is not None, duration
    return float(match[1]), match[2]
