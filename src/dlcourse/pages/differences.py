"""What of a run's config differs from the defaults: the options that somebody, or an experiment, has chosen."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dlcourse.config.run_config import NO_PART_OF_A_RUN

Row = tuple[str, str, str]
"""An option by its dotted name, its value and its default."""

_MISSING = object()


def differences(
    config: Mapping[str, Any],
    defaults: Mapping[str, Any],
    usual: Mapping[str, str],
    entry: Callable[[str, str], Mapping[str, Any]],
) -> list[Row]:
    """The rows for a config, the choices of entries before their options.

    `defaults` is the config of the same model on the same data when nothing else is chosen, `usual` the names of the
    entries when nothing at all is; `entry` gives the options of an entry of a group by its name.
    """
    chosen: list[Row] = []
    set_: list[Row] = []
    for section, options in config.items():
        if section in NO_PART_OF_A_RUN:
            continue
        base = defaults.get(section, _MISSING)
        if isinstance(options, dict) and "name" in options:
            name, known = options["name"], base if isinstance(base, dict) else {}
            expected = usual.get(section) if section in ("data", "model") else known.get("name", "-")
            if name != expected:
                chosen.append((section, _shown(name), _shown(expected)))
            base = known if known.get("name") == name else {"name": name, **entry(section, str(name))}
        set_ += _changed(section, options, base)
    return [*chosen, *set_]


def _changed(key: str, value: Any, default: Any) -> Iterator[Row]:
    """The options of a section that have another value than by default; those that are new since then are not told."""
    if isinstance(value, dict) and isinstance(default, dict):
        for name, part in value.items():
            if name != "name" or "." in key:
                yield from _changed(f"{key}.{name}", part, default.get(name, _MISSING))
    elif value != default and not (isinstance(default, str) and "${" in default):
        yield key, _shown(value), "-" if default is _MISSING else _shown(default)


def _shown(value: Any) -> str:
    """As it is typed: `true`, `null`, `[16, 32]`, `adam`."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
