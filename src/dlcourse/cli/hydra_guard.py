"""What is checked of a command line before Hydra acts on it: names that exist, one value an option, nothing that runs."""

import difflib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hydra import version
from hydra._internal.utils import create_config_search_path
from hydra.core.override_parser.types import ChoiceSweep, Override, QuotedString
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from dlcourse.cli.config_files import all_options, as_choice, entries, leaves
from dlcourse.cli.hydra_errors import hydra_errors_as_one_line
from dlcourse.cli.hydra_node import VERSION_BASE, CheckedLoader, look_in
from dlcourse.config.hints import plain
from dlcourse.config.options import from_table, hint, schema, suggestion
from dlcourse.config.paths import conf_dir
from dlcourse.config.run_config import GROUPS, RunConfig, TrainerConfig
from dlcourse.config.yaml_file import read_yaml
from dlcourse.errors import ConfigError
from dlcourse.sweeps.folds import K_FOLD
from dlcourse.sweeps.ranking import FOLD

SEARCH = "search"
"""The section of an experiment with the ranges of a search; no part of a run."""
_HYDRA_GROUPS = ("hydra/launcher", "hydra/sweeper")
_HYDRA_SETTINGS = (*_HYDRA_GROUPS, "hydra.launcher.", "hydra.sweeper.")
_MOST_NAMED = 3
_RUN_INSTEAD = {
    "hydra.run.dir": "run.dir=FOLDER",
    "hydra.sweep.dir": "run.root=FOLDER",
    "hydra.mode": "-m",
    "hydra.sweeper.params": "OPTION=VALUE,VALUE",
}


def check(overrides: list[Override], places: list[Path], *, sweep: bool) -> list[str]:
    """Check the command line and the config it chooses, and return the words for Hydra; raises ConfigError.

    `places` are the folders of config files, ours before the user's; `sweep` tells whether several values may be given.
    """
    for override in overrides:
        _check_key(override)
        _check_hydra(override)
        _check_group(override, places)
        if override.is_sweep_override() and not sweep:
            key = override.key_or_group
            other = (
                "" if _is_choice(override) else f", or write {key}=[...] for a list, or \"{key}='...'\" for one text"
            )
            raise ConfigError(f"'{override.input_line}' has several values; add -m to run them all{other}")
        if sweep and override.key_or_group == "run.dir":
            raise ConfigError("run.dir would put all runs of a sweep into one folder; write run.root=FOLDER")
        if sweep and override.key_or_group == "resume" and override.value() != "auto":
            raise ConfigError(f"'{override.input_line}' does not go with -m; write resume=auto")
        if sweep and override.key_or_group == "debug" and override.value() is not None:
            fold = f", and {FOLD}=0 with {K_FOLD}" if any(other.key_or_group == K_FOLD for other in overrides) else ""
            raise ConfigError(
                f"'{override.input_line}' is for one run, not for a sweep; give each option one value{fold}"
            )
    check_given_once(overrides)
    groups = [override for override in overrides if _is_choice(override)]
    chosen = [override for override in groups if not override.is_sweep_override()]
    try:
        config = compose(chosen, places)
    except ConfigError as error:  # the names on the command line exist: a file asks for something that does not
        asked = f" (asked for by {' '.join(str(override.input_line) for override in chosen)})" if chosen else ""
        raise ConfigError(f"{error}{asked}") from error
    _check_experiment(config, places)
    return _check_options(overrides, config, places, sweeps_groups=len(chosen) < len(groups))


def _is_choice(override: Override) -> bool:
    return override.key_or_group in GROUPS and not isinstance(override.value(), dict)


def _check_key(override: Override) -> None:
    key, line = override.key_or_group, str(override.input_line)
    if override.package is not None:
        raise ConfigError(f"'{line}': '@' cannot be used here; write {key}=NAME")
    if override.is_delete():
        fix = f"{key}=null" if key == "experiment" else f"another value, such as {key}=..."
        raise ConfigError(f"'{line}': '{key}' cannot be removed; give it {fix}")
    if _is_choice(override) and (override.is_add() or override.is_force_add()):
        raise ConfigError(f"{key} is already chosen; write {line.lstrip('+')} without '+'")
    if "/" in key and not key.startswith("hydra/"):
        raise ConfigError(
            f"unknown option '{key}'; options of a section are written with a dot: {key.replace('/', '.')}"
        )


