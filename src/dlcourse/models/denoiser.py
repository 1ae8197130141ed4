"""The denoiser of a diffusion model: which noise is in a noisy example, given the time and, if asked for, the class.

B is the batch size, E the width of the embedding of time and class, K the number of classes.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from dlcourse.config.options import Count
from dlcourse.errors import ConfigError, MisfitError
from dlcourse.models.unet import UNet
from dlcourse.spec import DataSpec

_FREQUENCIES = 32
_LONGEST_PERIOD = 10_000.0


class Denoiser(nn.Module):
    """The noise epsilon in `x_t`, predicted by an MLP for points and a small U-Net for images (Ho 2020).

    A conditional one is also told the class, or that there is none, which classifier-free guidance needs (Ho 2022).
    `hidden` are the units of the MLP's layers, `channels` the feature maps of the U-Net's levels.
    """

    def __init__(
        self,
        spec: DataSpec,
        arch: Literal["auto", "mlp", "unet"] = "auto",
        hidden: tuple[Count, ...] = (128, 128, 128),
        channels: tuple[Count, ...] = (32, 64),
        conditional: bool = False,
    ) -> None:
        super().__init__()
        _require_images_or_points(spec)
        arch = ("unet" if spec.is_image else "mlp") if arch == "auto" else arch
        if arch == "unet" and not spec.is_image:
            raise ConfigError(f"model.arch=unet needs images, and data '{spec.name}' has points; write model.arch=mlp")
        if not (channels if arch == "unet" else hidden):
            raise ConfigError(f"model.{'channels' if arch == 'unet' else 'hidden'} must name at least one layer")
        if conditional and not spec.class_names:
            raise ConfigError(
                f"model 'diffusion' with model.conditional=true needs classes, and data '{spec.name}' has none; "
                "write model.conditional=false"
            )
        embedding = 4 * channels[0] if arch == "unet" else hidden[0]
        self.time = nn.Sequential(nn.Linear(2 * _FREQUENCIES, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.num_classes = len(spec.class_names)
        self.label = nn.Embedding(self.num_classes + 1, embedding) if conditional else None
        self.network: nn.Module
        if arch == "unet":
            self.network = UNet(spec.input_shape, channels, embedding)
        else:
            self.network = _SteeredMLP(spec.num_features, hidden, embedding)

    @property
    def is_conditional(self) -> bool:
        """Whether the class makes a difference."""
        return self.label is not None

    def forward(self, noisy: Tensor, times: Tensor | None = None, labels: Tensor | None = None) -> Tensor:
        """Noise `(B, *input_shape)` in examples of that shape at times `(B,)`, from 0 on, of classes `(B,)` int64.

        Without times they are 0; class K, and labels that are left out, stand for no class.
        """
        if times is None:
            times = torch.zeros(len(noisy), device=noisy.device)
        embedding = self.time(sinusoids(times))  # (B,) -> (B, E)
        if self.label is not None:
            if labels is None:
                labels = torch.full((len(noisy),), self.num_classes, device=noisy.device)
            embedding = embedding + self.label(labels)
        return self.network(noisy, functional.silu(embedding))


class _SteeredMLP(nn.Module):
    """An MLP on the flattened input; the embedding shifts the units of every hidden layer."""

    def __init__(self, num_features: int, hidden: tuple[int, ...], embedding: int) -> None:
        super().__init__()
        widths = (num_features, *hidden)
        self.layers = nn.ModuleList([nn.Linear(*pair) for pair in zip(widths, hidden, strict=False)])
        self.shifts = nn.ModuleList([nn.Linear(embedding, units) for units in hidden])
        self.out = nn.Linear(hidden[-1], num_features)

    def forward(self, inputs: Tensor, embedding: Tensor) -> Tensor:
        units = inputs.flatten(1)  # (B, ...) -> (B, features)
        for layer, shift in zip(self.layers, self.shifts, strict=True):
            units = functional.silu(layer(units) + shift(embedding))
        outputs: Tensor = self.out(units)
        return outputs.view_as(inputs)


def sinusoids(times: Tensor) -> Tensor:
    """Sines and cosines of times at frequencies from 1 down to 1 / 10,000 (Vaswani 2017): `(B,) -> (B, 64)`."""
    exponents = torch.arange(_FREQUENCIES, device=times.device) / _FREQUENCIES
    angles = times[:, None].float() * torch.exp(-math.log(_LONGEST_PERIOD) * exponents)  # (B, frequencies)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _require_images_or_points(spec: DataSpec) -> None:
    if not (spec.is_image or spec.is_points):
        what = "tokens" if spec.is_tokens else f"examples of shape {spec.input_shape}"
        raise MisfitError(
            f"model 'diffusion' generates images or points in the plane, and data '{spec.name}' has {what}",
            needs="images or points",
        )
