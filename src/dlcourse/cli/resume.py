"""`dlcourse resume RUN`: continue a run that was interrupted or killed, or train a finished one for longer."""

import contextlib
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlcourse.cli import config_files, hydra_guard
from dlcourse.cli.hydra_overrides import parse
from dlcourse.config.options import suggestion
from dlcourse.config.paths import conf_dir
from dlcourse.config.run_config import NO_PART_OF_A_RUN, RunConfig
from dlcourse.config.yaml_file import read_yaml
from dlcourse.errors import ConfigError, DataError
from dlcourse.plugins.recorded import Record, read, require_named
from dlcourse.runs.checkpoints import FOLDER, Checkpoint
from dlcourse.runs.find import find_started, is_sweep, required_run
from dlcourse.runs.folder import CONFIG, SWEEP, RunFolder
from dlcourse.runs.record import read_words
from dlcourse.runs.reopen import read_checked, read_config, run_facts, stated_sums
from dlcourse.runs.resume import Start, read_start
from dlcourse.sweeps.launch import SHELL_OPTIONS
from dlcourse.sweeps.plan import Plan, read_plan
from dlcourse.terminal import print_help

HELP = """\
dlcourse resume RUN [OPTION=VALUE ...]   continue a run: its folder, or one above (the newest run in it)
dlcourse resume SWEEP [retry=failed]     continue a sweep: what is done stays, what failed stays unless it is retried

It continues from its newest good checkpoint, also in the middle of an epoch, and ends as if it had never been interrupted:
bit for bit, with the same number of threads on the same machine. A finished run is left as it is.

Only these may be given:
  trainer.epochs=N          more epochs than before; the learning rate follows the schedule of N epochs from there on
  trainer.time=20min        a longer time than before, of a run with trainer.time
  trainer.patience=N        another patience
  trainer.checkpoint.*      when to save
  report=full               draw the pictures of a run with report=light; its numbers stay the same
  device=NAME, device.*     another device or number of threads: the last digits of the numbers may then differ

For example:
  dlcourse resume outputs/mnist-cnn
  dlcourse resume outputs/mnist-cnn trainer.epochs=20
"""

_RETRY = "retry=failed"
_MAY_DIFFER = (*NO_PART_OF_A_RUN, "trainer", "device")
"""Sections that may differ between the beginning of a run and a checkpoint of it."""

_MAY_CHANGE = ("trainer.epochs", "trainer.time", "trainer.patience", "trainer.checkpoint.", "report=", "device.")


def main(words: list[str]) -> int:
    """Resume as the words behind `resume` say; raises UserError."""
    if "--help" in words or "-h" in words:
        print_help(HELP)
        return 0
    for word in words:
        if word.startswith("-"):
            raise ConfigError(f"unknown flag '{word}'; expected RUN and options, such as trainer.epochs=20")
    is_missing = not words or words[0].startswith((*_MAY_CHANGE, _RETRY))
    run, *changes = ["", *words] if is_missing else words
    folder = find_started(required_run(run, "resume", changes))
    if is_sweep(folder):
        _resume_sweep(folder, changes)
        return 0
    with RunFolder(folder).locked() as run_folder:
        start = read_start(run_folder)
        config = RunConfig.from_mapping(changed(_saved_config(run_folder, start), changes))

        from dlcourse.cli.train import load_session

        load_session().resume(run_folder, start, config, _overrides(run_folder, start, changes))
    return 0


def _resume_sweep(folder: Path, words: list[str]) -> None:
    """Do what is left of a sweep, whose list may be a stranger's and is checked like a command line; raises as `go_on`."""
    from dlcourse.cli.sweep import checked, go_on
    from dlcourse.cli.train import clear_resolvers

    plan = read_plan(folder)
    _check_words(folder, plan, words)
    _check_plugins(folder, plan)
    clear_resolvers()
    go_on(folder, plan, [checked(run, plan.config_dir) for run in plan.runs], retry_failed=_RETRY in words)


def _check_plugins(folder: Path, plan: Plan) -> None:
    """Raise ConfigError if a run that was begun uses a plug-in whose folder is not named."""
    checked_records: list[Record] = []
    for path in (folder / run.folder for run in plan.runs):
        with contextlib.suppress(DataError):  # a damaged run is reported when its turn comes
            record = read(facts := run_facts(path))
            if record and record not in checked_records:
                require_named(read_config(path), facts)
                checked_records.append(record)