def _check_hydra(override: Override) -> None:
    key = override.key_or_group
    if "_target_" in str(override.input_line):
        raise ConfigError(
            f"'{override.input_line}': '_target_' is reserved; a config chooses entries by name, see dlcourse list"
        )
    if key in _HYDRA_GROUPS and not _is_name(override):
        raise ConfigError(f"'{override.input_line}': {key} must be the name of one, such as {key}=basic")
    smuggles = key.startswith("hydra.sweeper.params")  # words that nobody would check
    if key.split("/")[0].split(".")[0] != "hydra" or (key.startswith(_HYDRA_SETTINGS) and not smuggles):
        return
    fix = _RUN_INSTEAD.get(key)
    raise ConfigError(f"'{key}' cannot be set" + (f"; write {fix}" if fix else "; it is a setting of Hydra itself"))


def _is_name(override: Override) -> bool:
    """Whether the value is one plain name, without anything in it that Hydra would have to work out."""
    value = None if override.is_sweep_override() else override.value()
    return isinstance(value, str) and re.fullmatch(r"[\w-]+", value, re.ASCII) is not None


def _check_group(override: Override, places: list[Path]) -> None:
    """Every chosen entry must exist. A glob chooses among those there are."""
    if not _is_choice(override):
        return
    group = override.key_or_group
    known = entries(group, places)
    for value in _values(override):
        if value is None and group == "experiment":
            continue
        if not isinstance(value, str) and not isinstance(value, int | float):
            raise ConfigError(f"{group} must be one name, got {override.input_line!r}{suggestion('', known)}")
        if str(value) not in known:
            raise ConfigError(f"unknown {group} '{value}'{_choice_suggestion(group, str(value), known)}")


def _choice_suggestion(group: str, name: str, known: Iterable[str]) -> str:
    """`; did you mean 'cnn'?`, or the choice that it is in another group, or what there is in this one."""
    elsewhere = "" if hint(name, known, kind=group) else as_choice(name)
    return f"; write {elsewhere}" if elsewhere else suggestion(name, known, kind=group)


def _values(override: Override) -> Iterator[Any]:
    value = override._value
    if isinstance(value, ChoiceSweep):
        yield from (item.text if isinstance(item, QuotedString) else item for item in value.list)
    elif not override.is_sweep_override():
        yield override.value()


def check_given_once(overrides: list[Override]) -> None:
    """Raise ConfigError if two of them set the same option."""
    seen: dict[str, str] = {}
    for override in overrides:
        key = override.key_or_group
        if key in seen:
            raise ConfigError(f"'{key}' is given twice: {seen[key]} and {override.input_line}; give one of them")
        seen[key] = str(override.input_line)


def compose(choices: list[Override], places: list[Path]) -> DictConfig:
    """The config of these choices alone, with Hydra's own node in it; raises ConfigError."""
    search_path = create_config_search_path(str(conf_dir()))
    look_in(places[1:], search_path)
    words = [str(choice.input_line) for choice in choices]
    version.setbase(VERSION_BASE)  # otherwise the rules of an old version hold here, and newer ones in the run
    with hydra_errors_as_one_line():
        return CheckedLoader(search_path).load_configuration("config", words, RunMode.RUN)


def _check_experiment(config: DictConfig, places: list[Path]) -> None:
    """Sections and trainer options of the chosen experiment must exist; an error names the file they stand in."""
    name = config.hydra.runtime.choices.get("experiment")
    if name is None:
        return
    path = entries("experiment", places)[name]
    sections = set(schema(RunConfig))
    for section, options in read_yaml(path).items():
        if section not in sections | {"defaults", SEARCH}:
            raise ConfigError(
                f"unknown section '{section}' in {path}{suggestion(str(section), sorted(sections), kind='option')}"
            )
        if section == "trainer" and isinstance(options, dict):
            for option in options:
                if option not in schema(TrainerConfig):
                    meant = suggestion(str(option), schema(TrainerConfig), "trainer.", kind="option")
                    raise ConfigError(f"unknown option 'trainer.{option}' in {path}{meant}")


