"""Tab completion: verbs, names behind `list`, `lecture` and `check`, groups, entries and options behind `train`.

A shell's completion script, which Hydra prints, calls `dlcourse -sc query=SHELL` with the line so far in the environment
variable COMP_LINE. Bash expands what it is told once more, so that a proposal with a `$(...)` in it, such as the name of a
stranger's file, would be run: only plain words are proposed.
"""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from dlcourse.cli import config_files
from dlcourse.cli.entry_docs import read_entry
from dlcourse.config.paths import conf_dir
from dlcourse.config.run_config import GROUPS
from dlcourse.lectures.items import all_items
from dlcourse.plugins import named
from dlcourse.plugins.beginnings import KINDS

_PLAIN = re.compile(r"[\w.,:=/\[\]+~-]+")
_NOT_VALUES = ("text", "number", "section")
"""Types of one word."""


def main(words: list[str], verbs: list[str]) -> int:
    """Answer a query, or print the script that installs or uninstalls completion."""
    if not any(word.startswith("query=") for word in words):
        from dlcourse.cli import train

        train.main(["-sc", *words])
        return 0
    line = os.environ.get("COMP_LINE", "")
    *before, word = line.split()[1:] + [""] * line.endswith(" ") or [""]
    with contextlib.suppress(Exception), _plugins_named(before) as before:  # nothing is proposed for a half-typed line
        for proposal in dict.fromkeys(_proposals(before, word, verbs)):
            if proposal.startswith(word) and _PLAIN.fullmatch(proposal):
                print(proposal)
    return 0


@contextlib.contextmanager
def _plugins_named(words: list[str]) -> Iterator[list[str]]:
    """Within this, the folders are named that these words name, of which only YAML is read; gives the other words."""
    folders, others = named.taken_out(words)
    with named.naming(folders):
        yield others


def _proposals(before: list[str], word: str, verbs: list[str]) -> Iterator[str]:
    if not before:
        yield from verbs
    elif before[0] == "list":
        for group in GROUPS:
            yield from (group, *config_files.entries(group, config_files.folders(None)))
    elif before[0] == "new":
        yield from KINDS if len(before) == 1 else ()
    elif before[0] in ("lecture", "check"):
        yield from (*config_files.entries("lecture", [conf_dir()]), *all_items())
    elif before[0] in ("train", "summary", "lr_find"):
        own_folder = [value for flag, value in pairwise(before) if flag in ("--config-dir", "-cd")]
        own_folder += [flag.partition("=")[2] for flag in before if flag.startswith("--config-dir=")]
        yield from _of_train(before[1:], word, config_files.folders(own_folder[0] if own_folder else None))


def _of_train(before: list[str], word: str, places: list[Path]) -> Iterator[str]:
    key, equals, value = word.partition("=")
    if equals and key in GROUPS:
        others, comma, _ = value.rpartition(",")
        yield from (f"{key}={others}{comma}{name}" for name in config_files.entries(key, places))
    elif equals and (value.startswith(".") or "/" in value):
        folder, slash, _ = value.rpartition("/")
        for path in sorted(Path(folder + slash).iterdir()):
            yield f"{key}={folder}{slash}{path.name}{'/' if path.is_dir() else ''}"
    elif equals:
        yield from (f"{key}={text}" for text in _values(key, _composed(before, places), places))
    else:
        yield from sorted([*(f"{group}=" for group in GROUPS), *_keys(word, _composed(before, places))])


def _composed(before: list[str], places: list[Path]) -> dict[str, Any]:
    """The config of the entries that are chosen so far."""
    from omegaconf import OmegaConf

    from dlcourse.cli import hydra_guard
    from dlcourse.cli.hydra_overrides import parse

    typed = parse([word for word in before if word.partition("=")[0] in GROUPS and word != "experiment=null"])
    config = hydra_guard.compose([override for override in typed if not override.is_sweep_override()], places)
    values: Any = OmegaConf.to_container(config, resolve=False)
    return {section: value for section, value in values.items() if section != "hydra"}


def _keys(word: str, config: Mapping[str, Any]) -> Iterator[str]:
    """The options of the section that the word has reached: `seed=`, or `trainer.` for a section below."""
    section, dot, _ = word.rpartition(".")
    for name, value in _at(section.split(".") if section else [], config).items():
        if isinstance(value, dict) and set(value) - {"name"}:
            yield f"{section}{dot}{name}."
        elif not isinstance(value, dict) and (section, name) not in {(group, "name") for group in GROUPS}:
            yield f"{section}{dot}{name}="


def _values(key: str, config: Mapping[str, Any], places: list[Path]) -> Iterator[str]:
    """The words that the option's type allows, and its value as it is."""
    *sections, name = key.split(".")
    value = _at(sections, config)[name]
    if isinstance(value, dict):
        return
    group = sections[0] if sections else ""
    entry, path = conf_dir() / "config.yaml", (*sections, name)
    if group in GROUPS:
        entry, path = config_files.entries(group, places)[config[group].get("name", "default")], path[1:]
    kind = next((option.type for option in read_entry(group, entry).options if option.path == path), "")
    words = [word for word in re.split(r",? or |, ", kind) if re.fullmatch(r"\w+", word) and word not in _NOT_VALUES]
    yield from (word for word in [*words, _spelled(value)] if value is not None or word != "null")


def _at(sections: list[str], config: Mapping[str, Any]) -> Any:
    for section in sections:
        config = config[section]
    return config


def _spelled(value: Any) -> str:
    """A value as it may be typed, without blanks."""
    if isinstance(value, list):
        return f"[{','.join(map(_spelled, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
