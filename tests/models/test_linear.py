"""The linear models: one affine layer, its size and start, and its formula in words."""

import math

import pytest
import torch
from torch.nn import functional

from dlcourse.errors import MisfitError
from dlcourse.models.linear import LinearRegression, LogisticRegression, SoftmaxRegression, require_classes
from dlcourse.spec import DataSpec

MNIST = DataSpec("mnist", (1, 28, 28), 10)
MOONS = DataSpec("moons", (2,), 2)
HOUSES = DataSpec("houses", (2,), 1, "value")


def test_logistic_regression_has_one_logit_for_two_classes_and_k_for_more() -> None:
    assert LogisticRegression(MOONS)(torch.zeros(5, 2)).shape == (5, 1)
    assert LogisticRegression(MNIST)(torch.zeros(5, 1, 28, 28)).shape == (5, 10)
    assert SoftmaxRegression(MOONS)(torch.zeros(5, 2)).shape == (5, 2)


def test_softmax_regression_begins_as_a_guess_and_its_gradient_is_the_closed_form() -> None:
    model = SoftmaxRegression(MNIST)
    images, classes = torch.rand(40, 1, 28, 28), torch.arange(40) % 10
    loss = functional.cross_entropy(model(images), classes)
    assert loss.item() == pytest.approx(math.log(10))
    loss.backward()
    gradient = (torch.full((40, 10), 0.1) - torch.eye(10)[classes]).T @ images.reshape(40, 784) / 40
    torch.testing.assert_close(model.linear.weight.grad, gradient)


def test_the_formula_is_what_the_model_predicts_in_the_units_of_the_targets() -> None:
    model = LinearRegression(HOUSES)
    model.load_state_dict({"linear.weight": torch.tensor([[-1.5, 2.0]]), "linear.bias": torch.tensor([-0.25])})
    assert model(torch.tensor([[2.0, 3.0]])).item() == -2 * 1.5 + 3 * 2 - 0.25
    assert model.formula(("area", "age -1")) == "y = -1.5 area + 2 age -1 - 0.25"
    assert model.formula(("area", "age"), mean=300.0, std=-100.0) == "y = 150 area - 200 age + 325"


def test_numbers_are_no_classes() -> None:
    require_classes(MOONS, "mine")
    with pytest.raises(
        MisfitError, match="model 'mine' predicts classes, and the targets of data 'houses' are numbers"
    ):
        require_classes(HOUSES, "mine")
