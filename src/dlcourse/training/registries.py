"""The registry of each group of the config whose choice a run has, and where plug-ins join them."""

from typing import Any

from dlcourse.config.registry import Registry
from dlcourse.data import DATASETS
from dlcourse.device import DEVICES
from dlcourse.models import MODELS
from dlcourse.models.features import FEATURES
from dlcourse.optim.optimizers import OPTIMIZERS
from dlcourse.optim.schedules import SCHEDULERS
from dlcourse.plugins.load import load_all
from dlcourse.plugins.named import named_entries
from dlcourse.tasks import TASKS

REGISTRIES: dict[str, Registry[Any]] = {
    "model": MODELS,
    "data": DATASETS,
    "features": FEATURES,
    "task": TASKS,
    "optimizer": OPTIMIZERS,
    "scheduler": SCHEDULERS,
    "device": DEVICES,
}


def with_plugins() -> dict[str, Registry[Any]]:
    """The registries with the entries of the plug-in folders that are named now, whose code is run for it.

    Entries of folders that are not named any more are gone. Raises ConfigError.
    """
    for group, entries in load_all(named_entries()).items():
        REGISTRIES[group].set_plugins(entries)
    return REGISTRIES
