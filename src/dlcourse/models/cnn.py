"""The convolutional network: blocks of convolution and pooling, then a fully connected head.

B is the batch size, C channels, H and W the height and width of an image or feature map.
"""

from typing import Annotated, Literal

from torch import Tensor, nn

from dlcourse.config.options import Count, Fraction, Range
from dlcourse.errors import ConfigError, MisfitError
from dlcourse.models.layers import Activation, activation_layer, require_images
from dlcourse.spec import DataSpec

OddSize = Annotated[int, Range(ge=1, le=31)]


class CNN(nn.Module):
    """Convolutional network for images, for classes or numbers.

    Each block is a convolution that keeps the size, norm (if any), activation, and pooling by its factor in `pool`; if
    `pool` is shorter than `channels`, its last factor is repeated. The head is fully connected, with dropout before each
    of its layers.
    """

    def __init__(
        self,
        spec: DataSpec,
        channels: tuple[Count, ...] = (32, 64, 128),
        kernel: OddSize = 3,
        pool: tuple[Count, ...] = (2,),
        pooling: Literal["max", "average"] = "max",
        norm: Literal["none", "batch"] = "batch",
        activation: Activation = "relu",
        head: tuple[Count, ...] = (128,),
        dropout: Fraction = 0.25,
    ) -> None:
        super().__init__()
        require_images(spec, "cnn")
        if not channels or not pool:
            raise ConfigError("model.channels and model.pool must each name at least one layer")
        if kernel % 2 == 0:
            raise ConfigError(f"model.kernel must be odd so that a convolution keeps the size, got {kernel}")
        in_channels, height, width = spec.input_shape
        pooled = 1  # pixels of a side that become one
        blocks: list[nn.Module] = []
        for layer, out_channels in enumerate(channels):
            factor = pool[min(layer, len(pool) - 1)]
            bias = norm == "none"  # a batch norm subtracts it again
            blocks.append(nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=bias))  # (B, C, H, W)
            if norm == "batch":
                blocks.append(nn.BatchNorm2d(out_channels))
            blocks.append(activation_layer(activation))
            blocks.append(_pool(pooling, factor))
            in_channels, pooled = out_channels, pooled * factor
        height, width = height // pooled, width // pooled
        if height < 1 or width < 1:
            raise MisfitError(
                f"model 'cnn' pools until nothing is left of the {spec.input_shape[1]}x{spec.input_shape[2]} images of "
                f"data '{spec.name}'",
                needs="pixels",
                otherwise="model.pool=[1], fewer model.channels",
                side=pooled,
            )
        self.blocks = nn.Sequential(*blocks)
        self.head = _head(in_channels * height * width, head, spec.num_outputs, activation, dropout)

    def forward(self, inputs: Tensor) -> Tensor:
        maps = self.blocks(inputs)  # (B, C, H, W)
        return self.head(maps)


# Layers without tensors are there even if they change nothing: the names of the others must not depend on them.


def _pool(pooling: Literal["max", "average"], factor: int) -> nn.Module:
    if factor == 1:
        return nn.Identity()
    return (nn.MaxPool2d if pooling == "max" else nn.AvgPool2d)(factor)


def _head(width: int, hidden: tuple[int, ...], num_outputs: int, activation: Activation, dropout: float) -> nn.Module:
    layers: list[nn.Module] = [nn.Flatten()]
    for units in hidden:
        layers += [nn.Dropout(dropout), nn.Linear(width, units), activation_layer(activation)]
        width = units
    return nn.Sequential(*layers, nn.Dropout(dropout), nn.Linear(width, num_outputs))