def _check_words(folder: Path, plan: Plan, words: list[str]) -> None:
    """Raise ConfigError for words that a sweep does not take, and if it has lines for a shell which they do not repeat.

    Its list may be a stranger's.
    """
    lines = {name: plan.launcher.get(name) for name in SHELL_OPTIONS if plan.launcher.get(name)}
    needed = [f"hydra.launcher.{name}={json.dumps(text, ensure_ascii=False)}" for name, text in lines.items()]
    told = parse([word for word in words if word != _RETRY])
    for override in told:
        name = override.key_or_group.rpartition(".")[2]
        if override.key_or_group != f"hydra.launcher.{name}" or name not in lines or override.value() != lines[name]:
            also = f", {' and '.join(needed)}" if needed else ""
            raise ConfigError(f"'{override.input_line}': of a sweep, resume takes {_RETRY}{also} and nothing else")
    if len(told) < len(needed):
        command = shlex.join(["dlcourse", "resume", str(folder), *needed])
        raise ConfigError(f"the jobs of this sweep run lines of its {SWEEP}; if they are yours, write {command}")


def _saved_config(folder: RunFolder, start: Start) -> dict[str, Any]:
    """The config of the checkpoint, or of a run that has none yet that of its file."""
    if start.checkpoint is not None:
        _require_same_run(folder, start.checkpoint, start.about["config"])
        return dict(start.about["config"])
    if CONFIG in stated_sums(folder.path):  # not yet if the run was killed as it began
        read_checked(folder.path, CONFIG)
    return read_yaml(folder / CONFIG)


def _require_same_run(folder: RunFolder, checkpoint: Checkpoint, saved: Mapping[str, Any]) -> None:
    """Raise DataError for a checkpoint that another run has left, as far as the run's own config can still be trusted."""
    try:
        read_checked(folder.path, CONFIG)
        written = read_yaml(folder / CONFIG)
    except (DataError, ConfigError):
        return
    different = [key for key in saved if key not in _MAY_DIFFER and saved[key] != written.get(key)]
    if different:
        raise DataError(
            f"no usable checkpoint in {folder / FOLDER}: {checkpoint.path.name} is of another run, its "
            f"'{different[0]}' differs from that in {CONFIG}; remove what does not belong there"
        )


def changed(config: dict[str, Any], changes: list[str]) -> dict[str, Any]:
    """The config with the options that these words give; raises ConfigError for those that a run cannot change."""
    overrides = parse(changes)
    hydra_guard.check_given_once(overrides)
    overrides.sort(key=lambda override: str(override.key_or_group) != "device")  # first the device, then its options
    for override in overrides:
        key, value = override.key_or_group, override.value()
        if key == "device":
            known = config_files.entries("device", [conf_dir()])
            if str(value) not in known:
                raise ConfigError(f"unknown device '{value}'{suggestion(str(value), known, kind='device')}")
            config = config | {"device": config_files.all_options(known[str(value)])}
            continue
        if not f"{key}=".startswith(_MAY_CHANGE) or override.is_sweep_override():
            raise ConfigError(
                f"resume cannot change '{key}', only trainer.epochs, trainer.time, trainer.patience, trainer.checkpoint.*, "
                "report and device; for a new run from its weights write dlcourse train init_from=RUN"
            )
        config = with_option(config, key.split("."), value)
    return config


def with_option(section: Any, path: list[str], value: Any) -> dict[str, Any]:
    """A copy of nested options in which the one at this path has this value; raises ConfigError."""
    first, *rest = path
    if not isinstance(section, dict):
        raise ConfigError(f"'{first}' is no option of a section")
    return section | {first: with_option(section.get(first), rest, value) if rest else value}


def _overrides(folder: RunFolder, start: Start, changes: list[str]) -> list[str]:
    """The overrides of the command that would do the whole run: those it began with, less what was changed since."""
    before = [str(word) for word in start.about["overrides"]] if start.about else list(read_words(folder.path))
    keys = {change.partition("=")[0] for change in changes}
    return [word for word in before if word.partition("=")[0] not in keys] + changes