def _check_options(
    overrides: list[Override], config: DictConfig, places: list[Path], *, sweeps_groups: bool
) -> list[str]:
    """Options set on the command line must exist in the chosen entries. If entries vary, each run is checked later.

    Hydra itself refuses an option that only some of the varied entries have, unless it looks like one of many values.
    """
    values = OmegaConf.to_container(config)
    assert isinstance(values, dict)
    keys = [key for key in leaves(values) if not key.startswith(("hydra.", f"{SEARCH}."))]
    words = []
    for override in overrides:
        key, word = override.key_or_group, str(override.input_line)
        adds = override.is_add() or override.is_force_add()
        exists = key in keys or any(known.startswith(f"{key}.") for known in keys)
        if not (exists or adds or _is_choice(override) or key.startswith("hydra")):
            if not (sweeps_groups and key.split(".")[0] in GROUPS):
                if key in (K_FOLD, FOLD):
                    raise ConfigError(
                        f"'{word}': data '{config.data.name}' has no separate training examples to divide into folds; leave "
                        "it out"
                    )
                meant = _other_entries(key, keys, places) or option_suggestion(key, keys)
                raise ConfigError(f"unknown option '{key}'{meant}")
            if not override.is_sweep_override():
                word = f"{key}=choice({override.get_value_element_as_str()})"
        words.append(word)
    return words


def _other_entries(key: str, keys: list[str], places: list[Path]) -> str:
    """For an option that the chosen entry lacks: how to choose one that has it, or `; it is an option of data=csv`."""
    group, _, option = key.partition(".")
    if f"write {group}=" in (told := from_table("option", option, keys)):
        return told
    known = entries(group, places) if group in GROUPS and group != "experiment" else {}
    having = [f"{group}={name}" for name, path in known.items() if option in all_options(path)]
    return f"; it is an option of {', '.join(having[:_MOST_NAMED])}" if having else ""


def option_suggestion(key: str, keys: Iterable[str]) -> str:
    """`; did you mean 'optimizer.lr'?` for `optimizer.lrr`, `optim.lr` and `learning_rate`; else what there is there."""
    known = [*(name for name in keys if name == "run.name" or not name.endswith(".name")), *GROUPS]
    section, _, last = key.rpartition(".")
    if other := from_table("option", last, known):
        return other
    same_name = [candidate for candidate in known if plain(candidate.rpartition(".")[2]) == plain(last)]
    if close := difflib.get_close_matches(key, same_name, n=1, cutoff=0.0):
        return f"; did you mean '{close[0]}'?"
    sections = dict.fromkeys(name.split(".")[0] for name in known)
    inside = [name.removeprefix(f"{section}.") for name in known if section and name.startswith(f"{section}.")]
    if inside:
        return suggestion(last, inside, f"{section}.")
    if section:
        return suggestion(key.split(".")[0], sections)
    by_last = {name.rpartition(".")[2]: name for name in known}
    close = [] if hint(key, sections) else difflib.get_close_matches(key, by_last, n=1, cutoff=0.8)
    return f"; did you mean '{by_last[close[0]]}'?" if close else suggestion(key, sections)


def run_config(config: DictConfig) -> RunConfig:
    """The typed config of a composed one, which loses Hydra's own node here; raises ConfigError.

    References such as `${seed}` are resolved; those of Hydra's node are for Hydra alone.
    """
    with open_dict(config):
        config.pop("hydra", None)
    with hydra_errors_as_one_line():
        values = OmegaConf.to_container(config, resolve=True)
    assert isinstance(values, dict)
    return RunConfig.from_mapping({str(name): value for name, value in values.items() if name != SEARCH})
