"""The generative adversarial network: a generator of examples from noise, and a discriminator that tells them from real.

B is the batch size, L the numbers of noise, C channels, H and W the height and width of an image, F features, K classes.
"""

from collections.abc import Callable
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from dlcourse.config.options import Count
from dlcourse.errors import ConfigError, MisfitError
from dlcourse.spec import DataSpec

_LARGEST_START = 7  # pixels; images are halved until they have no longer side
_MOST_TIMES_WIDER = 8
_SLOPE = 0.2
_STRETCH = 4.0  # of points for the discriminator: a network is slow to see what is small beside 1

M = TypeVar("M", bound=nn.Module)
Norm = Literal["none", "spectral"]


class GAN(nn.Module):
    """Generator and discriminator (Goodfellow 2014) for images and for points in the plane.

    `mlp` is fully connected with `hidden` units in both; `conv` halves and doubles images by strided convolutions, in
    the manner of DCGAN (Radford 2016), with `channels` at half the size and twice as many at each size below. `auto` takes
    `mlp` for points and `conv` for images. A conditional GAN is told the class: the generator by an embedding beside the
    noise (Mirza 2014), the discriminator by projection (Miyato 2018).
    """

    def __init__(
        self,
        spec: DataSpec,
        arch: Literal["auto", "mlp", "conv"] = "auto",
        latent: Count = 64,
        hidden: tuple[Count, ...] = (128, 128, 128),
        channels: Count = 32,
        norm: Norm = "none",
        conditional: bool = False,
    ) -> None:
        super().__init__()
        _check(spec, arch, conditional)
        self.latent = latent
        self.num_classes = spec.num_outputs if conditional else 0
        is_conv = arch == "conv" or (arch == "auto" and spec.is_image)
        code = 2 * latent if conditional else latent  # noise, and as many numbers for the class
        body = _upsampling(spec, code, channels) if is_conv else _mlp_generator(spec, code, hidden)
        self.generator = Generator(spec, body, latent, self.num_classes)
        wrap: Callable[[nn.Module], nn.Module] = spectral_norm if norm == "spectral" else _unchanged
        features, width = _downsampling(spec, channels, wrap) if is_conv else _mlp_features(spec, hidden, wrap)
        self.discriminator = Discriminator(spec, features, wrap(nn.Linear(width, 1)), width, self.num_classes)

    @property
    def is_conditional(self) -> bool:
        """Whether both networks are told the class."""
        return self.num_classes > 0

    def noise(self, count: int) -> Tensor:
        """What a generator starts from: standard normal numbers `(count, L)`, on the model's device."""
        return torch.randn(count, self.latent, device=next(self.parameters()).device)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """As many generated examples, `(B, ...)`, and the logits `(B,)` of the inputs; of class 0, if conditional."""
        labels = torch.zeros(len(inputs), dtype=torch.int64, device=inputs.device) if self.is_conditional else None
        generated: Tensor = self.generator(self.noise(len(inputs)), labels)
        logits: Tensor = self.discriminator(inputs, labels)
        return generated, logits


class Generator(nn.Module):
    """From noise `(B, L)`, and classes `(B,)` if it is conditional, to examples normalized as the data set's are.

    Images come out of a tanh, whose -1 is black and 1 is white.
    """

    def __init__(self, spec: DataSpec, body: nn.Module, latent: int, num_classes: int) -> None:
        super().__init__()
        self._spec = spec
        self.embedding = nn.Embedding(num_classes, latent) if num_classes else None
        self.body = body

    def forward(self, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        if self.embedding is not None:
            noise = torch.cat([noise, self.embedding(labels)], dim=1)  # (B, L) -> (B, 2 L)
        made: Tensor = self.body(noise).float()
        return self._spec.from_pixels((made + 1) / 2) if self._spec.is_image else made


class Discriminator(nn.Module):
    """From examples to logits `(B,)`: positive for real, negative for generated; scores without bounds to a critic's loss.

    Conditional ones add the product of the features with an embedding of the class (Miyato 2018).
    """

    def __init__(self, spec: DataSpec, features: nn.Module, head: nn.Module, width: int, num_classes: int) -> None:
        super().__init__()
        self._spec = spec
        self.features = features
        self.head = head
        self.embedding = nn.Embedding(num_classes, width) if num_classes else None
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, std=width**-0.5)

    def forward(self, inputs: Tensor, labels: Tensor | None = None) -> Tensor:
        inputs = 2 * self._spec.to_pixels(inputs) - 1 if self._spec.is_image else _STRETCH * inputs
        features = self.features(inputs)  # (B, F)
        logits: Tensor = self.head(features)[:, 0]
        if self.embedding is not None:
            logits = logits + (features * self.embedding(labels)).sum(1)
        return logits


