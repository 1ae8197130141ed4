import json
import math

import pytest
import torch
from torch import nn

from dlcourse.config.registry import Choice
from dlcourse.device import cpu
from dlcourse.errors import ConfigError, DivergedError
from dlcourse.optim.optimizers import OPTIMIZERS
from dlcourse.optim.schedules import SCHEDULERS, Updates
from dlcourse.optim.step import ScheduledOptimizer
from lab import Lab

EPOCHS, PER_EPOCH = 5, 12
TOTAL = EPOCHS * PER_EPOCH


def rates(name: str, **options: object) -> list[float]:
    factor = SCHEDULERS.build(Choice(name, options))(Updates(EPOCHS, PER_EPOCH))
    return [factor(update) for update in range(TOTAL)]


def torch_rates(scheduler: torch.optim.lr_scheduler.LRScheduler, optimizer: torch.optim.Optimizer) -> list[float]:
    found = []
    for _ in range(TOTAL):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def make_sgd(lr: float = 1.0) -> torch.optim.SGD:
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)


def test_cosine_equals_torch() -> None:
    optimizer = make_sgd()
    expected = torch_rates(torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, TOTAL, eta_min=0.1), optimizer)
    assert rates("cosine", final=0.1) == pytest.approx(expected, abs=1e-9)


def test_step_equals_torch() -> None:
    optimizer = make_sgd()
    expected = torch_rates(torch.optim.lr_scheduler.StepLR(optimizer, 2 * PER_EPOCH, gamma=0.3), optimizer)
    assert rates("step", every=2, gamma=0.3) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("total", [2, 3, 4, 7, TOTAL])
def test_one_cycle_equals_torch(total: int) -> None:
    optimizer = make_sgd()
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=total, cycle_momentum=False)
    expected = [optimizer.param_groups[0]["lr"]]
    for _ in range(total - 1):
        optimizer.step()
        schedule.step()
        expected.append(optimizer.param_groups[0]["lr"])
    factor = SCHEDULERS.build(Choice("one_cycle"))(Updates(epochs=total, batches=1))
    assert [factor(update) for update in range(total)] == pytest.approx(expected, abs=1e-6)


def test_one_cycle_of_one_step_takes_the_rate_itself() -> None:
    assert SCHEDULERS.build(Choice("one_cycle"))(Updates(epochs=1, batches=1))(0) == 1.0


