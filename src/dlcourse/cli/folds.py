"""`dlcourse train data.k_fold=5`: whether a command line asks for all folds, and whether its data can be divided so."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from hydra.core.override_parser.types import Override

from dlcourse.config.registry import Choice
from dlcourse.config.run_config import RunConfig
from dlcourse.errors import ConfigError, UserError, first_line
from dlcourse.sweeps.folds import folds_of
from dlcourse.sweeps.workers import can_fork


def asks_for_all_folds(overrides: Sequence[Override]) -> bool:
    """Whether a command without `-m` is a sweep all the same: over the folds, and over nothing else."""
    if any(override.is_sweep_override() for override in overrides):
        return False  # which needs -m, as always
    return folds_of([f"{each.key_or_group}={each.get_value_element_as_str()}" for each in overrides]) > 0


def require_folds(configs: Iterable[RunConfig]) -> None:
    """Raise ConfigError if the data of one of these runs cannot be divided into its folds, or are not there.

    The data are built in another process: nothing may be computed with torch in one that will be forked. A system that
    cannot fork leaves it to the runs to tell.
    """
    folds = list(_one_of_each(config for config in configs if config.data.options.get("k_fold") is not None))
    if not folds or not can_fork():
        return
    import sklearn.model_selection  # noqa: F401 - once, not in each of the processes

    if reason := _in_a_fork(folds):
        raise ConfigError(reason)


def _one_of_each(configs: Iterable[RunConfig]) -> Iterator[RunConfig]:
    """Of the runs that differ in nothing that decides what is divided into folds, that of the first fold."""
    seen = set()
    for config in configs:
        first = replace(config, data=Choice(config.data.name, {**config.data.options, "fold": 0}))
        key = json.dumps([config.seed, first.to_mapping()["data"]])
        if key not in seen:
            seen.add(key)
            yield first


def _in_a_fork(configs: Sequence[RunConfig]) -> str:
    """What `_reason_against` finds."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            os.write(writing, _reason_against(configs).encode())
        finally:
            os._exit(0)  # nothing of the parent is to be cleaned up here
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as lines:
        reason = lines.read()
    os.waitpid(child, 0)
    return reason


def _reason_against(configs: Sequence[RunConfig]) -> str:
    """Why the data of one of these runs cannot be built; empty if they can, or if the system is in the way."""
    import torch

    from dlcourse.device import cpu
    from dlcourse.training.build import build_data

    torch.set_num_threads(1)  # those of the parent are not here
    try:
        for config in configs:
            build_data(config, cpu())
    except UserError as error:
        return first_line(error) if error.exit_code == ConfigError.exit_code else ""
    except OSError:
        return ""
    return ""
