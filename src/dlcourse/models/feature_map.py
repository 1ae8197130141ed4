"""What every feature map in front of a model is: a fixed map of its inputs, fitted once to the training set.

A feature map belongs to the model that stands behind it: it is saved with the weights, and a decision boundary is drawn
in the space of the raw inputs. N is a number of examples, D the number of raw features, P of mapped ones.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from dlcourse.errors import ConfigError
from dlcourse.models.target_scale import moments
from dlcourse.spec import DataSpec


class FeatureMap(nn.Module, ABC):
    """Abstract: a fixed map of inputs `(B, D)` to features `(B, P)`, scaled by what `fit` measures."""

    mean: Tensor
    std: Tensor

    def __init__(self, names: tuple[str, ...], standardize: bool) -> None:
        super().__init__()
        self.names = names
        self.standardize = standardize
        self.register_buffer("mean", torch.zeros(len(names)))
        self.register_buffer("std", torch.ones(len(names)))

    @abstractmethod
    def expand(self, inputs: Tensor) -> Tensor:
        """The unscaled features `(B, P)` of inputs `(B, D)`."""

    def learn(self, inputs: Tensor) -> None:
        """Measure what `expand` needs on the training inputs `(N, D)`; most maps need nothing. Raises ConfigError."""

    def fit(self, inputs: Tensor) -> None:
        """Measure mean and standard deviation of each feature on the training inputs `(N, D)`; raises ConfigError."""
        self.learn(inputs)
        if self.standardize:
            self.mean, self.std = moments(self.expand(inputs))

    def spec(self, spec: DataSpec) -> DataSpec:
        """What the model behind this map sees instead of `spec`."""
        return DataSpec(spec.name, (len(self.names),), spec.num_outputs, spec.target, spec.class_names, self.names)

    def forward(self, inputs: Tensor) -> Tensor:
        """Float32 features, also of inputs that are float64 as float32 would blur them."""
        return ((self.expand(inputs) - self.mean) / self.std).float()


def parts(model: nn.Module) -> tuple[FeatureMap | None, nn.Module]:
    """The feature map in front of a model, if there is one, and the model itself."""
    mapping = getattr(model, "features", None)
    return (mapping, model.get_submodule("model")) if isinstance(mapping, FeatureMap) else (None, model)


def require_table(spec: DataSpec, features: str) -> None:
    """Raise ConfigError unless one example is a plain row of numbers."""
    if len(spec.input_shape) != 1:
        raise ConfigError(
            f"features '{features}' needs rows of numbers, and an example of data '{spec.name}' has shape "
            f"{spec.input_shape}; write features=none"
        )


def require_flat(spec: DataSpec, features: str) -> None:
    """Raise ConfigError unless one example is numbers, of any shape."""
    if spec.is_tokens:
        raise ConfigError(
            f"features '{features}' needs numbers, and an example of data '{spec.name}' is tokens; write features=none"
        )
