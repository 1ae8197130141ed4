"""Autoencoders, plain and variational: a network from an example to a few numbers, its code, and one back.

B is the batch size, D the numbers of one example, L those of its code, H units of a hidden layer, C channels, h and w the
height and width of feature maps.
"""

from abc import ABC, abstractmethod
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from dlcourse.config.options import Count
from dlcourse.errors import ConfigError, MisfitError
from dlcourse.spec import DataSpec

Arch = Literal["mlp", "conv"]


class LatentModel(nn.Module, ABC):
    """Abstract: a model with codes, for images with pixels in [0, 1] and for tables with numbers of mean 0 and deviation 1.

    What the numbers of a table were before stands in `center` and `scale` `(D,)`, which the task fits to the training set
    and which are kept with the weights. `decoder` is `(B, L) -> (B, *input_shape)`.
    """

    decoder: nn.Sequential
    center: Tensor
    scale: Tensor

    def __init__(self, spec: DataSpec, name: str, arch: Arch, latent: int) -> None:
        super().__init__()
        _require_examples(spec, name, arch)
        self.arch = arch
        self.latent = latent
        if not spec.is_image:
            self.register_buffer("center", torch.zeros(spec.num_features))
            self.register_buffer("scale", torch.ones(spec.num_features))

    def decode(self, codes: Tensor) -> Tensor:
        """What the decoder makes of codes, `(B, L) -> (B, *input_shape)`."""
        return self.decoder(codes)

    @abstractmethod
    def represent(self, inputs: Tensor) -> Tensor:
        """The one code `(B, L)` that stands for an input."""


