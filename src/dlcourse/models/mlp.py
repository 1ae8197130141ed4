"""The multilayer perceptron: affine layers with an activation between them.

B is the batch size, D the number of features of one example, H the units of a hidden layer.
"""

from typing import Literal

from torch import Tensor, nn

from dlcourse.config.options import Count, Fraction
from dlcourse.errors import ConfigError
from dlcourse.models.feature_map import parts
from dlcourse.models.layers import Activation, activation_layer, require_numbers
from dlcourse.spec import DataSpec


class MLP(nn.Module):
    """Multilayer perceptron on the flattened input, for classes or numbers.

    Each hidden layer is affine, norm (if any), activation, dropout. Without hidden layers it is a linear model. Without
    `bias` no affine layer adds one. `one_logit` has one output for two classes, that of the second, instead of two.
    `output=sigmoid` puts all outputs between 0 and 1, which task.loss=mse takes for probabilities.
    """

    def __init__(
        self,
        spec: DataSpec,
        hidden: tuple[Count, ...] = (256, 128),
        activation: Activation = "relu",
        norm: Literal["none", "batch", "layer"] = "none",
        dropout: Fraction = 0.0,
        bias: bool = True,
        output: Literal["identity", "sigmoid"] = "identity",
        one_logit: bool = False,
    ) -> None:
        super().__init__()
        require_numbers(spec, "mlp")
        if one_logit and (spec.target, spec.num_outputs) != ("class", 2):
            raise ConfigError(
                f"model.one_logit=true is for two classes, and data '{spec.name}' has {spec.target_kind.described(spec)}; "
                "write model.one_logit=false"
            )
        self.output = output
        layers: list[nn.Module] = [nn.Flatten()]  # (B, ...) -> (B, D)
        width = spec.num_features
        for units in hidden:
            layers.append(nn.Linear(width, units, bias))  # (B, D or H) -> (B, H)
            if norm == "batch":
                layers.append(nn.BatchNorm1d(units))
            elif norm == "layer":
                layers.append(nn.LayerNorm(units))
            # One layer with or without dropout, on which the names of tensors must not depend.
            layers.append(nn.Sequential(activation_layer(activation), nn.Dropout(dropout)))
            width = units
        layers.append(nn.Linear(width, 1 if one_logit else spec.num_outputs, bias))
        if output == "sigmoid":
            layers.append(activation_layer(output))
        self.layers = nn.Sequential(*layers)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layers(inputs)


def has_sigmoid(model: nn.Module) -> bool:
    """Whether it is a perceptron, with a feature map before it or without, whose outputs are between 0 and 1."""
    network = parts(model)[1]
    return isinstance(network, MLP) and network.output == "sigmoid"
