"""The tasks there are: what a batch means, which loss it has, and how a model is measured on a split."""

from dlcourse.registry import Registry
from dlcourse.tasks.classification import Classification
from dlcourse.tasks.regression import Regression
from dlcourse.tasks.task import Task

TASKS: Registry[Task] = Registry(
    "task",
    {"classification": Classification, "regression": Regression},
    run_time=("model", "spec", "device", "descend"),
)
