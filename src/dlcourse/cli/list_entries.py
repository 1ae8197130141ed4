"""`dlcourse list`: the entries of every group and their options, read from the YAML files and their comments."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from dlcourse.cli import config_files
from dlcourse.cli.entry_docs import Entry, Option, by_section, read_entry
from dlcourse.config.hints import hints
from dlcourse.config.options import hint, suggestion
from dlcourse.config.paths import conf_dir
from dlcourse.config.run_config import GROUPS
from dlcourse.config.yaml_file import read_yaml
from dlcourse.errors import ConfigError
from dlcourse.terminal import folded, print_help, styled, width, wrapped

HELP = """\
dlcourse list            the names of all models, data sets, optimizers, ...
dlcourse list model      all models, each option with type, default and meaning
dlcourse list model=cnn  one entry; dlcourse list cnn finds it by its name alone
dlcourse list fits       which model trains on which data set
dlcourse list all        every entry in short, with the defaults of its options
  --config-dir DIR       list the YAML files in DIR/model, DIR/data, ... too
  --plugins DIR          list the entries of a plug-in folder, see dlcourse new
"""

_TITLES = {group: f"{group}s" for group in GROUPS} | {"data": "data sets", "features": "features", "trainer": "trainer"}
_WORDS = {word: group for group in GROUPS for word in (group, f"{group}s", _TITLES[group], group.removesuffix("s"))} | {
    "dataset": "data",
    "datasets": "data",
}
_FEW = 4
"""Entries with the same option, from which on it is said once for all of them."""
_LEAST_BESIDE = 40
"""Columns that a meaning needs beside its option; with fewer it stands below."""


def main(words: list[str]) -> int:
    """Print what the words behind `list` ask for; raises ConfigError."""
    if "--help" in words or "-h" in words:
        print_help(HELP)
        return 0
    config_dir, names = _parse(words)
    places = config_files.folders(config_dir)
    lines = [line for name in names for line in _chosen(name, places)] if names else _overview(places)
    print("\n".join(lines).strip("\n"))
    return 0


def _parse(words: list[str]) -> tuple[str | None, list[str]]:
    config_dir, names, rest = None, [], iter(words)
    for word in rest:
        flag, equals, value = word.partition("=")
        if flag in ("--config-dir", "-cd"):
            config_dir = value if equals else next(rest, None)
            if not config_dir:
                raise ConfigError("--config-dir needs a folder: dlcourse list --config-dir DIR")
        elif word.startswith("-"):
            raise ConfigError(f"unknown flag '{word}'{suggestion(flag, ['--config-dir', '--help'])}")
        else:
            names.append(word)
    return config_dir, names


def _overview(places: Sequence[Path]) -> list[str]:
    """One screen: the names in each group, and how to see more."""
    indent = max(map(len, GROUPS)) + 2
    lines = wrapped("GROUP=NAME picks an entry: dlcourse train model=cnn data=mnist", width(), 0)
    lines.append("")
    for group in GROUPS:
        names = "  ".join(config_files.entries(group, places))
        lines += _first_styled(group, wrapped(names, width(), indent, group.ljust(indent))) if names else []
    return [*lines, "", *(piece for line in HELP.splitlines()[1:5] for piece in folded(line, width()))]


def _all(places: Sequence[Path]) -> list[str]:
    """Every entry of every group, in short."""
    lines: list[str] = []
    for group in GROUPS:
        entries = _entries(group, places)
        if not entries:
            continue
        lines += ["", styled(_TITLES[group], "bold") + styled(f"   {group}=NAME", "dim")]
        shared = _shared(entries)
        if shared:
            lines += wrapped(f"  shared: {_in_short(shared)}", width(), 10, "")
        for entry in entries:
            lines += _summary(entry, shared, max(len(entry.name) for entry in entries) + 4)
    return lines


def _entries(group: str, places: Sequence[Path]) -> list[Entry]:
    return [read_entry(group, path) for path in config_files.entries(group, places).values()]


def _shared(entries: Sequence[Entry]) -> list[Option]:
    """The options that several entries have in the same words: all of two or three, or else at least four."""
    counts = Counter(option for entry in entries for option in entry.options)
    return by_section(option for option, count in counts.items() if count > 1 and count >= min(_FEW, len(entries)))


def _summary(entry: Entry, shared: Sequence[Option], indent: int) -> list[str]:
    """Name and meaning, and below them the options; experiments are told by their meaning alone."""
    lines = wrapped(entry.head[0] if entry.head else "", width(), indent, f"  {entry.name}".ljust(indent))
    lines = _first_styled(entry.name, lines)
    if entry.group != "experiment":
        own = [option for option in entry.options if option not in shared]
        for text in (_in_short(own), _also(entry, shared)):
            lines += [styled(line, "dim") for line in wrapped(text, width(), indent)]
    return lines


def _in_short(options: Sequence[Option]) -> str:
    """`hidden=[256,128] activation=relu`."""
    return " ".join(
        f"{'.'.join(option.path)}={option.default.replace(' ', '')}" for option in options if option.default
    )


def _also(entry: Entry, shared: Sequence[Option]) -> str:
    """The shared options that an entry has, by their names: `also subset val_fraction augment.*`."""
    taken = [option for option in entry.options if option in shared]
    names = dict.fromkeys(option.name if option.depth == 0 else f"{option.path[0]}.*" for option in taken)
    sections = {name.removesuffix(".*") for name in names if name.endswith(".*")}
    return " ".join(["also", *(name for name in names if name not in sections)]) if names else ""


def _first_styled(name: str, lines: list[str]) -> list[str]:
    """The lines with the name that begins the first of them in bold."""
    return [lines[0].replace(name, styled(name, "bold"), 1), *lines[1:]]


def _fits() -> list[str]:
    """The data sets of each model, a paragraph each."""
    from dlcourse.cli.compatibility import fits  # imports torch

    table = fits()
    indent = max(map(len, table)) + 4
    lines = ["", styled("models and the data sets they train on", "bold")]
    for model, names in table.items():
        lines += _first_styled(model, wrapped(" ".join(names), width(), indent, f"  {model}".ljust(indent)))
    return lines


def _chosen(name: str, places: Sequence[Path]) -> list[str]:
    """The details of a whole group, of `group=name`, or of every entry with that name."""
    if name == "fits":
        return _fits()
    if name == "all":
        return _all(places)
    word, equals, entry_name = name.partition("=")
    if not equals and word in _WORDS:
        entries = _entries(_WORDS[word], places)
        return [*_group_in_full(entries), *_pointer(entries)]
    if equals:
        if word not in _WORDS:
            raise ConfigError(f"unknown group '{word}'{suggestion(word, GROUPS, kind='option')}")
        group = _WORDS[word]
        known = config_files.entries(group, places)
        if entry_name not in known:
            raise ConfigError(f"unknown {group} '{entry_name}'{suggestion(entry_name, known, kind=group)}")
        entries = [read_entry(group, known[entry_name])]
    else:
        found = {group: config_files.entries(group, places) for group in GROUPS}
        entries = [read_entry(group, paths[word]) for group, paths in found.items() if word in paths]
        if not entries:
            if place := _where(word, places):
                raise ConfigError(place)
            meant = [*(hint(word, names, kind=group) for group, names in found.items()), hint(word, _WORDS)]
            raise ConfigError(f"no group or entry '{word}'{next(filter(None, meant), suggestion(word, GROUPS))}")
    return [*(line for entry in entries for line in ["", *_in_full(entry)]), *_pointer(entries)]


def _where(word: str, places: Sequence[Path]) -> str:
    """Where an option of this name is, in the default entry of its group before others; empty if there is none."""
    config = conf_dir() / "config.yaml"
    default = {
        group: name for line in read_yaml(config)["defaults"] if line != "_self_" for group, name in line.items()
    }
    entries = [entry for group in GROUPS if group != "experiment" for entry in _entries(group, places)]
    entries.sort(key=lambda entry: default.get(entry.group) != entry.name)
    for key in (word, *hints("option", word)):
        if any(key == ".".join(option.path) for option in read_entry("", config).options):
            return f"'{key}' is an option of every run; write dlcourse train --cfg job to see all of these"
        for entry in entries:
            inside = key.removeprefix(f"{entry.group}.")
            if any(inside in (option.name, ".".join(option.path)) for option in entry.options):
                return f"'{key}' is an option of {entry.group}; write dlcourse list {entry.group}={entry.name}"
    return ""


def _pointer(entries: Sequence[Entry]) -> list[str]:
    """Behind models: how to see which data sets they take, which takes as long as importing torch."""
    is_model = any(entry.group == "model" for entry in entries)
    return ["", *wrapped("which data sets a model trains on: dlcourse list fits", width(), 0)] if is_model else []


def _group_in_full(entries: Sequence[Entry]) -> list[str]:
    """Every entry of a group, after the options that several of them share."""
    shared = _shared(entries)
    lines: list[str] = []
    if shared:
        lines = [styled(f"options of several {_TITLES[entries[0].group]}", "bold"), *_table(shared)]
    for entry in entries:
        lines += ["", *_in_full(entry, shared)]
    return lines


def _in_full(entry: Entry, shared: Sequence[Option] = ()) -> list[str]:
    """The whole head comment, then the options; of those told before, only the names."""
    title = f"{entry.group}={entry.name}"
    lines = [styled(title, "bold"), *(piece for line in entry.head for piece in wrapped(line, width(), 2))]
    lines += _table([option for option in entry.options if option not in shared])
    lines += wrapped(_also(entry, shared), width(), 4)
    return lines


def _table(options: Sequence[Option]) -> list[str]:
    """A row for each option: name, default, type, meaning; the meaning below if there is no room beside."""
    sections = {option.path for option in options}
    rows = [
        (
            "  " * option.depth + option.name if option.path[:-1] in sections else ".".join(option.path),
            option.default,
            option.type,
        )
        for option in options
    ]
    names, defaults, types = (max((len(row[column]) for row in rows), default=0) for column in range(3))
    types = min(types, 34)
    lines = []
    for option, (name, default, kind) in zip(options, rows, strict=True):
        start = f"    {name:<{names}}  {default:<{defaults}}  {kind:<{types}}  "
        if width() - len(start) >= _LEAST_BESIDE:
            row = wrapped(option.meaning, width(), 4 + names + 2 + defaults + 2 + types + 2, start)
        else:
            before = f"    {name:<{names}}  {default:<{defaults}}  "
            row = [*wrapped(kind, width(), len(before), before), *wrapped(option.meaning, width(), 4 + names + 2)]
        lines += _first_styled(name, row)
    return lines
