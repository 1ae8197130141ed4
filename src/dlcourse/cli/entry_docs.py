"""The YAML files of an entry with their comments: what it is, and each option's type, default and meaning."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from dlcourse.cli.config_files import parts
from dlcourse.config.yaml_file import read_text


@dataclass(frozen=True)
class Option:
    """A line `name: default  # type: meaning`; `path` ends with the name behind the sections around it.

    Missing parts are empty.
    """

    path: tuple[str, ...]
    default: str
    type: str
    meaning: str

    @property
    def name(self) -> str:
        """The name in its own section."""
        return self.path[-1]

    @property
    def depth(self) -> int:
        """The number of sections around it."""
        return len(self.path) - 1


@dataclass(frozen=True)
class Entry:
    """A file `<group>/<name>.yaml`: the lines of its head comment, and its options with the shared ones."""

    group: str
    name: str
    head: tuple[str, ...]
    options: tuple[Option, ...]


def read_entry(group: str, path: Path) -> Entry:
    """The entry in a file, with or without comments; raises ConfigError for a file that cannot be read.

    An option that stands in two of its parts has the default of the later one, and the comment of the last that has one.
    """
    options: dict[tuple[str, ...], Option] = {}
    for part in parts(path):
        for option in _options_in(part):
            before = options.get(option.path)
            options[option.path] = replace(before, default=option.default) if before and not option.meaning else option
    return Entry(group, path.stem, tuple(_head(read_text(path))), tuple(by_section(options.values())))


def by_section(options: Iterable[Option]) -> list[Option]:
    """The options with those of a section together, where the first of them stands."""
    found = list(options)
    first = {option.path[0]: place for place, option in reversed(list(enumerate(found)))}
    return sorted(found, key=lambda option: first[option.path[0]])


def _options_in(path: Path) -> list[Option]:
    text = read_text(path)
    root = yaml.compose(text, yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    hidden = {"name", "defaults"}
    return [option for option in _options(root, text.splitlines(), ()) if option.depth or option.name not in hidden]


def _head(text: str) -> Iterator[str]:
    """The comment lines at the top, less the one that speaks to Hydra."""
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            return
        comment = line.removeprefix("#").removeprefix(" ")
        if line.startswith("#") and not comment.startswith("@package"):
            yield comment.rstrip()


def _options(section: yaml.MappingNode, lines: list[str], above: tuple[str, ...]) -> Iterator[Option]:
    for key, value in section.value:
        in_lines_below = isinstance(value, yaml.CollectionNode) and not value.flow_style
        nested = in_lines_below and isinstance(value, yaml.MappingNode)
        mark = key.end_mark if in_lines_below else value.end_mark
        kind, meaning = _comment(lines[mark.line][mark.column :] if mark.line < len(lines) else "")
        path = (*above, str(key.value))
        yield Option(path, "" if nested else _spelled(value), kind, meaning)
        if nested:
            yield from _options(value, lines, path)


def _spelled(value: yaml.Node) -> str:
    """The value as it may be typed on the command line."""
    if isinstance(value, yaml.SequenceNode):
        return f"[{', '.join(_spelled(item) for item in value.value)}]"
    if isinstance(value, yaml.MappingNode):
        return f"{{{', '.join(f'{_spelled(key)}: {_spelled(item)}' for key, item in value.value)}}}"
    return str(value.value)


def _comment(rest_of_line: str) -> tuple[str, str]:
    """Type and meaning in `# type: meaning`; a comment without a colon is a meaning."""
    comment = rest_of_line.partition("#")[2].strip()
    kind, colon, meaning = comment.partition(": ")
    return (kind, meaning) if colon else ("", comment)