def _check(spec: DataSpec, arch: str, conditional: bool) -> None:
    if not (spec.is_image or spec.is_points) or spec.target not in ("class", "value"):
        what = "tokens" if spec.is_tokens else f"examples of shape {spec.input_shape}"
        raise MisfitError(
            f"model 'gan' generates images or points in the plane, and data '{spec.name}' has {what}",
            needs="images or points",
        )
    if conditional and spec.target != "class":
        raise ConfigError(
            f"model 'gan' with model.conditional=true needs classes, and data '{spec.name}' has numbers for targets; "
            "write model.conditional=false"
        )
    if arch == "conv" and not spec.is_image:
        raise ConfigError(
            f"model 'gan' with model.arch=conv needs images, and an example of data '{spec.name}' has shape "
            f"{spec.input_shape}; write model.arch=mlp"
        )


def _mlp_generator(spec: DataSpec, code: int, hidden: tuple[int, ...]) -> nn.Module:
    """Affine layers with ReLU between, `(B, code) -> (B, *input_shape)`."""
    layers: list[nn.Module] = []
    width = code
    for units in hidden:
        layers += [nn.Linear(width, units), nn.ReLU()]
        width = units
    layers.append(nn.Linear(width, spec.num_features))
    if spec.is_image:
        layers += [nn.Tanh(), nn.Unflatten(1, spec.input_shape)]
    return nn.Sequential(*layers)


def _mlp_features(
    spec: DataSpec, hidden: tuple[int, ...], wrap: Callable[[nn.Module], nn.Module]
) -> tuple[nn.Module, int]:
    """Affine layers with leaky ReLU after each, `(B, *input_shape) -> (B, F)`, and F."""
    layers: list[nn.Module] = [nn.Flatten()]
    width = spec.num_features
    for units in hidden:
        layers += [wrap(nn.Linear(width, units)), nn.LeakyReLU(_SLOPE)]
        width = units
    return nn.Sequential(*layers), width


def _sizes(spec: DataSpec) -> list[tuple[int, int]]:
    """Height and width of an image and of its halves, quarters, ..., rounded up."""
    _, height, width = spec.input_shape
    sizes = [(height, width)]
    while len(sizes) == 1 or max(sizes[-1]) > _LARGEST_START:
        height, width = -(-height // 2), -(-width // 2)
        sizes.append((height, width))
    return sizes


def _widths(channels: int, levels: int) -> list[int]:
    return [channels * min(2**level, _MOST_TIMES_WIDER) for level in range(levels)]


def _upsampling(spec: DataSpec, code: int, channels: int) -> nn.Module:
    """An affine layer to the smallest maps, and transposed convolutions that double them, `(B, code) -> (B, C, H, W)`.

    If doubling overshoots an odd size, the last row or column is cut off. Batch norm comes before each ReLU.
    """
    sizes = _sizes(spec)
    widths = _widths(channels, len(sizes) - 1)
    height, width = sizes[-1]
    layers: list[nn.Module] = [
        nn.Linear(code, widths[-1] * height * width, bias=False),
        nn.Unflatten(1, (widths[-1], height, width)),
    ]
    outs = [spec.input_shape[0], *widths]
    for level in range(len(widths), 0, -1):
        odd = [2 * small - large for small, large in zip(sizes[level], sizes[level - 1], strict=True)]
        layers += [nn.BatchNorm2d(outs[level]), nn.ReLU()]
        layers.append(
            nn.ConvTranspose2d(outs[level], outs[level - 1], 4, 2, 1, bias=level == 1)
        )  # (B, C, h, w) -> (B, C', 2 h, 2 w)
        if any(odd):
            layers.append(nn.ZeroPad2d((0, -odd[1], 0, -odd[0])))
    return nn.Sequential(*layers, nn.Tanh())


def _downsampling(spec: DataSpec, channels: int, wrap: Callable[[nn.Module], nn.Module]) -> tuple[nn.Module, int]:
    """Strided convolutions that halve the maps, leaky ReLU after each, `(B, C, H, W) -> (B, F)`, and F.

    There is no batch norm, which would make one example's score depend on the others and void a gradient penalty.
    """
    sizes = _sizes(spec)
    layers: list[nn.Module] = []
    in_channels = spec.input_shape[0]
    for out_channels, size in zip(_widths(channels, len(sizes) - 1), sizes, strict=False):
        odd = (size[0] % 2, size[1] % 2)
        if any(odd):
            layers.append(nn.ZeroPad2d((0, odd[1], 0, odd[0])))
        layers += [wrap(nn.Conv2d(in_channels, out_channels, 4, 2, 1)), nn.LeakyReLU(_SLOPE)]
        in_channels = out_channels
    height, width = sizes[-1]
    return nn.Sequential(*layers, nn.Flatten()), in_channels * height * width


def _unchanged(module: M) -> M:
    return module
