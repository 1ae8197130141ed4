"""Small networks as a list of plain operations, which a page computes in JavaScript and `apply` in torch.

B is a batch size, C channels, D the numbers of one example, K the number of classes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dlcourse.errors import ConfigError
from dlcourse.models.cnn import CNN
from dlcourse.models.feature_map import FeatureMap
from dlcourse.models.features import Polynomial, Standardize
from dlcourse.models.linear import LinearRegression, LogisticRegression, SoftmaxRegression
from dlcourse.models.mlp import MLP
from dlcourse.models.principal_components import PrincipalComponents
from dlcourse.models.random_features import RandomFeatures
from dlcourse.spec import DataSpec
from dlcourse.tasks.class_losses import nearest_probabilities
from dlcourse.tasks.classification import Classification


@dataclass(frozen=True)
class Op:
    """One operation: its name, its settings and its float32 tensors."""

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)


def operations(task: Classification) -> list[Op]:
    """From raw inputs `(B, ...)` to probabilities `(B, K)`; raises ConfigError for a layer that is not in the table."""
    return [*_normalized(task.spec), *_translated(task.model), Op(_ending(task))]


def _normalized(spec: DataSpec) -> list[Op]:
    if not spec.is_image:
        return []
    return [_standardized(torch.tensor(spec.pixel_mean), torch.tensor(spec.pixel_std))]


def _standardized(mean: Tensor, std: Tensor) -> Op:
    """`(x - mean) / std` for each channel or feature."""
    return Op("standardize", tensors={"mean": mean, "std": std})


def _ending(task: Classification) -> str:
    if task.outputs_are_logits:
        return "sigmoid_pair" if task.is_binary else "softmax"
    return "clamp_pair" if task.is_binary else "nearest_probabilities"


def _translated(module: nn.Module) -> list[Op]:
    translate = _TABLE.get(type(module))
    if translate is None:
        raise ConfigError(
            f"the playground cannot run a layer {type(module).__name__}; it takes model=softmax, logreg, mlp and cnn, "
            "for others write --to onnx"
        )
    return translate(module)


def _chain(*modules: nn.Module) -> list[Op]:
    return [op for module in modules for op in _translated(module)]


def _linear(layer: nn.Linear) -> list[Op]:
    return [_affine_map(layer.weight, layer.bias)]


def _affine_map(weight: Tensor, bias: Tensor | None) -> Op:
    return Op("linear", tensors={"weight": weight, "bias": weight.new_zeros(len(weight)) if bias is None else bias})


def _convolution(layer: nn.Conv2d) -> list[Op]:
    bias = layer.weight.new_zeros(layer.out_channels) if layer.bias is None else layer.bias
    settings = {"padding": int(layer.padding[0]), "stride": int(layer.stride[0])}
    return [Op("convolution", settings, {"weight": layer.weight, "bias": bias})]


def _batch_norm(layer: nn.BatchNorm1d | nn.BatchNorm2d) -> list[Op]:
    """In evaluation mode: a factor and a shift for each channel."""
    assert layer.running_mean is not None and layer.running_var is not None
    factor = layer.weight.double() / (layer.running_var.double() + layer.eps).sqrt()
    shift = layer.bias.double() - layer.running_mean.double() * factor
    return [Op("affine", tensors={"factor": factor.float(), "shift": shift.float()})]


def _layer_norm(layer: nn.LayerNorm) -> list[Op]:
    return [Op("layer_norm", {"eps": layer.eps}, {"weight": layer.weight, "bias": layer.bias})]


def _pooling(layer: nn.MaxPool2d | nn.AvgPool2d) -> list[Op]:
    return [Op("max_pool" if isinstance(layer, nn.MaxPool2d) else "average_pool", {"size": int(layer.kernel_size)})]  # type: ignore[arg-type]


def _features(features: FeatureMap) -> list[Op]:
    """A map of the raw features, and their standardization, which changes nothing if they are not standardized."""
    return [*_EXPANDED[type(features)](features), _standardized(features.mean, features.std)]


def _polynomial(features: Polynomial) -> list[Op]:
    return [Op("polynomial", {"orders": [[table.tolist() for table in order] for order in features.products()]})]


def _random(features: RandomFeatures) -> list[Op]:
    wave = "relu" if features.kind == "relu" else "cos"
    scaled = Op("affine", tensors={"factor": features.bias.new_tensor([features.factor]), "shift": torch.zeros(1)})
    return [_affine_map(features.weight, features.bias), Op(wave), scaled]


def _components(features: PrincipalComponents) -> list[Op]:
    centered = _standardized(features.center, torch.ones_like(features.center))
    return [Op("flatten"), centered, _affine_map(features.components, None)]


_EXPANDED: dict[type[FeatureMap], Callable[[Any], list[Op]]] = {
    Standardize: lambda _: [],
    Polynomial: _polynomial,
    RandomFeatures: _random,
    PrincipalComponents: _components,
}

_TABLE: dict[type[nn.Module], Callable[[Any], list[Op]]] = {
    nn.Sequential: lambda layer: _chain(*layer),
    MLP: lambda model: _chain(model.layers),
    CNN: lambda model: _chain(model.blocks, model.head),
    **dict.fromkeys((LinearRegression, LogisticRegression, SoftmaxRegression), lambda model: _chain(model.linear)),
    nn.Linear: _linear,
    nn.Conv2d: _convolution,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.LayerNorm: _layer_norm,
    nn.MaxPool2d: _pooling,
    nn.AvgPool2d: _pooling,
    nn.Flatten: lambda _: [Op("flatten")],
    nn.Dropout: lambda _: [],
    nn.Identity: lambda _: [],
    nn.ReLU: lambda _: [Op("relu")],
    nn.LeakyReLU: lambda layer: [Op("leaky_relu", {"slope": layer.negative_slope})],
    nn.ELU: lambda _: [Op("elu")],
    nn.GELU: lambda _: [Op("gelu")],
    nn.SiLU: lambda _: [Op("silu")],
    nn.Tanh: lambda _: [Op("tanh")],
    nn.Sigmoid: lambda _: [Op("sigmoid")],
    **dict.fromkeys(_EXPANDED, _features),
}


def apply(ops: list[Op], inputs: Tensor) -> Tensor:
    """What the operations make of raw inputs, `(B, ...) -> (B, K)`, as network.js does."""
    for op in ops:
        inputs = _COMPUTED[op.name](op, inputs)
    return inputs


def _along_channels(tensor: Tensor, inputs: Tensor) -> Tensor:
    """`(C,)` as it is added to `(B, C, ...)`."""
    return tensor.view(-1, *[1] * (inputs.ndim - 2))


def _pair(second: Tensor) -> Tensor:
    return torch.cat([1 - second, second], dim=1)


def _multiplied(op: Op, inputs: Tensor) -> Tensor:
    orders = [inputs]
    for parents, lasts in op.settings["orders"]:
        orders.append(orders[-1][:, parents] * inputs[:, lasts])
    return torch.cat(orders, dim=1)


_COMPUTED: dict[str, Callable[[Op, Tensor], Tensor]] = {
    "standardize": lambda op, x: (x - _along_channels(op.tensors["mean"], x)) / _along_channels(op.tensors["std"], x),
    "affine": lambda op, x: x * _along_channels(op.tensors["factor"], x) + _along_channels(op.tensors["shift"], x),
    "linear": lambda op, x: functional.linear(x.flatten(1), op.tensors["weight"], op.tensors["bias"]),
    "convolution": lambda op, x: functional.conv2d(x, op.tensors["weight"], op.tensors["bias"], **op.settings),
    "layer_norm": lambda op, x: functional.layer_norm(x, x.shape[1:], **op.tensors, eps=op.settings["eps"]),
    "max_pool": lambda op, x: functional.max_pool2d(x, op.settings["size"]),
    "average_pool": lambda op, x: functional.avg_pool2d(x, op.settings["size"]),
    "polynomial": _multiplied,
    "flatten": lambda _, x: x.flatten(1),
    "relu": lambda _, x: x.relu(),
    "leaky_relu": lambda op, x: functional.leaky_relu(x, op.settings["slope"]),
    "elu": lambda _, x: functional.elu(x),
    "gelu": lambda _, x: functional.gelu(x),
    "silu": lambda _, x: functional.silu(x),
    "tanh": lambda _, x: x.tanh(),
    "sigmoid": lambda _, x: x.sigmoid(),
    "cos": lambda _, x: x.cos(),
    "softmax": lambda _, x: x.softmax(1),
    "sigmoid_pair": lambda _, x: _pair(x.sigmoid()),
    "clamp_pair": lambda _, x: _pair(x.clamp(0, 1)),
    "nearest_probabilities": lambda _, x: nearest_probabilities(x),
}
"""Each operation in torch; network.js has the same names."""
