"""A pytest plugin, `-p some_entries`: of the tests that walk a table, those of the entries named in $ENTRIES alone.

Tests of the table as a whole stay.
"""

import os

import pytest

from dlcourse.data import DATASETS
from dlcourse.device import DEVICES
from dlcourse.models import MODELS
from dlcourse.models.features import FEATURES
from dlcourse.optim.optimizers import OPTIMIZERS
from dlcourse.optim.schedules import SCHEDULERS
from dlcourse.tasks import TASKS

TABLES = (DATASETS, DEVICES, FEATURES, MODELS, OPTIMIZERS, SCHEDULERS, TASKS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    others = {name for table in TABLES for name in table} - set(os.environ["ENTRIES"].split())

    def is_of_another(item: pytest.Item) -> bool:
        parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
        return any(isinstance(value, str) and value in others for value in parameters)

    items[:] = [item for item in items if not is_of_another(item)]
