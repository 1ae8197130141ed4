"""The Hydra application behind `dlcourse train`: its flags, the checks before it starts, and the function it runs."""

import argparse
import contextlib
import dataclasses
import gc
import importlib
import io
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import hydra
from hydra._internal import hydra as hydra_program
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from dlcourse.cli import config_files, hydra_guard
from dlcourse.cli.folds import asks_for_all_folds
from dlcourse.cli.hydra_errors import hydra_errors_as_one_line
from dlcourse.cli.hydra_node import VERSION_BASE, loader_of
from dlcourse.cli.hydra_overrides import as_option, parse
from dlcourse.config.options import suggestion
from dlcourse.config.paths import conf_dir
from dlcourse.config.run_config import RunConfig
from dlcourse.error_line import flag_error
from dlcourse.errors import ConfigError
from dlcourse.sweeps.grid import OnlyRunFailedError
from dlcourse.terminal import folded_output

if TYPE_CHECKING:
    from dlcourse.runs.result import RunResult

_RESOLVERS = ("oc.env", "oc.create", "oc.decode", "oc.deprecated", "oc.select", "oc.dict.keys", "oc.dict.values")
"""Taken from configs: a stranger's must not copy secrets into a run folder, nor make sections that nobody has read."""
_SESSION = "dlcourse.training.session"
_SILENT = "99"
_FULL_ERROR = "HYDRA_FULL_ERROR"  # raise errors instead of printing them
_REFUSED_FLAGS = ("--config-path", "-cp", "--config-name", "-cn", "--experimental-rerun")
_INFO_TOPICS = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")


def main(words: list[str]) -> int:
    """Run `dlcourse train` with the words behind it. Raises UserError, or SystemExit if Hydra ends the program."""
    flags = _parse_flags(words)
    places = config_files.folders(flags.config_dir)
    clear_resolvers()
    if flags.shell_completion:
        overrides = flags.overrides
        if "install=zsh" in overrides:  # Hydra prints its script for bash, which zsh reads after this
            print("autoload -U +X bashcompinit && bashcompinit")
    else:
        # Hydra knows no way to take an entry away again; none is what the defaults list says.
        parsed = parse([word for word in flags.overrides if word != "experiment=null"])
        flags.multirun |= flags.cfg is None and flags.info is None and asks_for_all_folds(parsed)
        overrides = hydra_guard.check(parsed, places, sweep=flags.multirun)
    shows_help = flags.help or flags.hydra_help
    with _missing_package_as_one_line(flags), folded_output() if shows_help else contextlib.nullcontext():
        # Of several folders Hydra's own flag takes one, the user's, which is the last.
        plugins = places[1:] if flags.config_dir is None else places[1:-1]
        _run_hydra([*_flags_for_hydra(flags, places), *overrides], plugins)
    return 0


def clear_resolvers() -> None:
    """Let no config look up anything but other options of it."""
    for name in _RESOLVERS:
        OmegaConf.clear_resolver(name)


@contextlib.contextmanager
def _missing_package_as_one_line(flags: argparse.Namespace) -> Iterator[None]:
    """Raise ConfigError for a `--package` that is not in the config, of which Hydra has a line and exit code of its own."""
    if flags.package is None:
        yield
        return
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    except SystemExit as stop:
        if stop.code:
            raise ConfigError(
                f"--package {flags.package}: no such section in --cfg {flags.cfg}; expected one such as model or trainer"
            ) from None
        raise


def _run_hydra(arguments: list[str], plugins: list[Path]) -> None:
    outcomes: list[RunResult | Exception] = []

    @hydra.main(version_base=VERSION_BASE, config_path=str(conf_dir()), config_name="config")
    def application(config: DictConfig) -> "RunResult | Exception":
        outcomes.append(attempt(config))
        return outcomes[-1]

    try:
        with _hydra_told(arguments, plugins), hydra_errors_as_one_line():
            application()
    except OnlyRunFailedError as only:
        raise only.error from None
    for outcome in outcomes:  # our own sweeper has raised an error of its own; Hydra's says nothing of a failed run
        if isinstance(outcome, Exception):
            raise outcome


@contextlib.contextmanager
def _hydra_told(arguments: list[str], folders: list[Path]) -> Iterator[None]:
    """Within this, Hydra takes these arguments, raises its errors, and composes with CheckedLoader, also from `folders`.

    `hydra.main` has no parameters for these: it reads the process's arguments and environment, and names its loader. It
    would also compose the whole config once more, only to look whether that sets `hydra.mode`, which none may.
    """
    program: Any = hydra_program
    loader, program.ConfigLoaderImpl = program.ConfigLoaderImpl, loader_of(folders)
    get_mode, program.Hydra.get_mode = program.Hydra.get_mode, lambda *_, **__: None
    words, sys.argv = sys.argv, ["dlcourse", *arguments]
    full_error, os.environ[_FULL_ERROR] = os.environ.get(_FULL_ERROR), "1"
    try:
        yield
    finally:
        program.ConfigLoaderImpl, program.Hydra.get_mode, sys.argv = loader, get_mode, words
        del os.environ[_FULL_ERROR]
        if full_error is not None:
            os.environ[_FULL_ERROR] = full_error


