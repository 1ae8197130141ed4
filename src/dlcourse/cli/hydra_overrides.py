"""Words of the command line turned into Hydra's grammar: values it would refuse to read are quoted, the rest is left alone.

Hydra's grammar knows no letters beyond ASCII and no `=`, `~`, `#`, `(` or `"` inside a plain text, so that a path such as
`data.root=/home/学生/epoch=3` would have to be quoted twice, once for the shell and once for Hydra.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, Quote, QuotedString, Sweep
from hydra.errors import HydraException

from dlcourse.cli.config_files import all_options, as_choice, entries
from dlcourse.config.hints import file_hints, hints, plain
from dlcourse.config.paths import conf_dir
from dlcourse.config.run_config import GROUPS
from dlcourse.errors import ConfigError

_KEY = re.compile(r"(?:\+\+|\+|~)?[A-Za-z_$][\w/@.$-]*", re.ASCII)
_FUNCTION = re.compile(r"(choice|range|interval|glob|sort|shuffle|tag|int|float|str|bool)\((.*)\)", re.DOTALL)
_CALL = re.compile(r"(?:^|[,\[({])\s*\w+$", re.ASCII)
_QUOTED = re.compile(r"(['\"])(?:\\.|(?!\1).)*\1", re.DOTALL)
_CLOSING = {"[": "]", "{": "}", "(": ")"}
_MAX_LENGTH = 4096


def parse(words: list[str]) -> list[Override]:
    """Each word as an override that Hydra reads, its `input_line` in Hydra's grammar; raises ConfigError."""
    return [_parse_word(word, words[place:]) for place, word in enumerate(words, start=1)]


def text_word(key: str, text: str) -> str:
    """`key=text`, with quotes if it would be read as anything but this text: a number, several values."""
    word = f"{key}={text}"
    try:
        (found,) = parse([word])
        is_text = not found.is_sweep_override() and found.value() == text
    except ConfigError:
        is_text = False
    return word if is_text else f"{key}={QuotedString(text, Quote.double).with_quotes()}"


def _parse_word(word: str, following: list[str]) -> Override:
    key, equals, value = word.partition("=")
    _check_characters(key, word)
    if not equals and not key.startswith("~"):
        raise ConfigError(f"'{word}' is not of the form option=value{_meant(word, following)}")
    if equals and not value and following and "=" not in following[0]:
        raise ConfigError(f"'{word} {following[0]}' has a space in it; write {word}{following[0]}")
    if not _KEY.fullmatch(key):
        raise ConfigError(
            f"'{key}' cannot be the name of an option; expected letters, digits, '_' and '.', as trainer.epochs"
        )
    try:
        parsed = _try_parse(word) or _try_parse(f"{key}={_quote_elements(value, key)}")
    except RecursionError:
        raise ConfigError(f"cannot read the value of '{key}': too many brackets inside brackets") from None
    if parsed is None:
        raise ConfigError(f"cannot read the value of '{key}': {value!r}; put quotes around it: \"{key}='...'\"")
    if _holds_sweep(parsed.value()):
        raise ConfigError(
            f"'{word}' has a function of several values, such as choice(...), inside brackets; write it around them,"
            f" as {key}=choice([a,b],[a,c])"
        )
    return parsed


def _holds_sweep(value: object) -> bool:
    """Whether Hydra made a sweep of an element inside brackets, also of one of several values: it never expands those."""
    if isinstance(value, dict):
        elements = list(value.values())
    else:
        elements = value.list if isinstance(value, ChoiceSweep) else value if isinstance(value, list) else []
    return any(isinstance(element, Sweep) or _holds_sweep(element) for element in elements)


def _meant(word: str, following: list[str]) -> str:
    """How to write what stands alone: the name of an entry, of an option before its value, or of a file."""
    choice = as_choice(word) or as_option(word, following)
    how = f"write {choice}" if choice else next((text for text in file_hints(word) if " " in text), "")
    return f"; {how}" if how else ", such as trainer.epochs=5 or model=cnn"


