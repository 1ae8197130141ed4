"""The config that `dlcourse train` would run with some words, for commands that take one config and train no run."""

from collections.abc import Sequence
from pathlib import Path

from dlcourse.cli import hydra_guard
from dlcourse.cli.hydra_overrides import parse
from dlcourse.cli.train import clear_resolvers
from dlcourse.config.run_config import RunConfig
from dlcourse.errors import ConfigError


def composed(words: Sequence[str], places: list[Path], verb: str) -> RunConfig:
    """The checked config; `places` are the folders of config files. Raises ConfigError, also for several values."""
    clear_resolvers()
    overrides = parse([word for word in words if word != "experiment=null"])
    for override in overrides:
        if override.is_sweep_override():
            raise ConfigError(f"'{override.input_line}' has several values; dlcourse {verb} takes one")
    config = hydra_guard.compose(parse(hydra_guard.check(overrides, places, sweep=False)), places)
    return hydra_guard.run_config(config)