class Autoencoder(LatentModel):
    """Autoencoder: a narrow layer in the middle that everything has to go through (Hinton 2006).

    `mlp` has `hidden` layers and the same ones in reverse, with ReLU. `conv` halves the image once for each number in
    `channels` (3x3, stride 2), and doubles it again. A reconstruction of an image ends in a sigmoid.
    """

    def __init__(
        self,
        spec: DataSpec,
        arch: Arch = "mlp",
        hidden: tuple[Count, ...] = (400,),
        channels: tuple[Count, ...] = (32, 64),
        latent: Count = 20,
    ) -> None:
        super().__init__(spec, "autoencoder", arch, latent)
        encoder, width, decoder = _layers(spec, arch, hidden, channels, latent)
        self.encoder = nn.Sequential(*encoder, nn.Linear(width, latent))
        self.decoder = nn.Sequential(*decoder, *([nn.Sigmoid()] if spec.is_image else []))

    def encode(self, inputs: Tensor) -> Tensor:
        """The codes `(B, L)`."""
        return self.encoder(inputs)

    def represent(self, inputs: Tensor) -> Tensor:
        return self.encode(inputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """The reconstruction, as large as the inputs."""
        return self.decode(self.encode(inputs))


class VAE(LatentModel):
    """Variational autoencoder: a code is a draw from a normal distribution that the encoder gives (Kingma 2014).

    With the defaults its layers are those of pytorch/examples: 784-400, then 20 means and 20 log variances, 20-400-784.
    `arch`, `hidden` and `channels` are the autoencoder's. What the output means is the task's: a logit for each pixel,
    or the mean of a normal distribution, whose `variance` is kept with the weights.
    """

    variance: Tensor

    def __init__(
        self,
        spec: DataSpec,
        arch: Arch = "mlp",
        hidden: tuple[Count, ...] = (400,),
        channels: tuple[Count, ...] = (32, 64),
        latent: Count = 20,
    ) -> None:
        super().__init__(spec, "vae", arch, latent)
        encoder, width, decoder = _layers(spec, arch, hidden, channels, latent)
        self.encoder = nn.Sequential(*encoder)
        self.mean = nn.Linear(width, latent)
        self.log_variance = nn.Linear(width, latent)
        self.decoder = nn.Sequential(*decoder)
        self.register_buffer("variance", torch.ones(()))

    def encode(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance `(B, L)` of each input's code."""
        features = self.encoder(inputs)  # (B, H)
        return self.mean(features), self.log_variance(features)

    def represent(self, inputs: Tensor) -> Tensor:
        return self.encode(inputs)[0]

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The decoder's output `(B, *input_shape)` for a code drawn at random, and that code's mean and log variance.

        Draws the codes in evaluation mode too: the bound that is trained and measured is one on such draws.
        """
        mean, log_variance = self.encode(inputs)
        return self.decode(draw(mean, log_variance)), mean, log_variance


def draw(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Normal numbers through which gradients reach mean and log variance: the reparametrization (Kingma 2014)."""
    return torch.addcmul(mean, torch.exp(0.5 * log_variance), torch.randn_like(mean))


def _require_examples(spec: DataSpec, name: str, arch: Arch) -> None:
    if spec.is_tokens or spec.environment or len(spec.input_shape) not in (1, 3) or spec.num_features < 2:
        other = "tokens" if spec.is_tokens else spec.target_kind.words if spec.environment else ""
        kind = other or f"examples of shape {spec.input_shape}"
        raise MisfitError(
            f"model '{name}' needs images, or tables of two numbers or more, and data '{spec.name}' has {kind}",
            needs="images or points",
        )
    if arch == "conv" and not spec.is_image:
        raise ConfigError(
            f"model '{name}' with model.arch=conv needs images, and an example of data '{spec.name}' has shape "
            f"{spec.input_shape}; write model.arch=mlp"
        )


def _layers(
    spec: DataSpec, arch: Arch, hidden: tuple[int, ...], channels: tuple[int, ...], latent: int
) -> tuple[list[nn.Module], int, list[nn.Module]]:
    """The encoder before its last layer, the features that come out of it, and the decoder."""
    return _dense_layers(spec, hidden, latent) if arch == "mlp" else _conv_layers(spec, channels, latent)


def _dense_layers(spec: DataSpec, hidden: tuple[int, ...], latent: int) -> tuple[list[nn.Module], int, list[nn.Module]]:
    widths = [spec.num_features, *hidden]
    encoder: list[nn.Module] = [nn.Flatten()]  # (B, *input_shape) -> (B, D)
    for before, after in pairwise(widths):
        encoder += [nn.Linear(before, after), nn.ReLU()]  # (B, D or H) -> (B, H)
    back = [latent, *reversed(hidden)]
    decoder: list[nn.Module] = []
    for before, after in pairwise(back):
        decoder += [nn.Linear(before, after), nn.ReLU()]  # (B, L or H) -> (B, H)
    decoder.append(nn.Linear(back[-1], spec.num_features))
    if spec.is_image:
        decoder.append(nn.Unflatten(1, spec.input_shape))  # (B, D) -> (B, *input_shape)
    return encoder, widths[-1], decoder


def _conv_layers(
    spec: DataSpec, channels: tuple[int, ...], latent: int
) -> tuple[list[nn.Module], int, list[nn.Module]]:
    if not channels:
        raise ConfigError("model.channels must name at least one layer")
    first, height, width = spec.input_shape
    maps = [first, *channels]
    sizes = [(height, width)]
    encoder: list[nn.Module] = []
    for before, after in pairwise(maps):
        encoder += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.ReLU()]  # (B, C, h, w) -> (B, C', h/2, w/2)
        height, width = -(-height // 2), -(-width // 2)
        sizes.append((height, width))
    features = channels[-1] * height * width
    decoder: list[nn.Module] = [nn.Linear(latent, features), nn.ReLU(), nn.Unflatten(1, (channels[-1], height, width))]
    for layer in reversed(range(len(channels))):
        # An even side came from twice as many pixels, an odd one from one less.
        extra = (1 - sizes[layer][0] % 2, 1 - sizes[layer][1] % 2)
        decoder.append(nn.ConvTranspose2d(maps[layer + 1], maps[layer], 3, 2, padding=1, output_padding=extra))
        if layer:
            decoder.append(nn.ReLU())
    return [*encoder, nn.Flatten()], features, decoder
