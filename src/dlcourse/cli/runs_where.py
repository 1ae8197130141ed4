"""The conditions of `dlcourse runs --where KEY=VALUE`: which runs hold them all, by their names, state, tags and options."""

import contextlib
import fnmatch
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from dlcourse.config.options import hint, suggestion
from dlcourse.config.run_config import GROUPS
from dlcourse.errors import ConfigError
from dlcourse.runs.record import STATES, RunRecord, whole_config

_FACTS = ("data", "model", "state", "name", "tag")
"""Keys that are no options, or are known without the config."""
_DEEPEST = 4
"""Sections within sections of a config; what a stranger's has below is not named."""


def chosen(records: Sequence[RunRecord], conditions: Sequence[str]) -> list[RunRecord]:
    """The runs for which all conditions hold; raises ConfigError for a condition that none could hold."""
    pairs = [_pair(condition) for condition in conditions]
    found = list(records)
    for key, value in pairs:
        if key in _FACTS:
            found = [record for record in found if _matches(_facts(record, key), value)]
        else:
            _check_key(key, records)
            found = [record for record in found if _matches(_options(record, key), value)]
    return found


def _pair(condition: str) -> tuple[str, str]:
    key, equals, value = condition.partition("=")
    if not equals or not key:
        raise ConfigError(f"--where '{condition}' is not of the form KEY=VALUE; write --where model=cnn")
    if key == "state" and not any(fnmatch.fnmatchcase(state, value) for state in STATES):
        raise ConfigError(f"unknown state '{value}'{suggestion(value, STATES)}")
    return key, value


def _check_key(key: str, records: Sequence[RunRecord]) -> None:
    """Raise ConfigError for a key that is no group and that no run has as an option, unless there are no runs."""
    if key in GROUPS or not records or any(True for record in records for _ in _options(record, key)):
        return
    known = list(
        dict.fromkeys([*_FACTS, *GROUPS, *(name for record in records for name in _names(whole_config(record)))])
    )
    inside = [name for name in known if name.endswith(f".{key}")]
    other = f"; did you mean '{inside[0]}'?" if len(inside) == 1 else hint(key, known, kind="option")
    anything = f"; expected {', '.join(_FACTS)}, or an option such as optimizer.lr"
    raise ConfigError(f"--where {key}: no run has this option{other or anything}")


def _names(config: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """The options of a config by their dotted names."""
    for name, value in config.items():
        yield f"{above}{name}"
        if isinstance(value, dict) and above.count(".") < _DEEPEST:
            yield from _names(value, f"{above}{name}.")


def _facts(record: RunRecord, key: str) -> Iterator[Any]:
    """What a run may be called under one of the keys that are no options."""
    if key == "tag":
        yield from record.tags
    elif key == "name":
        yield from (record.name, record.folder.name)
    else:
        yield getattr(record, key)
        yield from _typed(record, key)  # an entry of the user's own has another name than what it builds


def _options(record: RunRecord, key: str) -> Iterator[Any]:
    """The value of an option of a run, from its config or else as it was typed; of a group, the name of its entry."""
    value: Any = whole_config(record)
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            break
        value = value[part]
    else:
        yield value.get("name") if isinstance(value, dict) else value
    yield from _typed(record, key)


def _typed(record: RunRecord, key: str) -> Iterator[str]:
    yield from (word.partition("=")[2] for word in record.words if word.partition("=")[0] == key)


def _matches(values: Iterable[Any], pattern: str) -> bool:
    return any(_is_same(value, pattern) for value in values)


def _is_same(value: Any, pattern: str) -> bool:
    """Whether a value is what was asked for: numbers as numbers, lists without regard to blanks, texts with *."""
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except RecursionError:  # a stranger's
        return False
    with contextlib.suppress(ValueError):
        return float(text) == float(pattern)
    pattern = pattern if isinstance(value, str) else pattern.lower()
    return fnmatch.fnmatchcase(_plain(text), _plain(pattern).replace("[", "[[]"))


def _plain(text: str) -> str:
    return text.replace(" ", "").replace('"', "").replace("'", "")
