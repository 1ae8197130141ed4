"""Residual networks for small images: the deep, thin ones of the paper, and a shallow, wide one that trains fast.

B is the batch size, C channels, H and W the height and width of feature maps, K the number of outputs.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from dlcourse.config.options import Count
from dlcourse.errors import MisfitError
from dlcourse.models.layers import require_images
from dlcourse.spec import DataSpec

Depth = Literal[20, 32, 44, 56, 110]

_FAST_SCALE = 0.125
_FAST_SMALLEST = 8  # pixels: three poolings by two


class ResNet(nn.Module):
    """Residual network for images of CIFAR's size, for classes or numbers (He 2016, section 4.2).

    A convolution, three stages of `(depth - 2) / 6` blocks with `width`, twice and four times that many channels, the mean
    of each channel and one affine layer. Shortcuts have no parameters (option A), so that `skip=false`, the plain network
    of the same depth, has just as many. Weights start normal (He 2015).
    """

    def __init__(self, spec: DataSpec, depth: Depth = 20, skip: bool = True, width: Count = 16) -> None:
        super().__init__()
        require_images(spec, "resnet")
        self.stem = nn.Sequential(_conv(spec.input_shape[0], width), nn.BatchNorm2d(width), nn.ReLU())
        blocks: list[nn.Module] = []
        before = width
        for stage in range(3):
            for number in range((depth - 2) // 6):
                stride = 2 if stage > 0 and number == 0 else 1
                blocks.append(_Block(before, width * 2**stage, stride, skip))
                before = width * 2**stage
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())  # (B, C, H, W) -> (B, C)
        self.head = nn.Linear(before, spec.num_outputs)
        _start_normal(self)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.pool(self.blocks(self.stem(inputs))))  # (B, K)


class _Block(nn.Module):
    """Two convolutions with batch norm, and the input added before the last ReLU.

    If the convolutions halve the maps, every second pixel of the input is added, with channels of zeros around.
    """

    def __init__(self, before: int, after: int, stride: int, skip: bool) -> None:
        super().__init__()
        self.conv1 = _conv(before, after, stride)
        self.norm1 = nn.BatchNorm2d(after)
        self.relu1 = nn.ReLU()
        self.conv2 = _conv(after, after)
        self.norm2 = nn.BatchNorm2d(after)
        self.relu2 = nn.ReLU()
        self._stride = stride
        self._missing = after - before
        self._skip = skip

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(inputs)))))
        if self._skip:
            outputs = outputs + self._shortcut(inputs)
        return self.relu2(outputs)  # (B, C', H / stride, W / stride)

    def _shortcut(self, inputs: Tensor) -> Tensor:
        if self._stride == 1:
            return inputs
        low = self._missing // 2
        thinned = inputs[:, :, :: self._stride, :: self._stride]
        return functional.pad(thinned, (0, 0, 0, 0, low, self._missing - low))


class ResNet9(nn.Module):
    """Nine layers, wide and with two residual blocks, for classes or numbers (Page 2018, "How to train your ResNet").

    Convolutions to 64, 128, 256 and 512 channels, pooling by 2 after all but the first, and a block of two convolutions
    after the second and the fourth. The head takes each channel's maximum; its outputs are multiplied by 1/8. Weights
    start as PyTorch's do, which is what was published.
    """

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        require_images(spec, "resnet9")
        if min(spec.input_shape[1:]) < _FAST_SMALLEST:
            raise MisfitError(
                f"model 'resnet9' needs images of {_FAST_SMALLEST}x{_FAST_SMALLEST} pixels or more, and data '{spec.name}' "
                f"has {spec.input_shape[1]}x{spec.input_shape[2]}",
                needs="pixels",
                otherwise="model=cnn",
                side=32,
            )
        self.layers = nn.Sequential(
            _conv_norm_relu(spec.input_shape[0], 64),  # (B, 64, H, W)
            *(_conv_norm_relu(64, 128), nn.MaxPool2d(2), _Residual(128)),  # (B, 128, H/2, W/2)
            *(_conv_norm_relu(128, 256), nn.MaxPool2d(2)),  # (B, 256, H/4, W/4)
            *(_conv_norm_relu(256, 512), nn.MaxPool2d(2), _Residual(512)),  # (B, 512, H/8, W/8)
        )
        self.head = nn.Linear(512, spec.num_outputs, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.head(self.layers(inputs).amax((2, 3)))  # (B, 512, H, W) -> (B, K)
        return outputs * _FAST_SCALE


class _Residual(nn.Module):
    """Two convolutions whose result is added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(_conv_norm_relu(channels, channels), _conv_norm_relu(channels, channels))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs + self.convolutions(inputs)


def _conv(before: int, after: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)  # (B, C, H, W) -> (B, C', H', W')


def _conv_norm_relu(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(_conv(before, after), nn.BatchNorm2d(after), nn.ReLU())


def _start_normal(model: nn.Module) -> None:
    """Normal weights of variance 2 / inputs, biases of zero (He 2015)."""
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                with torch.no_grad():
                    module.bias.zero_()
