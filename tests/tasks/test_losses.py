"""The losses that tasks choose from: likelihood with a learned deviation, and squared error of classes."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Normal

from dlcourse.config.registry import Choice
from dlcourse.device import cpu
from dlcourse.errors import ConfigError
from dlcourse.models.mlp import MLP
from dlcourse.spec import Batch, DataSpec
from dlcourse.tasks import TASKS
from dlcourse.tasks.class_losses import CLASS_LOSSES, class_targets, nearest_probabilities
from dlcourse.tasks.value_losses import GaussianNLL, value_loss
from lab import Lab, report

TWO = DataSpec("two", (2,), 2, class_names=("no", "yes"))


def test_the_likelihood_is_that_of_a_gaussian_also_in_other_units() -> None:
    model, outputs, targets = nn.Linear(1, 2), torch.randn(9, 2).double(), torch.randn(9, 2).double()
    loss = value_loss("nll", model, 2, torch.device("cpu"))
    assert isinstance(loss, GaussianNLL) and "log_sigma" in dict(model.named_parameters())
    with torch.no_grad():
        loss.log_sigma.copy_(torch.tensor([0.5, -1.0]))
    std = torch.tensor([3.0, 10.0])
    torch.testing.assert_close(loss.sigma(std), loss.log_sigma.detach().double().exp() * std)
    expected = -Normal(outputs * std, loss.sigma(std)).log_prob(targets * std)
    torch.testing.assert_close(loss.in_units(loss.each(outputs, targets), std).detach(), expected)


def test_likelihood_and_squared_error_give_the_same_line_and_the_variance_of_the_noise(lab: Lab) -> None:
    words = ("data=line", "data.size=200", "model=linreg", "features=none", "task=regression", "trainer=full_batch")
    optimizer = (
        "optimizer=adam",
        "optimizer.lr=0.1",
        "scheduler=cosine",
        "trainer.epochs=400",
        "trainer.eval_every=400",
    )
    runs = [lab.train(*words, *optimizer, f"task.loss={loss}", "report=light") for loss in ("mse", "nll")]
    mse, nll = (report(run) for run in runs)
    lines = [found["coefficients"] for found in (mse, nll)]
    for name in ("weights", "intercepts"):
        assert torch.tensor(lines[0][name]).sub(torch.tensor(lines[1][name])).abs().max() < 1e-3
    sigma = nll["test"]["sigma"]
    assert sigma**2 / mse["train"]["loss"] == pytest.approx(1, abs=0.02)
    entropy = 0.5 * math.log(2 * math.pi * math.e * sigma**2)
    assert nll["train"]["loss"] == pytest.approx(entropy, abs=0.01)
    words = [*words, "task.loss=mse", f"init_from={runs[1]}", "trainer.epochs=1", "report=light"]
    assert report(lab.train(*words))["val"]["mse"] == pytest.approx(nll["val"]["mse"], rel=0.01)


def test_the_nearest_probabilities() -> None:
    outputs = torch.tensor([[0.2, 0.3, 0.5], [2.0, 0.1, -1.0], [0.6, 0.8, -0.4], [0.0, 0.0, 0.0]])
    expected = torch.tensor([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.4, 0.6, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    torch.testing.assert_close(nearest_probabilities(outputs), expected)
    many = 3 * torch.randn(200, 10)
    near, others = nearest_probabilities(many), torch.rand(200, 10).log().neg()
    torch.testing.assert_close(near.sum(1), torch.ones(200))
    assert (near >= 0).all() and torch.equal(near.argmax(1), many.argmax(1))
    others = others / others.sum(1, keepdim=True)  # uniform on the simplex
    assert ((near - many).norm(dim=1) <= (others - many).norm(dim=1)).all()


def test_squared_error_of_classes() -> None:
    outputs, classes = torch.rand(6, 3), torch.arange(6) % 3
    hot = nn.functional.one_hot(classes, 3).float()
    loss = CLASS_LOSSES["mse"]
    torch.testing.assert_close(loss.mean(outputs, classes, 0.0), (outputs - hot).square().mean())
    torch.testing.assert_close(class_targets(outputs, classes, 0.3), 0.7 * hot + 0.1)
    second = torch.tensor([[0.2], [0.9], [1.7]])
    assert class_targets(second, torch.tensor([0, 1, 1])).tolist() == [[0], [1], [1]]
    torch.testing.assert_close(loss.probabilities(second), torch.tensor([[0.8, 0.2], [0.1, 0.9], [0.0, 1.0]]))


@pytest.mark.parametrize("one_logit", [False, True])
def test_accuracy_while_training_counts_what_the_evaluation_counts(one_logit: bool) -> None:
    model = MLP(TWO, hidden=(2,), activation="sigmoid", output="sigmoid", one_logit=one_logit)
    task = TASKS.build(Choice("classification", {"loss": "mse"}), model=model, spec=TWO, device=cpu())
    batch = Batch(4 * torch.randn(500, 2), torch.arange(500) % 2)
    share = (task.probabilities(model(batch.inputs)).argmax(1) == batch.targets).float().mean()
    assert task.losses(batch)["accuracy"] == share


def test_the_net_of_the_lecture_solves_xor_which_no_linear_model_does(lab: Lab) -> None:
    words = ("data=xor", "task.loss=mse", "optimizer=adam", "optimizer.lr=0.1", "trainer.epochs=30", "report=light")
    net = ("model=mlp", "model.hidden=[2]", "model.activation=sigmoid", "model.output=sigmoid", "features=none")
    assert report(lab.train(*words, *net, "seed=2"))["test"]["accuracy"] >= 0.98
    assert report(lab.train(*words, "model=mlp", "model.hidden=[]"))["test"]["accuracy"] < 0.8


def test_probabilities_are_no_logits_and_no_standardized_targets() -> None:
    model = MLP(TWO, output="sigmoid")
    with pytest.raises(
        ConfigError, match=r"gives probabilities, and task.loss=cross_entropy needs logits, .* write task"
    ):
        TASKS.build(Choice("classification"), model=model, spec=TWO, device=cpu())
    numbers = DataSpec("numbers", (2,), 1, "value")
    model = MLP(numbers, output="sigmoid")
    TASKS.build(Choice("regression", {"standardize": False}), model=model, spec=numbers, device=cpu())
    with pytest.raises(ConfigError, match=r"standardized targets do not; write task.standardize=false or model.output"):
        TASKS.build(Choice("regression"), model=model, spec=numbers, device=cpu())
