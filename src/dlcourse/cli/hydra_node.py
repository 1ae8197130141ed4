"""Hydra's own section of a config, `hydra`, which nobody but dlcourse sets: Hydra runs, imports and writes what it says."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.object_type import ObjectType
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from dlcourse.cli.config_files import SHARED
from dlcourse.cli.parsed_files import ParsedOnce
from dlcourse.errors import ConfigError

VERSION_BASE = "1.3"
"""The version of Hydra whose rules of composition hold."""

_NO_LOGGING = {"version": 1, "root": None, "disable_existing_loggers": False}
_NODE: dict[str, Any] = {
    "callbacks": {},
    "job_logging": _NO_LOGGING,
    "hydra_logging": _NO_LOGGING,
    "verbose": False,
    "searchpath": [],
    "env": {},
    "run": {"dir": "."},
    "sweep": {"dir": ".", "subdir": "."},
    "output_subdir": None,
}
_JOB: dict[str, Any] = {"env_set": {}, "env_copy": [], "chdir": False}
_PLUGIN = re.compile(
    r"(?:hydra_plugins|hydra\._internal\.core_plugins)(?:\.[a-z0-9_]+)+\.[A-Z]?\w*(?:Launcher|Sweeper)"
)


class CheckedLoader(ConfigLoaderImpl):
    """Hydra's loader of configs, which hands out none whose `hydra` section differs from ours; raises ConfigError.

    Whatever Hydra acts on comes from here: a single run, a sweep, and each job of a sweep at the moment it starts, with
    any sweeper and any launcher.
    """

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        super().__init__(config_search_path)
        self.repository = ParsedOnce(config_search_path)

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        """The composed config, its `hydra` section checked."""
        config = super().load_configuration(config_name, overrides, run_mode, from_shell, validate_sweep_overrides)
        if config_name is not None:  # without one it is the page of --hydra-help, in which no file of a user takes part
            check_hydra_node(config, overrides)
        return config

    def get_group_options(
        self, group_name: str, results_filter: ObjectType | None = ObjectType.CONFIG, *rest: Any, **named: Any
    ) -> list[str]:
        """The entries of a group, or the groups in it, for help and completion: what entries share cannot be chosen."""
        found = super().get_group_options(group_name, results_filter, *rest, **named)
        return [name for name in found if results_filter != ObjectType.GROUP or name != SHARED]


def look_in(folders: Sequence[Path], search_path: ConfigSearchPath) -> None:
    """Let Hydra look for config files in these folders, too, which are not that of its own flag --config-dir."""
    for folder in folders:
        search_path.prepend("plugins", f"file://{folder.resolve()}", SearchPathQuery(provider="schema"))


def loader_of(folders: Sequence[Path]) -> Callable[[ConfigSearchPath], CheckedLoader]:
    """What makes a CheckedLoader that looks in these folders, too."""

    def make(config_search_path: ConfigSearchPath) -> CheckedLoader:
        look_in(folders, config_search_path)
        return CheckedLoader(config_search_path)

    return make


def check_hydra_node(config: DictConfig, overrides: list[str]) -> None:
    """Raise ConfigError if a file or an option changes what Hydra runs, imports or writes.

    A launcher and a sweeper may be chosen, with settings. `overrides` are the words that the config was composed with:
    Hydra reads them from this section again for the jobs of a sweep, and adds the one for the mode itself.
    """
    node: Any = OmegaConf.to_container(config.hydra, resolve=False)
    given = [*node["overrides"]["hydra"], *node["overrides"]["task"]]
    if not (
        {key: node[key] for key in _NODE} == _NODE
        and {key: node["job"][key] for key in _JOB} == _JOB
        and sorted(given) == sorted(overrides)
        and (node["mode"] is None or any(word.startswith("hydra.mode=") for word in overrides))
        and all(map(_is_plugin, (config.hydra.launcher, config.hydra.sweeper)))
    ):
        raise ConfigError(
            "a config file or an option sets what only dlcourse may set in section 'hydra'; remove it there"
        )


def _is_plugin(section: Any) -> bool:
    """Whether it names a plugin of Hydra and has no class inside, which Hydra would call; a reference may lead to one."""
    if not isinstance(section, DictConfig):
        return False
    written: Any = OmegaConf.to_container(section, resolve=False)
    settings: Any = OmegaConf.to_container(section, resolve=True)
    nested = [value for key, value in settings.items() if key != "_target_"]
    return _PLUGIN.fullmatch(str(written.get("_target_"))) is not None and "_target_" not in str(nested)