@pytest.mark.parametrize("accumulate", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("every", [1, 5])
def test_step_drops_with_the_first_update_of_an_epoch(accumulate: int, every: int) -> None:
    """Whether or not the batches of an epoch fill its updates; `every` is what a GAN's generator learns from."""
    batches, epochs = 13, 6
    model = nn.Linear(1, 1)
    schedule = SCHEDULERS.build(Choice("step", {"every": 2, "gamma": 0.5}))
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    updates = Updates(epochs, batches, accumulate, every)
    descent = ScheduledOptimizer(optimizer, schedule(updates), cpu(), accumulate=accumulate)
    rates = [
        (epoch, descent.lr)
        for epoch in range(epochs)
        for batch in range(batches)
        if (epoch * batches + batch) % every == 0 and descent.step(model(torch.ones(1, 1)).sum())
    ]
    assert len(rates) == updates.total
    assert {rate for _, rate in rates} == {1.0, 0.5, 0.25}
    assert [rate for _, rate in rates] == [0.5 ** (epoch // 2) for epoch, _ in rates]


@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_batch_that_is_learnt_from_several_times_counts_as_often(accumulate: int) -> None:
    """PPO's passes: the rate drops with the first update of an epoch, not with the first of four times as many."""
    batches, epochs, times = 13, 6, 4
    model = nn.Linear(1, 1)
    schedule = SCHEDULERS.build(Choice("step", {"every": 2, "gamma": 0.5}))
    updates = Updates(epochs, batches, accumulate, times=times)
    descent = ScheduledOptimizer(
        torch.optim.SGD(model.parameters(), lr=1.0), schedule(updates), cpu(), accumulate=accumulate
    )
    rates = [
        (epoch, descent.lr)
        for epoch in range(epochs)
        for _ in range(batches * times)
        if descent.step(model(torch.ones(1, 1)).sum())
    ]
    assert len(rates) == updates.total == epochs * batches * times // accumulate
    assert [rate for _, rate in rates] == [0.5 ** (epoch // 2) for epoch, _ in rates]
    assert updates.per_epoch == pytest.approx(batches * times / accumulate)


def test_a_run_drops_its_rate_with_the_first_update_of_an_epoch(lab: Lab) -> None:
    words = ["data=iris", "trainer.accumulate=8", "trainer.batch_size=8", "trainer.epochs=6", "trainer.log_every=1"]
    run = lab.train(*words, "scheduler=step", "optimizer=sgd", "optimizer.lr=1e-3", "model.hidden=[4]")
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    rates = [(r["epoch"], r["optim/lr"]) for r in records if "optim/lr" in r and r["step"] % 8 == 0]
    assert json.loads((run / "report.json").read_text())["steps"] == 6 * 14  # which 8 does not divide
    assert [rate for _, rate in rates] == pytest.approx([1e-3 * 0.1 ** ((epoch - 1) // 2) for epoch, _ in rates])
    assert len({epoch for epoch, _ in rates}) == 6


def test_warmup_rises_to_the_rate_and_stays() -> None:
    found = rates("warmup", epochs=1)
    assert found[:PER_EPOCH] == pytest.approx([(update + 1) / PER_EPOCH for update in range(PER_EPOCH)])
    assert set(found[PER_EPOCH:]) == {1.0}
    assert set(rates("constant")) == {1.0}


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_every_optimizer_goes_down_a_parabola(name: str) -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    optimizer = OPTIMIZERS.build(Choice(name))(model)
    inputs, targets = torch.randn(64, 4), torch.randn(64, 1)
    losses = []
    for _ in range(50):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(inputs), targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_biases_are_left_undecayed_where_asked() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    optimizer = OPTIMIZERS.build(Choice("sgd", {"weight_decay": 0.5, "decay_bias": False}))(model)
    decayed = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert [decayed[id(p)] for p in model.parameters()] == [0.5, 0.0, 0.0, 0.0]


def test_nesterov_without_momentum_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"optimizer\.momentum=0\.9"):
        OPTIMIZERS.build(Choice("sgd", {"nesterov": True}))


def descend(model: nn.Module, **options: object) -> ScheduledOptimizer:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return ScheduledOptimizer(optimizer, lambda update: 1.0, cpu(), **options)


def test_accumulated_halves_equal_one_whole_batch() -> None:
    inputs, targets = torch.randn(8, 3), torch.randn(8, 1)
    whole, halves = nn.Linear(3, 1), nn.Linear(3, 1)
    halves.load_state_dict(whole.state_dict())
    descend(whole).step(nn.functional.mse_loss(whole(inputs), targets))
    descent = descend(halves, accumulate=2)
    for part in (slice(0, 4), slice(4, 8)):
        descent.step(nn.functional.mse_loss(halves(inputs[part]), targets[part]))
    torch.testing.assert_close(halves.weight, whole.weight)


def test_gradients_are_clipped_to_the_norm() -> None:
    model = nn.Linear(3, 1, bias=False)
    before = model.weight.detach().clone()
    descend(model, clip_norm=0.5).step(model(torch.full((1, 3), 100.0)).sum())
    assert (model.weight - before).norm().item() == pytest.approx(0.1 * 0.5, rel=1e-4)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_never_reaches_the_weights(bad: float) -> None:
    model = nn.Linear(1, 1)
    before = model.weight.detach().clone()
    with pytest.raises(DivergedError, match=f"the loss became {bad}"):
        descend(model).step(model(torch.ones(1, 1)).sum() * bad)
    assert torch.equal(model.weight, before)
