"""The check before the first step, on one batch: what it finds, and that it leaves everything as it was."""

import copy
import math

import pytest
import torch
from torch import nn

from dlcourse.device import Device, cpu
from dlcourse.models.cnn import CNN
from dlcourse.models.mlp import MLP
from dlcourse.optim.optimizers import adam
from dlcourse.optim.schedules import Updates, constant
from dlcourse.optim.step import ScheduledOptimizer
from dlcourse.rng import random_state
from dlcourse.spec import Batch, DataSpec
from dlcourse.tasks.classification import Classification
from dlcourse.tasks.task import Task
from dlcourse.training.debug.first_step import check_batch, check_first_step, detached
from lab import Lab

SPEC = DataSpec("images", (1, 8, 8), 4, class_names=("a", "b", "c", "d"))
TABLE = DataSpec("table", (6,), 4, class_names=("a", "b", "c", "d"))
TOKENS = DataSpec("words", (5,), 2, class_names=("a", "b"), vocabulary=tuple("xyz"))
VALUES = DataSpec("values", (6,), 1, target="value")


def batch_of(spec: DataSpec, count: int = 8) -> Batch:
    torch.manual_seed(0)
    return Batch(torch.randn(count, *spec.input_shape), torch.arange(count) % spec.num_outputs)


def task_of(model: nn.Module, spec: DataSpec, loss: str = "cross_entropy") -> Task:
    task = Classification(model, spec, cpu(threads=1), loss=loss)

    def make(module: nn.Module, **_: object) -> ScheduledOptimizer:
        return ScheduledOptimizer(adam()(module), constant()(Updates(1, 10)), Device(torch.device("cpu")))

    task.start(make)
    return task


def test_nothing_is_found_and_nothing_is_changed() -> None:
    task, batch = task_of(CNN(SPEC, channels=(4,), head=(8,), dropout=0.5), SPEC), batch_of(SPEC)
    task.train_step(batch)  # so that there are gradients, averages and statistics to be kept
    before = copy.deepcopy((task.model.state_dict(), task.state_dict(), random_state(task.device)))
    gradients = [parameter.grad.clone() for parameter in task.model.parameters()]
    task.model.eval()
    assert check_first_step(task, batch, is_new=False) == []
    after = (task.model.state_dict(), task.state_dict(), random_state(task.device))
    assert str(before) == str(after) and not task.model.training
    assert torch.equal(before[2]["torch"], after[2]["torch"]), "dropout draws, and nothing is drawn from what follows"
    for name, tensor in before[0].items():
        assert torch.equal(tensor, after[0][name]), name
    for gradient, parameter in zip(gradients, task.model.parameters(), strict=True):
        assert torch.equal(gradient, parameter.grad)


@pytest.mark.parametrize(
    ("inputs", "name", "seen"),
    [
        (torch.zeros(8, 6), "constant inputs", "all 8 examples of a batch are 0"),
        (torch.ones(8, 6), "constant inputs", "all 8 examples of a batch are the same"),
        (torch.tensor([[1.0, math.nan, math.inf, 0, 0, 0]] * 8), "inputs not finite", "16 of 48 inputs are NaN"),
    ],
)
def test_inputs_that_teach_nothing_are_found(inputs: torch.Tensor, name: str, seen: str) -> None:
    (finding,) = check_batch(Batch(inputs, torch.arange(8) % 4), TABLE)
    assert finding.name == name and seen in finding.seen


@pytest.mark.parametrize(
    ("spec", "batch", "name", "expected"),
    [
        (TABLE, Batch(torch.randn(2, 6), torch.tensor([1, 4])), "labels out of range", "0 to 3"),
        (TABLE, Batch(torch.randn(2, 6), torch.tensor([-1, 3])), "labels out of range", "0 to 3"),
        (TOKENS, Batch(torch.tensor([[0, 1, 2, 3, 0]] * 2), torch.tensor([0, 1])), "tokens out of range", "0 to 2"),
        (VALUES, Batch(torch.randn(2, 6), torch.tensor([[1.0], [math.nan]])), "targets not finite", "finite numbers"),
    ],
)
def test_targets_that_cannot_be_are_found(spec: DataSpec, batch: Batch, name: str, expected: str) -> None:
    (finding,) = check_batch(batch, spec)
    assert finding.name == name and finding.expected.startswith(expected) and finding.is_fault


def test_examples_that_differ_in_one_number_are_no_fault() -> None:
    inputs = torch.ones(8, 6)
    inputs[3, 2] = 0
    assert check_batch(Batch(inputs, torch.arange(8) % 4), TABLE) == []


def test_the_loss_of_an_untrained_model_is_about_ln_k() -> None:
    task, batch = task_of(MLP(TABLE, hidden=(8,)), TABLE), batch_of(TABLE)
    with torch.no_grad():
        for parameter in task.model.parameters():
            parameter.mul_(100)
    (finding,) = check_first_step(task, batch)
    assert finding.name == "loss at the start" and not finding.is_fault
    assert finding.expected.startswith("about ln 4 = 1.39")
    assert check_first_step(task, batch, is_new=False) == [], "another run's weights may be sure of themselves"


@pytest.mark.parametrize("factor", [-1.0, 0.1])
def test_a_first_loss_that_no_untrained_model_has_is_wrong(factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = Classification.losses
    monkeypatch.setattr(Classification, "losses", lambda self, batch: {"loss": factor * losses(self, batch)["loss"]})
    (finding,) = check_first_step(task_of(MLP(TABLE, hidden=(8,)), TABLE), batch_of(TABLE))
    assert finding.name == "wrong loss" and finding.is_fault


def test_squared_errors_have_no_such_number() -> None:
    assert check_first_step(task_of(MLP(TABLE, hidden=(8,)), TABLE, loss="mse"), batch_of(TABLE)) == []


class _Ignoring(nn.Module):
    """A model that does not look at its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = nn.Parameter(torch.zeros(4))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.answer.expand(len(inputs), 4)


def test_a_model_that_ignores_its_inputs_is_found() -> None:
    (finding,) = check_first_step(task_of(_Ignoring(), TABLE), batch_of(TABLE))
    assert finding.name == "detached inputs"


def test_frozen_parameters_are_a_fault_unless_an_option_says_so() -> None:
    task, batch = task_of(MLP(TABLE, hidden=(8,)), TABLE), batch_of(TABLE)
    names = [name for name, _ in task.model.named_parameters()]
    task.model.get_parameter(names[0]).requires_grad_(False)
    (fault,) = check_first_step(task, batch)
    assert fault.name == "frozen layer" and fault.is_fault and names[0] in fault.seen
    (remark,) = check_first_step(task, batch, freeze=(names[0],))
    assert not remark.is_fault


def test_where_a_graph_is_cut_is_named() -> None:
    finding = detached(["a.weight", "b.weight"], {"c.weight"}, ["a.weight", "b.weight", "c.weight"])
    assert "look between b.weight and c.weight" in finding.advice


def test_labels_out_of_range_are_found_before_the_model_is_built(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from dlcourse.data.dataset import ClassSource

    monkeypatch.setattr(ClassSource, "_disturb", lambda self, targets, *_: targets + 1)
    assert lab.attempt("debug=fast", "model=mlp") == 1
    assert lab.err.startswith("dlcourse: error: labels out of range: 1 to 10; expected 0 to 9 for 10 classes")
    assert not (lab.folder / "outputs").exists()
