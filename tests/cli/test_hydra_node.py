"""Hydra's own section: a launcher and a sweeper may be chosen, and nothing that it runs, imports or writes."""

import copy
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf, open_dict

from dlcourse.cli import hydra_guard
from dlcourse.cli.hydra_node import check_hydra_node
from dlcourse.cli.hydra_overrides import parse
from dlcourse.config.paths import conf_dir
from dlcourse.errors import ConfigError

WORDS = ["seed=3", "model=mlp"]


@pytest.fixture(scope="module")
def composed() -> DictConfig:
    """A config with Hydra's section, made from WORDS."""
    return hydra_guard.compose(parse(WORDS), [conf_dir()])


def changed(config: DictConfig, key: str, value: Any) -> DictConfig:
    config = copy.deepcopy(config)
    OmegaConf.set_readonly(config, False)
    with open_dict(config):
        OmegaConf.update(config, f"hydra.{key}", value, merge=False)
    return config


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("launcher", {"_target_": "hydra._internal.core_plugins.basic_launcher.BasicLauncher"}),
        ("launcher", {"_target_": "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher", "n_jobs": 4}),
        ("sweeper", {"_target_": "hydra_plugins.dlcourse_sweep.DlcourseSweeper"}),
    ],
)
def test_plugins_may_be_chosen(composed: DictConfig, key: str, value: Any) -> None:
    check_hydra_node(composed, WORDS)
    check_hydra_node(changed(composed, key, value), WORDS)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("callbacks", {"x": {"_target_": "os.getcwd"}}),
        ("run.dir", "elsewhere"),
        ("sweep.subdir", "elsewhere"),
        ("output_subdir", ".hydra"),
        ("searchpath", ["file:///elsewhere"]),
        ("job_logging", {"version": 1, "handlers": {}}),
        ("job.chdir", True),
        ("job.env_set", {"LD_PRELOAD": "x.so"}),
        ("mode", "MULTIRUN"),
        ("overrides.task", ["seed=4", "model=mlp"]),
        ("launcher", {"_target_": "os.system"}),
        ("launcher", {"_target_": "hydra_plugins.evil.system"}),
        ("sweeper", {"_target_": "hydra_plugins.x.MySweeper", "params": {"_target_": "os.getcwd"}}),
        ("sweeper", "hydra_plugins.x.MySweeper"),
    ],
)
def test_nothing_else_may_be_set(composed: DictConfig, key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=r"sets what only dlcourse may set in section 'hydra'; remove it there$"):
        check_hydra_node(changed(composed, key, value), WORDS)