def attempt(config: DictConfig) -> "RunResult | Exception":
    """Train as the composed config says. An error is returned: Hydra would print lines of its own around a raised one."""
    try:
        checked, words = as_run(config, HydraConfig.get())
        if checked.debug == "profile":  # torch reads it as it is imported: its profiler reports on itself on stderr
            os.environ.setdefault("KINETO_LOG_LEVEL", _SILENT)
        result: RunResult = load_session().run(checked, words)
    except Exception as error:
        return error
    return result


def as_run(config: DictConfig, hydra_node: Any) -> tuple[RunConfig, list[str]]:
    """The checked config of a composed one, and the words that its run is recorded by; raises ConfigError.

    `hydra_node` is Hydra's own section, which has the choices behind the config.
    """
    checked = named(hydra_guard.run_config(config), hydra_node.runtime.choices)
    typed: Any = OmegaConf.to_container(hydra_node.overrides.task, resolve=False)
    return checked, [str(word) for word in typed if not str(word).startswith("run.dir=")]


def named(config: RunConfig, choices: Mapping[str, str | None]) -> RunConfig:
    """The config with a name for the run, from those that the user chose: the files behind them may be of other names."""
    if config.run.name is not None:
        return config
    name = choices.get("experiment") or f"{choices['data']}-{choices['model']}"
    return dataclasses.replace(config, run=dataclasses.replace(config.run, name=name))


def load_session() -> ModuleType:
    """`dlcourse.training.session`, which imports torch: Ctrl-C in the middle of that would end in torch's own errors.

    Nothing has been written yet, so the process just ends. A process told to ignore Ctrl-C, as by nohup, keeps doing so.
    What is imported stays, and Python no longer looks through it for garbage, which took a tenth of a short run's time.
    """
    if _SESSION in sys.modules:
        return sys.modules[_SESSION]
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    try:
        session = importlib.import_module(_SESSION)
    finally:
        signal.signal(signal.SIGINT, before)
    gc.freeze()
    return session


def _parse_flags(words: list[str]) -> argparse.Namespace:
    """Hydra's flags, before, between or behind the overrides; raises ConfigError."""
    parser = get_args_parser()
    parser.error = flag_error("train")  # type: ignore[assignment, method-assign]
    known = set(parser._option_string_actions) - set(_REFUSED_FLAGS)
    for place, word in enumerate(words, start=1):
        flag = word.partition("=")[0]
        if flag in _REFUSED_FLAGS:
            raise ConfigError(f"{flag} cannot be used; --config-dir DIR adds your own config files")
        if word.startswith("-") and flag not in known:
            raise ConfigError(_unknown_flag(word, words[place:], sorted(name for name in known if name[1] == "-")))
    flags = parser.parse_intermixed_args(list(_with_info_topic(words)))
    _check_together(flags)
    return flags


def _with_info_topic(words: list[str]) -> list[str]:
    """`--info` takes a topic or none; without this Hydra would take an override behind it for one."""
    spelled = []
    for word, following in zip(words, [*words[1:], ""], strict=False):
        spelled.append("--info=all" if word in ("--info", "-i") and following not in _INFO_TOPICS else word)
    return spelled


def _unknown_flag(word: str, following: list[str], known: list[str]) -> str:
    name, _, value = word.lstrip("-").partition("=")
    option = as_option(name, [value, *following] if value else following)
    return f"unknown flag '{word}'" + (f"; write {option}" if option else suggestion(word, known))


def _check_together(flags: argparse.Namespace) -> None:
    commands = {
        "--run": flags.run,
        "--multirun": flags.multirun,
        "--cfg": flags.cfg is not None,
        "--info": flags.info is not None,
        "-sc": flags.shell_completion,
    }
    given = [name for name, is_given in commands.items() if is_given]
    if len(given) > 1:
        raise ConfigError(f"{' and '.join(given)} do not go together; give one of them")
    if (flags.resolve or flags.package) and flags.cfg is None:
        raise ConfigError(f"{'--resolve' if flags.resolve else '--package'} needs --cfg job, hydra or all")


def _flags_for_hydra(flags: argparse.Namespace, places: list[Path]) -> list[str]:
    """The flags again, in front of all overrides: Hydra refuses overrides on both sides of a flag."""
    switches = {
        "--help": flags.help,
        "--hydra-help": flags.hydra_help,
        "--resolve": flags.resolve,
        "--run": flags.run,
        "--multirun": flags.multirun,
        "--shell-completion": flags.shell_completion,
    }
    values = {
        "--cfg": flags.cfg,
        "--package": flags.package,
        "--info": flags.info,
        "--config-dir": str(places[-1]) if flags.config_dir is not None else None,
    }
    return [
        *(name for name, is_given in switches.items() if is_given),
        *(f"{name}={value}" for name, value in values.items() if value is not None),
    ]
