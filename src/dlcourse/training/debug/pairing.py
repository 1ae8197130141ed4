"""Whether the targets of a run go with its inputs: by their neighbors, or else by what a model learns of others."""

import dataclasses
import itertools

from dlcourse.console import Console
from dlcourse.data.split import TensorSplit
from dlcourse.optim.schedules import Updates
from dlcourse.spec import Batch, Split
from dlcourse.tasks.classification import Classification
from dlcourse.tasks.regression import Regression
from dlcourse.tasks.task import Task
from dlcourse.training.build import build_task, optimizer_maker
from dlcourse.training.debug.findings import Finding
from dlcourse.training.debug.labels import Agreement, of_neighbors, of_predictions
from dlcourse.training.debug.one_batch_training import predicted_by
from dlcourse.training.evaluate import training_batches
from dlcourse.training.run_report import Setup

NEIGHBORS, LESSONS, FEWEST_EXAMPLES = 1000, 5000, 400
"""How many training examples are compared, how many are learned from, and below how many it stays undecided."""
_FEW_FEATURES = 3
"""With so few features, examples are dense, and neighbors would show whatever the inputs say about a number."""
_STEPS = 600
_HELD_OUT = 0.2


def check_pairing(setup: Setup) -> tuple[list[Finding], list[str]]:
    """The fault that targets do not go with the inputs, or a line that says how it was found that they do.

    Nothing for tasks other than classification and regression.
    """
    task, train = setup.task, setup.data.train
    if not isinstance(task, Classification | Regression):
        return [], []
    neighbors = of_neighbors(_some(train, NEIGHBORS), setup.data.spec)
    if not neighbors.is_chance:
        what = "have the same class" if isinstance(task, Classification) else "have similar targets, correlation"
        numbers = f"{neighbors.value:.2f}; {neighbors.chance:.2f} by chance"
        return [], [f"match the inputs: nearest neighbors {what} ({numbers})"]
    seen, held_out = _divided(_some(train, LESSONS))
    learned, other = _learned(setup, seen, held_out)
    measure = "accuracy" if isinstance(task, Classification) else "correlation with the targets"
    told = (
        f"after training on {len(seen.targets):,} examples, {measure} {learned.value:.2f} on these, {other.value:.2f} on "
        f"others, {other.chance:.2f} by chance"
    )
    if other.is_better:
        return [], [f"match the inputs: {told}"]
    is_dense = not isinstance(task, Classification) and setup.data.spec.num_features <= _FEW_FEATURES
    if len(seen.targets) < FEWEST_EXAMPLES or not (learned.is_better or is_dense):
        return [], [f"undecided: {told}"]
    return [
        Finding(
            "shuffled labels",
            f"{told}, and nearest neighbors agree no more than by chance",
            "better than chance on others, unless the data are as hard as parity",
            "check that inputs and labels are never shuffled or sorted apart, and data.label_noise",
        )
    ], []


def _divided(batch: Batch) -> tuple[Batch, Batch]:
    """Most of the examples to learn from, and the rest."""
    count = round((1 - _HELD_OUT) * len(batch.targets))
    return Batch(batch.inputs[:count], batch.targets[:count]), Batch(batch.inputs[count:], batch.targets[count:])


def _some(split: Split, count: int) -> Batch:
    return next(iter(split.batches(min(count, len(split)), epoch=1)))


def _learned(setup: Setup, seen: Batch, held_out: Batch) -> tuple[Agreement, Agreement]:
    """How well a new model agrees with the examples that it is trained on, and with those that were held out."""
    config, device = setup.config, setup.device
    data = dataclasses.replace(setup.data, train=TensorSplit(*seen))
    task = build_task(config, data, device, Console(quiet=True))
    task.prepare(data)
    steps = 1 if task.needs_full_batch else _STEPS
    task.start(optimizer_maker(config, device, Updates(epochs=1, batches=steps)))
    task.model.train()
    for batch in itertools.islice(training_batches(config.trainer, data), steps):
        task.train_step(batch)
    task.model.eval()
    return _agreement(task, seen), _agreement(task, held_out)


def _agreement(task: Task, batch: Batch) -> Agreement:
    assert isinstance(task, Classification | Regression)
    return of_predictions(predicted_by(task, batch.inputs).cpu(), batch.targets.cpu())
