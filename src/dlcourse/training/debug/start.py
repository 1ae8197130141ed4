"""The ways to debug a run: a table from `debug=NAME` to what it does."""

from collections.abc import Callable

from dlcourse.config.run_config import RunConfig
from dlcourse.errors import ConfigError
from dlcourse.runs.result import RunResult
from dlcourse.training.debug.fast import fast
from dlcourse.training.debug.overfit import overfit
from dlcourse.training.debug.profiling import profile

MODES: dict[str, Callable[[RunConfig, list[str]], RunResult | None]] = {
    "overfit": overfit,
    "fast": fast,
    "profile": profile,
}


def start(config: RunConfig, overrides: list[str]) -> RunResult | None:
    """Debug as `config.debug` says; the result is that of a run, if one is left. Raises UserError."""
    assert config.debug is not None
    if config.resume is not None:
        raise ConfigError(f"debug={config.debug} does not go with resume={config.resume}; leave one of them out")
    return MODES[config.debug](config, overrides)
