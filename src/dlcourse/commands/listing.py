"""`dlcourse list`: the entries of every group and their options, read from the YAML files and their comments."""

import os
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import get_terminal_size

from dlcourse.commands import config_files
from dlcourse.commands.config_files import GROUPS
from dlcourse.commands.entry_files import Entry, read_entry
from dlcourse.errors import ConfigError
from dlcourse.options import hint, suggestion

HELP = """\
dlcourse list                all models, data sets, tasks, optimizers, ... and their options
dlcourse list optimizers     the entries of one group: each option with type, default and meaning
dlcourse list model=cnn      one entry; `dlcourse list cnn` finds it by its name alone
dlcourse list fits           which model trains on which data set
  --config-dir DIR           list the YAML files in DIR/model, DIR/data, ... too
"""

_TITLES = {
    "model": "models",
    "data": "data sets",
    "features": "features",
    "task": "tasks",
    "optimizer": "optimizers",
    "scheduler": "schedulers",
    "device": "devices",
    "trainer": "trainer",
    "experiment": "experiments",
}
_WORDS = {word: group for group in GROUPS for word in (group, f"{group}s", _TITLES[group], group.removesuffix("s"))} | {
    "dataset": "data",
    "datasets": "data",
}
_PIPED_WIDTH = 100


@dataclass(frozen=True)
class Page:
    """How to print: the width in characters, and whether bold and dim may be used."""

    width: int
    styled: bool

    def bold(self, text: str) -> str:
        return f"\033[1m{text}\033[0m" if self.styled else text

    def dim(self, text: str) -> str:
        return f"\033[2m{text}\033[0m" if self.styled else text

    def wrap(self, text: str, indent: int, first: str | None = None) -> list[str]:
        """The text in lines of the page's width behind `indent` blanks, or behind `first` in the first line."""
        blanks = " " * indent
        return textwrap.wrap(
            text,
            max(self.width, indent + 20),
            initial_indent=blanks if first is None else first,
            subsequent_indent=blanks,
            break_long_words=False,
            break_on_hyphens=False,
        ) or ([first.rstrip()] if first else [])


def main(words: list[str]) -> int:
    """Print what the words behind `list` ask for; raises ConfigError."""
    if "--help" in words or "-h" in words:
        print(HELP, end="")
        return 0
    config_dir, names = _parse(words)
    places = config_files.folders(config_dir)
    page = _page()
    lines = _overview(places, page) if not names else []
    for name in names:
        lines += _chosen(name, places, page)
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


def _page() -> Page:
    if not sys.stdout.isatty():
        return Page(_PIPED_WIDTH, styled=False)
    styled = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Page(get_terminal_size((_PIPED_WIDTH, 24)).columns, styled)


def _overview(places: Sequence[Path], page: Page) -> list[str]:
    lines: list[str] = []
    for group in GROUPS:
        entries = _entries(group, places)
        if entries:
            lines += ["", page.bold(_TITLES[group]) + page.dim(f"   {group}=NAME")]
            for entry in entries:
                lines += _in_short(entry, page, max(len(entry.name) for entry in entries) + 4)
    hint = (
        "dlcourse list model, or model=cnn: each option with its type, default and meaning; fits: what goes with what"
    )
    return [*lines, "", *page.wrap(hint, 0)]


def _entries(group: str, places: Sequence[Path]) -> list[Entry]:
    return [read_entry(group, path) for path in config_files.entries(group, places).values()]


def _in_short(entry: Entry, page: Page, indent: int) -> list[str]:
    """Name and meaning, and below them the options as `name=default`; experiments are told by their meaning alone."""
    name = f"  {entry.name}".ljust(indent)
    lines = page.wrap(entry.head[0] if entry.head else "", indent, name)
    lines[0] = lines[0].replace(entry.name, page.bold(entry.name), 1)
    if entry.group != "experiment":
        options = " ".join(
            f"{'.'.join(option.path)}={option.default.replace(' ', '')}" for option in entry.options if option.default
        )
        lines += [page.dim(line) for line in page.wrap(options, indent)]
    return lines


def _fits(page: Page) -> list[str]:
    """The data sets of each model, a paragraph each."""
    from dlcourse.commands.fits import fits  # imports torch

    table = fits()
    width = max(map(len, table)) + 4
    lines = ["", page.bold("models and the data sets they train on")]
    for model, names in table.items():
        lines += page.wrap(" ".join(names), width, f"  {model}".ljust(width))
    return lines


def _chosen(name: str, places: Sequence[Path], page: Page) -> list[str]:
    """The details of a whole group, of `group=name`, or of every entry with that name."""
    if name == "fits":
        return _fits(page)
    word, equals, entry_name = name.partition("=")
    if not equals and word in _WORDS:
        entries = _entries(_WORDS[word], places)
    elif equals:
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
            meant = [*(hint(word, names, kind=group) for group, names in found.items()), hint(word, _WORDS)]
            raise ConfigError(f"nothing is called '{word}'{next(filter(None, meant), suggestion(word, GROUPS))}")
    lines = [line for entry in entries for line in ["", *_in_full(entry, page)]]
    if any(entry.group == "model" for entry in entries):
        lines += ["", *page.wrap("which data sets a model trains on: dlcourse list fits", 0)]
    return lines


def _in_full(entry: Entry, page: Page) -> list[str]:
    """The whole head comment, then a table of the options: name, default, type, meaning."""
    lines = [page.bold(f"{entry.group}={entry.name}"), *(f"  {line}".rstrip() for line in entry.head)]
    rows = [("  " * option.depth + option.name, option.default, option.type) for option in entry.options]
    names, defaults, types = (max((len(row[column]) for row in rows), default=0) for column in range(3))
    types = min(types, 34)
    for option, (name, default, kind) in zip(entry.options, rows, strict=True):
        start = f"    {name:<{names}}  {default:<{defaults}}  {kind:<{types}}  "
        wrapped = page.wrap(option.meaning, 4 + names + 2 + defaults + 2 + types + 2, start)
        wrapped[0] = wrapped[0].replace(name, page.bold(name), 1)
        lines += wrapped
    return lines
