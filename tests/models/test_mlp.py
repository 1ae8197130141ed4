"""The multilayer perceptron: its layers, and that it computes its formula."""

import numpy as np
import pytest
import torch

from dlcourse.errors import ConfigError
from dlcourse.models.mlp import MLP
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


def test_tokens_are_refused() -> None:
    with pytest.raises(ConfigError, match="model 'mlp' reads numbers, and data 'words' has tokens; write model=lstm"):
        MLP(WORDS)
