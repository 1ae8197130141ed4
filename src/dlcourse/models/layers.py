"""What several models share: activation functions by name, and the refusal of tokens."""

from typing import Literal

from torch import nn

from dlcourse.errors import ConfigError
from dlcourse.spec import DataSpec

Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid", "identity"]

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "identity": nn.Identity,
}


def activation_layer(name: Activation) -> nn.Module:
    """A new layer of the named activation function."""
    return _ACTIVATIONS[name]()


def require_numbers(spec: DataSpec, model: str) -> None:
    """Raise ConfigError unless inputs are numbers and targets are classes or numbers."""
    if spec.is_tokens or spec.target in ("next", "sequence"):
        raise ConfigError(
            f"model '{model}' reads numbers, and data '{spec.name}' has tokens; use model=lstm or model=transformer"
        )
