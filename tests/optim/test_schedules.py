"""The learning rate of each update: how a training counts its updates, and where in the schedule each of them is."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from dlcourse.console import Console
from dlcourse.device import cpu
from dlcourse.optim.schedules import SCHEDULERS
from dlcourse.optim.step import ScheduledOptimizer
from dlcourse.training.build import build_data, build_task, planned_lr
from dlcourse.training.evaluate import steps_per_epoch
from torture.warm import TINY, compose

EPOCHS, BATCHES = 3, 9
MLP = ("data=digits", "data.subset=160", "model=mlp", "model.hidden=[4]")
GAN = ("data=ring", "data.size=200", "model=gan", "model.hidden=[4]", "model.latent=2")


@pytest.mark.parametrize("accumulate", [1, 2, 3])
def test_an_update_moves_the_weights_by_its_own_place_in_the_schedule(accumulate: int) -> None:
    """The first by the schedule's value at 0; gradients on the way to an update move nothing."""
    weight, factors = nn.Parameter(torch.zeros(())), [1.0, 0.5, 0.125, 2.0]
    descent = ScheduledOptimizer(torch.optim.SGD([weight], lr=0.5), factors.__getitem__, cpu(), accumulate=accumulate)
    moves = []
    for _ in range(len(factors) * accumulate):
        before = weight.item()
        descent.step(weight)  # whose gradient is 1
        moves.append(before - weight.item())
    assert moves == [move for factor in factors for move in (*[0.0] * (accumulate - 1), 0.5 * factor)]


def rates(*words: str) -> tuple[list[float], list[float]]:
    """The learning rate of the latest update after each step of a training, as a share of the highest.

    And what is said before each step of the next update's.
    """
    fixed = ("trainer.batch_size=16", f"trainer.epochs={EPOCHS}", "optimizer=sgd", "optimizer.lr=0.001")
    config, device = compose(*TINY, *fixed, *words), cpu()
    torch.manual_seed(0)
    data = build_data(config, device)
    assert steps_per_epoch(config.trainer, data) == BATCHES
    task, found = build_task(config, data, device, Console(quiet=True)), []
    for epoch in range(1, EPOCHS + 1):
        for batch in data.train.batches(16, epoch=epoch):
            task.train_step(batch)
            found.append(task.lr / 0.001)
    return found, [planned_lr(config, data, step) / 0.001 for step in range(EPOCHS * BATCHES)]


def expected(accumulate: int, every: int, factor: Callable[[int], float]) -> list[float]:
    """The same by hand, of what learns from every `every`-th batch, the first one among them."""
    found = []
    for step in range(1, EPOCHS * BATCHES + 1):
        updates = math.ceil(step / every) // accumulate
        found.append(factor(updates - 1) if updates else 1.0)
    return found


COUNTS = [
    (MLP, 3, 1),
    (GAN, 1, 1),
    ((*GAN, "task.critic_steps=3"), 1, 3),
    ((*GAN, "task.critic_steps=3"), 3, 3),
]
"""Words, batches to an update, and of how many batches one is learnt from."""


@pytest.mark.parametrize(("words", "accumulate", "every"), COUNTS)
def test_a_cosine_ends_with_the_last_update(words: tuple[str, ...], accumulate: int, every: int) -> None:
    updates = EPOCHS * BATCHES // (accumulate * every)
    found, _ = rates(*words, "scheduler=cosine", f"trainer.accumulate={accumulate}")
    assert found == pytest.approx(
        expected(accumulate, every, lambda update: (1 + math.cos(math.pi * update / updates)) / 2)
    )


@pytest.mark.parametrize(("words", "accumulate", "every"), COUNTS)
def test_a_step_comes_with_the_first_update_of_an_epoch(words: tuple[str, ...], accumulate: int, every: int) -> None:
    updates = BATCHES // (accumulate * every)
    found, _ = rates(*words, "scheduler=step", "scheduler.every=1", f"trainer.accumulate={accumulate}")
    assert found == pytest.approx(expected(accumulate, every, lambda update: 0.1 ** (update // updates)))


def test_batches_that_are_left_over_make_no_update() -> None:
    """27 batches by twos are 13 updates, and a cosine over 13."""
    found, _ = rates(*MLP, "scheduler=cosine", "trainer.accumulate=2")
    assert found == pytest.approx(expected(2, 1, lambda update: (1 + math.cos(math.pi * update / 13)) / 2))


@pytest.mark.parametrize("scheduler", [name for name in SCHEDULERS if name != "constant"])
def test_the_rate_that_is_said_of_the_next_update_is_the_one_it_takes(scheduler: str) -> None:
    accumulate = 4
    taken, said = rates(*MLP, f"scheduler={scheduler}", f"trainer.accumulate={accumulate}")
    last = EPOCHS * BATCHES // accumulate * accumulate
    assert said[:last] == pytest.approx([taken[step + accumulate - 1 - step % accumulate] for step in range(last)])
    assert len(set(taken)) > 1