def as_option(name: str, following: list[str]) -> str:
    """`optimizer.lr=0.1` for `lr`, `optimizer.lr` or `learning_rate` and the words that follow it; may be empty."""
    keys = list(_option_names())
    same = [key for key in keys if plain(name) in (plain(key), plain(key.rpartition(".")[2]))]
    key = next((key for key in [*same, *hints("option", name)] if key in keys), None)
    # Of `lr 0.1`, `lr =0.1` and `lr = 0.1`.
    value = next(filter(None, (word.lstrip("=") for word in following[:2])), "")
    return f"{key}={'VALUE' if not value or '=' in value or value.startswith('-') else value}" if key else ""


def _option_names() -> Iterator[str]:
    """The dotted names of our own options, those of the trainer first, and the groups."""
    yield from ("seed", "run.root", "run.name", "run.dir", "run.tags", "init_from", "freeze", "report", *GROUPS)
    for group in ("trainer", *GROUPS):
        for path in entries(group, [conf_dir()]).values():
            yield from (f"{group}.{option}" for option in all_options(path) if option != "name")


def _check_characters(key: str, word: str) -> None:
    if len(word) > _MAX_LENGTH:
        raise ConfigError(f"the value of '{key[:40]}' is too long: {len(word)} characters, the limit is {_MAX_LENGTH}")
    if any(ord(character) < 32 or character == "\x7f" for character in word):
        raise ConfigError(
            f"the value of '{key!s}' holds a control character, such as a line break".replace("\n", "\\n")
        )
    if any("\ud800" <= character <= "\udfff" for character in word):
        raise ConfigError(f"the value of '{key.encode('ascii', 'replace').decode()}' is not UTF-8")


def _try_parse(text: str) -> Override | None:
    """None if Hydra refuses the text. Python itself refuses to read numbers of more than 4300 digits (ValueError)."""
    try:
        override = OverridesParser.create().parse_override(text)
    except (HydraException, ValueError):
        return None
    override.input_line = text
    return override


def _quote_elements(value: str, key: str) -> str:
    """The value with quotes around those of its comma-separated elements that Hydra would refuse."""
    return ",".join(_quote_element(element, key) for element in _split(value, key))


def _quote_element(element: str, key: str) -> str:
    text = element.strip(" \t")
    if not text or _try_parse(f"x={text}") is not None:
        return text
    if text.startswith("[") and text.endswith("]"):
        return f"[{_quote_elements(text[1:-1], key)}]"
    if function := _FUNCTION.fullmatch(text):
        return f"{function[1]}({_quote_elements(function[2], key)})"
    return text if text.startswith("{") else QuotedString(text, Quote.single).with_quotes()


def _split(value: str, key: str) -> list[str]:
    """The elements between commas, those inside of quotes and brackets aside; raises ConfigError for an open bracket."""
    elements, start, position = [], 0, 0
    while position < len(value):
        if value[position] == ",":
            elements.append(value[start:position])
            start = position + 1
        position = _skip(value, position, key)
    return [*elements, value[start:]]


@lru_cache(maxsize=2 * _MAX_LENGTH)  # keeps unclosed brackets inside each other from doubling the work each time
def _skip(value: str, position: int, key: str) -> int:
    """The position behind the character there, or behind all that a quote or a bracket there encloses.

    Quotes and brackets enclose only where an element starts: `it's` and `/x/[draft` are plain texts.
    """
    opening, before = value[position], value[:position].rstrip()
    starts_element = not before or before[-1] in ",[{" or (before[-1] == "(" and _is_call(value, len(before) - 1))
    if opening in "\"'" and starts_element:
        closed = _QUOTED.match(value, position)
        return closed.end() if closed else position + 1
    encloses = _is_call(value, position) if opening == "(" else opening in _CLOSING and starts_element
    if not encloses:
        return position + 1
    inside = position + 1
    while inside < len(value):
        if value[inside] == _CLOSING[opening]:
            return inside + 1
        inside = _skip(value, inside, key)
    if opening == "(":
        return position + 1
    raise ConfigError(f"cannot read '{key}={value}': '{opening}' is not closed by '{_CLOSING[opening]}'")


def _is_call(value: str, position: int) -> bool:
    """Whether the parenthesis there follows a name that stands where an element starts: `choice(`."""
    return _CALL.search(value, 0, position) is not None
