"""What several models share: activation functions by name, and the refusal of other data than a model takes."""

from typing import Literal

from torch import nn

from dlcourse.errors import ConfigError, MisfitError
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
            f"model '{model}' reads numbers, and data '{spec.name}' has tokens; write model=lstm or model=transformer"
        )


def require_images(spec: DataSpec, model: str) -> None:
    """Raise MisfitError unless inputs are images and targets are classes or numbers."""
    if not spec.is_image or spec.target not in ("class", "value"):
        raise MisfitError(
            f"model '{model}' needs images with classes or numbers, and data '{spec.name}' has examples of shape "
            f"{spec.input_shape}",
            needs="images",
            otherwise="model=transformer" if spec.is_tokens else "model=mlp",
        )
