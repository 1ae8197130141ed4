"""A pytest plugin, `-p some_entries`: of the tests that walk a table, those of the entries named in $ENTRIES alone.

Tests of the table as a whole stay.
"""

import os

import pytest

from dlcourse.training.registries import REGISTRIES


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    others = {name for registry in REGISTRIES.values() for name in registry} - set(os.environ["ENTRIES"].split())

    def is_of_another(item: pytest.Item) -> bool:
        parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
        return any(isinstance(value, str) and value in others for value in parameters)

    items[:] = [item for item in items if not is_of_another(item)]
