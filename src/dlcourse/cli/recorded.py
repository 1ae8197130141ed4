"""The config that a run has recorded, for `rerun` and `verify` to train it again, also with other options."""

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

from dlcourse import __version__
from dlcourse.cli import config_files, hydra_guard
from dlcourse.cli.hydra_overrides import parse
from dlcourse.cli.resume import with_option
from dlcourse.cli.run_words import still_running
from dlcourse.config.run_config import GROUPS, RunConfig
from dlcourse.errors import ConfigError
from dlcourse.plugins.recorded import require_named
from dlcourse.runs.circumstances import recorded_environment
from dlcourse.runs.find import find_run, find_started, is_sweep
from dlcourse.runs.folder import STATUS, is_in_use
from dlcourse.runs.record import read_words
from dlcourse.runs.reopen import read_config, run_facts
from dlcourse.runs.resume import as_it_was, read_status

_ASK_FOR_OTHERS = ("data", "model")
"""Groups whose entries choose entries of other groups and set their options."""
_RECORDED = tuple(group for group in GROUPS if group not in ("trainer", "experiment"))
"""Groups of which the config of a run names the entry."""


def finished(text: str) -> Path:
    """The folder of a finished run that `text` names: itself, or the newest below it; raises ConfigError."""
    folder = find_run(text)
    if (folder / STATUS).exists() and (status := read_status(folder)) != "done":
        raise _unfinished(folder, status)
    return folder


def ended(text: str) -> Path:
    """The same of a run that may have failed, too."""
    folder = find_started(text)
    if is_sweep(folder):
        raise ConfigError(f"'{text}' is a sweep, {folder}; name one of its runs")
    if (status := read_status(folder)) not in ("done", "failed"):
        raise _unfinished(folder, status)
    return folder


def _unfinished(folder: Path, status: str) -> ConfigError:
    if is_in_use(folder):
        return still_running(folder)
    resume = f"dlcourse resume {shlex.quote(str(folder))}"
    return ConfigError(f"{folder} is not finished ({status or 'cut short'}); write {resume}")


@contextlib.contextmanager
def version_told(folder: Path) -> Iterator[None]:
    """Within this, an error of the config of a run of another version says that it is of one."""
    try:
        yield
    except ConfigError as error:
        theirs = recorded_environment(folder).get("dlcourse")
        if theirs in (None, __version__):
            raise
        raise ConfigError(f"{error}; {folder} was trained with dlcourse {theirs}; this is {__version__}") from error


def recorded_config(folder: Path) -> RunConfig:
    """The config of a run; raises DataError, and ConfigError if this version does not know it, or for want of a plug-in."""
    with version_told(folder):
        config = RunConfig.from_mapping(as_it_was(read_config(folder).to_mapping()))
    require_named(config, run_facts(folder))
    return config


def with_changes(config: RunConfig, words: list[str]) -> RunConfig:
    """The config with the entries and options that these words give, checked as those of `train`; raises ConfigError.

    An entry comes with its own options, and with what it asks of other groups, such as a task: there, options stay as the
    run had them if they were not those that its own entries had asked for.
    """
    overrides = _checked(config, words)
    mapping = config.to_mapping()
    choices = {
        override.key_or_group: str(override.value()) for override in overrides if override.key_or_group in GROUPS
    }
    if choices:
        mapping = _with_entries(mapping, choices)
    for override in overrides:
        if override.key_or_group not in choices:
            mapping = with_option(mapping, override.key_or_group.split("."), override.value())
    given = keys_of(words)
    if "trainer.epochs" in given and "trainer.time" not in given:  # one of the two says how long to train
        mapping = with_option(mapping, ["trainer", "time"], None)
    return RunConfig.from_mapping(mapping)


def keys_of(words: list[str]) -> set[str]:
    """The groups and options that these words give, without a `+` before them."""
    return {override.key_or_group for override in parse(words)}


def _checked(config: RunConfig, words: list[str]) -> list[Override]:
    """The overrides that these words are; raises ConfigError for what no single run of this config can have."""
    overrides = parse(words)
    for override in overrides:
        line, key = override.input_line, override.key_or_group
        if override.is_sweep_override():
            raise ConfigError(
                f"'{line}' has several values, and rerun trains one run; for a sweep write dlcourse train -m"
            )
        if key in ("experiment", "resume", "debug"):
            raise ConfigError(f"'{line}': rerun trains the config of RUN; for another one write dlcourse train {line}")
        if isinstance(override.value(), dict) or "${" in str(override.value()):
            raise ConfigError(f"'{line}': rerun takes plain values, such as trainer.epochs=5")
    given = keys_of(words)
    entries = [f"{group}={getattr(config, group).name}" for group in _RECORDED if group not in given]
    hydra_guard.check([*parse(entries), *overrides], config_files.folders(None), sweep=False)
    return overrides


def _with_entries(mapping: dict[str, Any], choices: dict[str, str]) -> dict[str, Any]:
    """The config with other entries in place of its own."""
    own = {group: mapping[group]["name"] for group in _ASK_FOR_OTHERS}
    before, after = _composed(own), _composed(own | choices)
    return {
        section: after[section]
        if section in choices or _name(before[section]) != _name(after[section])
        else _merged(value, before[section], after[section])
        for section, value in mapping.items()
    }


def _composed(choices: dict[str, str]) -> dict[str, Any]:
    """What `train` would run with these entries alone."""
    words = parse([f"{group}={name}" for group, name in choices.items()])
    config = hydra_guard.compose(words, config_files.folders(None))
    values: Any = OmegaConf.to_container(config)
    return {section: value for section, value in values.items() if section != "hydra"}


def _name(section: Any) -> Any:
    return section.get("name") if isinstance(section, dict) else None


def _merged(ours: Any, before: Any, after: Any) -> Any:
    """Ours, but for options that were as the entries before had them: those are as the entries now have them."""
    if isinstance(ours, dict) and isinstance(before, dict) and isinstance(after, dict):
        return {key: _merged(value, before.get(key), after.get(key)) for key, value in ours.items()}
    return after if ours == before else ours


def words_of(folder: Path, config: RunConfig, changes: list[str]) -> list[str]:
    """The words of `train` that would do the run of this config, as far as those of the run before still hold."""
    mapping, given = config.to_mapping(), keys_of(changes)
    return [word for word in read_words(folder) if _holds(word, mapping, given)] + changes


def _holds(word: str, mapping: dict[str, Any], given: set[str]) -> bool:
    """Whether the config still has what a word had asked for; an experiment is not looked into."""
    try:
        (override,) = parse([word])
    except ConfigError:  # a stranger's
        return False
    key, value = override.key_or_group, override.value()
    if key in given or key == "run.dir" or (key == "trainer.epochs" and mapping["trainer"]["time"] is not None):
        return False
    if key in ("experiment", "trainer"):
        return True
    found: Any = mapping
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return (_name(found) if key in _RECORDED else found) == value
