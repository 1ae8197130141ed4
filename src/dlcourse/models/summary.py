"""The table of a model's layers: output shape and parameters of each, found by running one example through."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dlcourse.text_table import aligned


@dataclass(frozen=True)
class Layer:
    """A layer without layers inside: its dotted name, kind, output shape of one example, and parameters."""

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int


def summarize(model: nn.Module, example: Tensor) -> list[Layer]:
    """The layers in the order in which an example `(1, *input_shape)` passes through them."""
    layers: list[Layer] = []
    hooks = [
        module.register_forward_hook(_recorder(name, layers))
        for name, module in model.named_modules()
        if not any(module.children())
    ]
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            model(example)
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    return layers


def _recorder(name: str, layers: list[Layer]):  # type: ignore[no-untyped-def]
    def record(module: nn.Module, inputs: object, output: Tensor | tuple[Tensor, ...]) -> None:
        if any(layer.name == name for layer in layers):  # a layer that is run at every step is listed once
            return
        output = output if isinstance(output, Tensor) else output[0]
        layers.append(Layer(name, type(module).__name__, tuple(output.shape[1:]), count_parameters(module)))

    return record


def count_parameters(model: nn.Module) -> int:
    """The numbers that training finds, those that are frozen included; shared ones count once."""
    return sum(parameter.numel() for parameter in model.parameters())


def table(layers: list[Layer]) -> list[str]:
    """The layers that compute or change something, a line each."""
    shown = [layer for layer in layers if layer.parameters or "Pool" in layer.kind]
    rows = [
        (layer.kind, "x".join(map(str, layer.shape)), f"{layer.parameters:,}" if layer.parameters else "")
        for layer in shown
    ]
    return aligned(rows)
