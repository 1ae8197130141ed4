"""Measuring a task on a split, and the batches of training."""

import itertools
from collections.abc import Iterator

import torch

from dlcourse.config.run_config import TrainerConfig
from dlcourse.metrics.report import Report
from dlcourse.spec import Batch, Data, Split
from dlcourse.tasks.task import Task


def evaluate(task: Task, split: Split, batch_size: int, *, full: bool = False) -> Report:
    """Measure a task on a split: in evaluation mode, without gradients, and without touching any random state."""
    was_training = task.model.training
    task.model.eval()
    try:
        with torch.no_grad(), task.device.forked_random_state():
            return task.evaluate(split, batch_size, full=full)
    finally:
        task.model.train(was_training)


def batch_size(config: TrainerConfig, data: Data) -> int:
    """The examples in one step, at most the whole training set."""
    return len(data.train) if config.batch_size == "full" else min(config.batch_size, len(data.train))


def steps_per_epoch(config: TrainerConfig, data: Data) -> int:
    """The batches in one pass over the training set, of which a last one with a single example joins the one before."""
    whole, rest = divmod(len(data.train), batch_size(config, data))
    return whole + (rest > 1)


def training_batches(config: TrainerConfig, data: Data, first_epoch: int = 1) -> Iterator[Batch]:
    """The batches of training from this epoch on, epoch after epoch without end."""
    for epoch in itertools.count(first_epoch):
        yield from data.train.batches(batch_size(config, data), epoch=epoch)
