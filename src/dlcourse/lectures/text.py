"""The paragraph of a figure: words with the figure's own numbers, so that the two cannot drift apart."""

import os
import re
from collections.abc import Mapping

from dlcourse.errors import ConfigError
from dlcourse.lectures.entry import Language

_NUMBER = re.compile(r"\{([^{}:]+)(?::([^{}]*))?\}")


def filled(template: str, numbers: Mapping[str, float]) -> str:
    """The text with `{name}` and `{name:.2f}` replaced by numbers, a format as in Python; raises ConfigError.

    Whole numbers have commas, others four digits where no format is given; percentages have a blank before the sign.
    """

    def number(found: re.Match[str]) -> str:
        name, layout = found[1], found[2]
        if name not in numbers:
            raise ConfigError(f"the text names '{name}', which the figure does not give; it has {', '.join(numbers)}")
        value = numbers[name]
        if layout is None:
            return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4g}"
        return format(value, layout).replace("%", " %")

    return _NUMBER.sub(number, template)


def names_in(template: str) -> set[str]:
    """The numbers that a text names."""
    return {found[1] for found in _NUMBER.finditer(template)}


def language_of(asked: str | None) -> Language:
    """The language that was asked for, else that of the locale; raises ConfigError for one that there is not."""
    if asked is not None:
        if asked not in ("en", "ja"):
            raise ConfigError(f"--lang must be en or ja, got '{asked}'")
        return "ja" if asked == "ja" else "en"
    locale = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := os.environ.get(name))), "")
    return "ja" if locale.startswith("ja") else "en"
