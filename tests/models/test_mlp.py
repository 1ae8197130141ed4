"""The multilayer perceptron: its layers, and that it computes its formula."""

import numpy as np
import pytest
import torch

from dlcourse.errors import ConfigError
from dlcourse.models.mlp import MLP, has_sigmoid
from dlcourse.models.summary import count_parameters
from dlcourse.spec import DataSpec

MNIST = DataSpec("mnist", (1, 28, 28), 10)
WORDS = DataSpec("words", (5,), 2, vocabulary=("a", "b"))


def test_the_six_layer_mlp_of_the_lectures_has_422155_parameters() -> None:
    assert count_parameters(MLP(MNIST, hidden=(265,) * 4)) == 422_155


def test_the_network_is_its_formula() -> None:
    model = MLP(DataSpec("table", (3, 2), 4), hidden=(5, 7), activation="tanh").double()
    (w1, b1), (w2, b2), (w3, b3) = np.array([p.detach().numpy() for p in model.parameters()], dtype=object).reshape(
        3, 2
    )
    inputs = np.random.default_rng(0).normal(size=(10, 3, 2))
    expected = np.tanh(np.tanh(inputs.reshape(10, 6) @ w1.T + b1) @ w2.T + b2) @ w3.T + b3
    torch.testing.assert_close(model(torch.from_numpy(inputs)), torch.from_numpy(expected))


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_a_norm_comes_before_the_activation(norm: str) -> None:
    model = MLP(DataSpec("table", (6,), 2), hidden=(8,), norm=norm, activation="identity")
    hidden = model.layers[:-1](5 + 3 * torch.randn(20, 6))
    means = hidden.mean(0) if norm == "batch" else hidden.mean(1)
    torch.testing.assert_close(means, torch.zeros_like(means), atol=1e-5, rtol=0)
    assert count_parameters(model) == (6 + 1) * 8 + 2 * 8 + (8 + 1) * 2


@pytest.mark.parametrize(
    ("hidden", "weights"),
    [((4,), 12), ((4, 4), 28), ((4, 4, 4), 44), ((4, 4, 4, 4), 60), ((16,), 48), ((64,), 192), ((256,), 768)],
)
def test_deep_and_wide_networks_have_exactly_the_weights_of_the_lectures(hidden: tuple[int, ...], weights: int) -> None:
    """Lecture A16: 2-4-1, 2-4-4-1 and so on, without biases."""
    model = MLP(DataSpec("circles", (2,), 2), hidden=hidden, bias=False, one_logit=True)
    assert count_parameters(model) == weights
    assert model(torch.zeros(5, 2)).tolist() == [[0.0]] * 5


def test_outputs_of_a_sigmoid_are_between_0_and_1() -> None:
    plain, squashed = (MLP(DataSpec("table", (3,), 2), output=output) for output in ("identity", "sigmoid"))
    squashed.load_state_dict(plain.state_dict())
    inputs = 50 * torch.randn(9, 3)
    torch.testing.assert_close(squashed(inputs), plain(inputs).sigmoid())
    assert has_sigmoid(squashed) and not has_sigmoid(plain)


def test_one_logit_is_for_two_classes() -> None:
    with pytest.raises(ConfigError, match=r"model.one_logit=true is for two classes, and data 'mnist' has 10 "):
        MLP(MNIST, one_logit=True)


def test_tokens_are_refused() -> None:
    with pytest.raises(ConfigError, match="model 'mlp' reads numbers, and data 'words' has tokens; write model=lstm"):
        MLP(WORDS)
