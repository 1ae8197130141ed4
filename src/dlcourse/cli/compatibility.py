"""Which model trains on which data set, found by asking: every model is built for what every data set announces."""

from functools import cache
from typing import Any

from dlcourse.cli.config_files import entries, folders, parts
from dlcourse.config.registry import Choice
from dlcourse.config.yaml_file import read_yaml
from dlcourse.data import DATASETS
from dlcourse.errors import ConfigError
from dlcourse.models import MODELS
from dlcourse.spec import DataSpec
from dlcourse.training.build import MISFITS, require_fit
from dlcourse.training.registries import with_plugins


def fits() -> dict[str, list[str]]:
    """The data sets that each model trains on, default options on both sides; if a file decides, those that it may.

    Those of plug-in folders that are named are among them. Raises ConfigError.
    """
    with_plugins()
    return {
        model: [name for name in DATASETS if any(trains_on(model, spec) for spec in announced(name))]
        for model in MODELS
    }


def announced(data: str) -> tuple[DataSpec, ...]:
    """What the data set of this name says of its examples before it is built."""
    data_set: Any = DATASETS[data]
    return data_set.SPECS


@cache
def trains_on(model: str, spec: DataSpec) -> bool:
    """Whether the model can be built for such data, and its task takes what comes out of it."""
    try:
        task = Choice(_own_task(model) or spec.target_kind.task)
        require_fit(spec, Choice(model), task, Choice("none"))
    except (ConfigError, *MISFITS):
        return False
    return True


@cache
def _own_task(model: str) -> str | None:
    """The task that the model's file asks for, whatever the data."""
    for part in parts(entries("model", folders(None))[model]):
        for choice in read_yaml(part).get("defaults", ()):
            if isinstance(choice, dict) and (task := choice.get("override /task@_global_.task")):
                return str(task)
    return None
