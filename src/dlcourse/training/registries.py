"""The registry of each group of the config whose choice a run has."""

from typing import Any

from dlcourse.config.registry import Registry
from dlcourse.data import DATASETS
from dlcourse.device import DEVICES
from dlcourse.models import MODELS
from dlcourse.models.features import FEATURES
from dlcourse.optim.optimizers import OPTIMIZERS
from dlcourse.optim.schedules import SCHEDULERS
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
