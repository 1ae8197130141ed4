"""The multilayer perceptron: affine layers with an activation between them.

B is the batch size, D the number of features of one example, H the units of a hidden layer.
"""

from typing import Literal

from torch import Tensor, nn

from dlcourse.config.options import Count, Fraction
from dlcourse.models.layers import Activation, activation_layer, require_numbers
from dlcourse.spec import DataSpec


class MLP(nn.Module):
    """Multilayer perceptron on the flattened input, for classes or numbers.

    Each hidden layer is affine, norm (if any), activation, dropout. Without hidden layers it is a linear model.
    """

    def __init__(
        self,
        spec: DataSpec,
        hidden: tuple[Count, ...] = (256, 128),
        activation: Activation = "relu",
        norm: Literal["none", "batch", "layer"] = "none",
        dropout: Fraction = 0.0,
    ) -> None:
        super().__init__()
        require_numbers(spec, "mlp")
        layers: list[nn.Module] = [nn.Flatten()]  # (B, ...) -> (B, D)
        width = spec.num_features
        for units in hidden:
            layers.append(nn.Linear(width, units))  # (B, D or H) -> (B, H)
            if norm == "batch":
                layers.append(nn.BatchNorm1d(units))
            elif norm == "layer":
                layers.append(nn.LayerNorm(units))
            # One layer with or without dropout, on which the names of tensors must not depend.
            layers.append(nn.Sequential(activation_layer(activation), nn.Dropout(dropout)))
            width = units
        layers.append(nn.Linear(width, spec.num_outputs))
        self.layers = nn.Sequential(*layers)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layers(inputs)
