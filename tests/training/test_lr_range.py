"""The range test: its rule on curves whose answer is known, and that it leaves a training as it is."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from dlcourse.console import Console
from dlcourse.device import cpu
from dlcourse.errors import ConfigError, DivergedError
from dlcourse.optim.optimizers import OPTIMIZERS
from dlcourse.spec import Batch
from dlcourse.tasks import TASKS, choose
from dlcourse.tasks.classification import Classification
from dlcourse.training import lr_range as module
from dlcourse.training.build import build_data
from dlcourse.training.lr_range import HIGHEST, LOWEST, REPEATS, UPDATES, LrRange, lr_range
from lab import composed
from tiny_data import tiny_data

LRS = np.geomspace(LOWEST, HIGHEST, UPDATES)


def found(*words: str) -> LrRange:
    config = composed(*words)
    data = build_data(config, cpu())
    config = dataclasses.replace(config, task=choose(config.task, data.spec))
    return lr_range(config, data, cpu(), Console(quiet=True))


def falling(steepest: float, noise: float = 0.0, level: float = 2.3) -> LrRange:
    """Losses that fall from a level as a sigmoid of the learning rate's logarithm, then rise."""
    places = np.log10(LRS / steepest)
    losses = level - 1 / (1 + np.exp(-4 * places)) + np.maximum(places - 1, 0) ** 2
    random = np.random.default_rng(0)
    return LrRange(LRS, losses + noise * random.standard_normal((REPEATS, UPDATES)))


@pytest.mark.parametrize("steepest", [1e-4, 3e-3, 0.1])
@pytest.mark.parametrize("level", [2.3, -50.0])
def test_the_rate_at_which_the_loss_falls_fastest_is_suggested(steepest: float, level: float) -> None:
    assert falling(steepest, level=level).suggestion == pytest.approx(steepest, rel=0.15)
    assert falling(steepest, noise=0.05, level=level).suggestion == pytest.approx(steepest, rel=0.6)


def test_what_falls_after_the_lowest_loss_or_not_at_all_suggests_nothing() -> None:
    random = np.random.default_rng(1)
    assert LrRange(LRS, 2.3 + 0.1 * random.standard_normal((REPEATS, UPDATES))).suggestion is None
    assert LrRange(LRS, np.tile(1 + np.linspace(0, 1, UPDATES) ** 2, (REPEATS, 1))).suggestion is None
    burst = falling(1e-3)
    losses = burst.losses.copy()
    losses[:, LRS > 0.1] = 9.0
    losses[:, LRS > 1] = 2.0  # down from 9: steeper than anything before
    assert LrRange(LRS, losses).suggestion == pytest.approx(1e-3, rel=0.2)


def test_a_suggestion_has_two_digits_and_lies_below_the_lowest_loss() -> None:
    test = falling(0.00234)
    assert test.suggestion is not None
    assert f"{test.suggestion:.2g}" == f"{test.suggestion:g}"
    assert test.suggestion < test.lowest


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_every_optimizer_gets_a_rate_near_its_own(optimizer: str) -> None:
    suggestion = found("data=iris", "model=mlp", "model.hidden=[16]", f"optimizer={optimizer}").suggestion
    default = float(OPTIMIZERS.schema(optimizer)["lr"].default)
    assert suggestion is not None and default / 100 < suggestion < default * 100


def test_the_first_update_is_that_of_a_training_with_the_lowest_rate() -> None:
    """The loss before it is of the same weights on the same batch."""
    test = found("data=digits", "model=mlp")
    config = composed("data=digits", "model=mlp")
    data = build_data(config, cpu())
    torch.manual_seed(config.seed)
    model = module.build_task(config, data, cpu(), Console(quiet=True)).model
    batch = next(iter(data.train.batches(config.trainer.batch_size, epoch=1)))
    model.train()
    expected = torch.nn.functional.cross_entropy(model(batch.inputs), batch.targets).item()
    assert test.losses[0, 0] == pytest.approx(expected, rel=1e-5)
    assert len({tuple(losses) for losses in test.losses}) == REPEATS
    assert test.lrs[0] == LOWEST and test.lrs[-1] < HIGHEST  # it diverges before


