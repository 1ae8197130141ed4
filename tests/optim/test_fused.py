"""The fused kernels called directly, against the optimizers of torch.optim."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from dlcourse.device import cpu
from dlcourse.optim import fused as module
from dlcourse.optim.fused import KERNELS, FusedOptimizer, Optimizer, fused
from dlcourse.optim.step import ScheduledOptimizer

STEPS = 20
CASES = [
    (torch.optim.SGD, {"lr": 0.1, "momentum": 0.0, "nesterov": False}),
    (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": False}),
    (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    (torch.optim.Adagrad, {"lr": 0.1, "eps": 1e-10}),
    (torch.optim.Adam, {"lr": 0.1, "betas": (0.8, 0.99), "eps": 1e-6}),
    (torch.optim.AdamW, {"lr": 0.1, "betas": (0.8, 0.99), "eps": 1e-6}),
]


def network() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.Flatten(), nn.Linear(20, 3))
    model.to(memory_format=torch.channels_last)
    model[1].bias.requires_grad = False
    return model


def groups(model: nn.Module) -> list[dict[str, object]]:
    weights = [parameter for parameter in model.parameters() if parameter.ndim >= 2]
    others = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    return [{"params": weights, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]


def scheduled(optimizer: Optimizer) -> ScheduledOptimizer:
    return ScheduledOptimizer(optimizer, lambda update: 1 / (1 + update), cpu())


def train(model: nn.Module, optimizer: ScheduledOptimizer, steps: range = range(STEPS)) -> None:
    for step in steps:
        inputs = torch.randn(4, 2, 4, 4, generator=torch.Generator().manual_seed(step))
        optimizer.step(model(inputs).square().sum())


@pytest.mark.parametrize(("official", "options"), CASES)
def test_the_updates_are_those_of_torch_to_the_bit(official: type, options: dict[str, object]) -> None:
    ours, theirs = network(), network()
    optimizer, reference = fused(official, groups(ours), options), official(groups(theirs), fused=True, **options)
    assert isinstance(optimizer, FusedOptimizer)
    train(ours, scheduled(optimizer))
    train(theirs, scheduled(reference))
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, other)
        state, expected = optimizer.state[mine], reference.state[other] if other.requires_grad else {}
        assert {name: value.tolist() for name, value in state.items()} == {
            name: value.tolist() for name, value in expected.items() if value is not None
        }


@pytest.mark.parametrize(("official", "options"), CASES)
def test_a_state_that_was_saved_continues_to_the_bit(official: type, options: dict[str, object]) -> None:
    whole, half, rest = network(), network(), network()
    train(whole, scheduled(fused(official, groups(whole), options)))
    first, second = (scheduled(fused(official, groups(model), options)) for model in (half, rest))
    train(half, first, range(STEPS // 2))
    rest.load_state_dict(half.state_dict())
    state = first.state_dict()
    state["optimizer"] = [{k: v.contiguous() for k, v in entry.items()} for entry in state["optimizer"]]
    second.load_state_dict(state)
    train(rest, second, range(STEPS // 2, STEPS))
    for mine, other in zip(rest.parameters(), whole.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_a_transposed_gradient_reaches_the_weights_it_belongs_to() -> None:
    """The kernel on a CPU reads it as if it were not transposed."""
    weight = nn.Parameter(torch.zeros(4, 3))
    optimizer = fused(torch.optim.Adam, [{"params": [weight], "weight_decay": 0.0}], CASES[4][1])
    weight.grad = torch.arange(-6.0, 6.0).reshape(3, 4).t()
    optimizer.step()
    assert torch.equal(weight.sign(), -weight.grad.sign())


@pytest.mark.parametrize("change", [{"name": "_fused_gone_"}, {"arguments": "self grads lr"}])
def test_a_changed_kernel_is_left_to_torch(change: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KERNELS, torch.optim.Adam, replace(KERNELS[torch.optim.Adam], **change))
    model = network()
    optimizer = module.fused(torch.optim.Adam, groups(model), CASES[4][1])
    assert isinstance(optimizer, torch.optim.Adam) and optimizer.defaults["fused"]
    train(model, scheduled(optimizer), range(2))