def test_clipping_and_accumulation_are_those_of_the_training_and_its_schedule_is_not() -> None:
    plain, many, clipped, other = (
        found("data=diabetes", "model=mlp", "model.hidden=[16]", "optimizer=sgd", *words)
        for words in ([], ["trainer.accumulate=4"], ["trainer.clip_norm=1e-9"], ["scheduler=one_cycle"])
    )
    first_decade = slice(0, 14)
    assert many.losses[:, first_decade].std(1).mean() < 0.7 * plain.losses[:, first_decade].std(1).mean()
    assert len(clipped.lrs) == UPDATES > len(plain.lrs) and clipped.suggestion is None
    assert np.array_equal(other.losses, plain.losses)


def test_a_test_ends_with_the_first_that_diverges_and_fails_if_no_update_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = Classification.train_step
    counts: list[int] = []

    def train_step(self: Classification, batch: Batch) -> dict[str, Tensor]:
        counts.append(counts.pop() + 1 if counts and counts[-1] < limits[len(counts) - 1] else 1)
        if counts[-1] == limits[len(counts) - 1]:
            raise DivergedError("the loss became nan")
        return steps(self, batch)

    monkeypatch.setattr(Classification, "train_step", train_step)
    limits = [25, 21, 30]
    test = found("data=iris", "model=softmax")
    assert test.losses.shape == (REPEATS, 20) and test.lrs == pytest.approx(LRS[:20])
    counts.clear()
    limits = [1]
    with pytest.raises(DivergedError):
        found("data=iris", "model=softmax")


def test_a_test_ends_once_losses_are_four_times_the_least() -> None:
    test = found("data=digits", "model=softmax", "optimizer=sgd")
    ends = range(1, len(test.lrs) + 1)
    recent = np.array([[losses[max(0, end - 5) : end].mean() for end in ends] for losses in test.losses])
    assert (recent[:, :-1] <= 4 * np.minimum.accumulate(recent, 1)[:, :-1]).all()
    assert (recent[:, -1] > 4 * recent.min(1)).any()


TELLING = {
    "regression": ("data=diabetes", "model=mlp"),
    "reconstruction": ("data=digits", "model=autoencoder"),
    "variational": ("data=digits", "model=vae"),
    "diffusion": ("data=moons", "model=diffusion"),
    "seq2seq": ("data=reverse", "model=transformer"),
    "language": ("data=grammar", "model=transformer"),
    "skip_gram": ("data=grammar", "model=embedding"),
    "preference": ("data=preferences", "model=transformer", "task=preference"),
}
MUTE = {
    "adversarial": ("data=ring", "model=gan"),
    "q_learning": ("data=cartpole", "model=mlp"),
    "monte_carlo": ("data=grid_world", "model=mlp", "task=monte_carlo"),
    "policy_gradient": ("data=cartpole", "model=mlp", "task=policy_gradient"),
    "actor_critic": ("data=cartpole", "model=policy_and_value", "task=actor_critic"),
    "self_play": ("data=tic_tac_toe", "model=mlp"),
    "least_squares": ("data=diabetes", "model=linreg", "task=least_squares", "trainer=one_step"),
}


def test_all_tasks_are_here() -> None:
    """But rlhf, which needs another run, and is told by its class as the others are."""
    assert {*TELLING, *MUTE, "auto", "classification", "rlhf"} == set(TASKS)
    mute = {name for name, task in TASKS._table.items() if not getattr(task, "loss_tells", True)}
    assert mute == {*MUTE, "rlhf"} - {"least_squares"}


@pytest.mark.parametrize(
    "task",
    [task if task in ("regression", "language") else pytest.param(task, marks=pytest.mark.slow) for task in TELLING],
)
def test_every_other_task_is_tested(task: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "UPDATES", 12)
    data, *words = TELLING[task]
    test = found(*tiny_data(data.removeprefix("data="), tmp_path), *words, "trainer.batch_size=8")
    assert np.isfinite(test.losses).all() and test.losses.shape[0] == REPEATS


@pytest.mark.parametrize(
    "task",
    [task if task in ("adversarial", "least_squares") else pytest.param(task, marks=pytest.mark.slow) for task in MUTE],
)
def test_a_loss_that_says_nothing_is_refused_in_one_line(task: str) -> None:
    with pytest.raises(ConfigError, match=f"task '{task}'"):
        found(*MUTE[task])
