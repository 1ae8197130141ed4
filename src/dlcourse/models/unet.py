"""A small U-Net from images and an embedding to images of the same shape, made to be quick without a GPU.

B is the batch size, C channels, H and W the height and width of a feature map, E the width of the embedding.
"""

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

_GROUPS = 8
_HEADS = 4
_LARGE = 24  # pixels: from this side on, the first feature map has half the side of the image


class UNet(nn.Module):
    """U-Net (Ronneberger 2015) with residual blocks that an embedding steers, as in diffusion models (Ho 2020).

    `channels` are those of each level, the side halved from one to the next. If images are large, squares of 2 x 2
    pixels become channels first, so that the costly level at full size is left out. Other sides are padded inside.
    """

    def __init__(self, shape: tuple[int, ...], channels: tuple[int, ...], embedding: int) -> None:
        super().__init__()
        colors, height, width = shape
        patch = 2 if min(height, width) >= _LARGE else 1
        self._multiple = patch * 2 ** (len(channels) - 1)
        self.unshuffle = nn.PixelUnshuffle(patch)
        self.stem = nn.Conv2d(colors * patch**2, channels[0], 3, padding=1)
        pairs = list(itertools.pairwise(channels))
        self.down = nn.ModuleList([ResidualBlock(wide, wide, embedding) for wide in channels[:-1]])
        self.shrink = nn.ModuleList([nn.Conv2d(wide, deep, 3, stride=2, padding=1) for wide, deep in pairs])
        lowest = channels[-1]
        self.enter = ResidualBlock(lowest, lowest, embedding)
        self.attention = SelfAttention(lowest)
        self.leave = ResidualBlock(lowest, lowest, embedding)
        self.grow = nn.ModuleList([nn.Conv2d(deep, wide, 3, padding=1) for wide, deep in reversed(pairs)])
        self.up = nn.ModuleList([ResidualBlock(2 * wide, wide, embedding) for wide, _ in reversed(pairs)])
        self.norm = _norm(channels[0])
        self.out = nn.Conv2d(channels[0], colors * patch**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(patch)
        _start_at_zero(self.out)

    def forward(self, images: Tensor, embedding: Tensor) -> Tensor:
        """`(B, colors, H, W)` and `(B, E)` to `(B, colors, H, W)`."""
        height, width = images.shape[-2:]
        padding = (0, -width % self._multiple, 0, -height % self._multiple)
        maps = self.stem(self.unshuffle(functional.pad(images, padding)))  # (B, C, H / patch, W / patch)
        kept = []
        for block, shrink in zip(self.down, self.shrink, strict=True):
            maps = block(maps, embedding)
            kept.append(maps)
            maps = shrink(maps)  # (B, C, H, W) -> (B, C', H / 2, W / 2)
        maps = self.leave(self.attention(self.enter(maps, embedding)), embedding)
        for grow, block in zip(self.grow, self.up, strict=True):
            maps = grow(functional.interpolate(maps, scale_factor=2.0))  # (B, C', H / 2, W / 2) -> (B, C, H, W)
            maps = block(torch.cat([maps, kept.pop()], dim=1), embedding)
        outputs: Tensor = self.shuffle(self.out(functional.silu(self.norm(maps))))
        return outputs[..., :height, :width]


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut; the embedding shifts each channel between them. It starts as the shortcut."""

    def __init__(self, in_channels: int, out_channels: int, embedding: int) -> None:
        super().__init__()
        self.norm1 = _norm(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.shift = nn.Linear(embedding, out_channels)
        self.norm2 = _norm(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.shortcut = nn.Identity() if in_channels == out_channels else nn.Conv2d(in_channels, out_channels, 1)
        _start_at_zero(self.conv2)

    def forward(self, maps: Tensor, embedding: Tensor) -> Tensor:
        inner = self.conv1(functional.silu(self.norm1(maps)))
        inner = inner + self.shift(embedding)[:, :, None, None]  # (B, E) -> (B, C, 1, 1)
        inner = self.conv2(functional.silu(self.norm2(inner)))
        return self.shortcut(maps) + inner


class SelfAttention(nn.Module):
    """Attention from every place of a feature map to every other, beside a shortcut. It starts as the shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self._heads = math.gcd(_HEADS, channels)
        self.norm = _norm(channels)
        self.query_key_value = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        _start_at_zero(self.out)

    def forward(self, maps: Tensor) -> Tensor:
        batch, channels, height, width = maps.shape
        parts = self.query_key_value(self.norm(maps)).reshape(batch, 3, self._heads, -1, height * width)
        query, key, value = parts.transpose(3, 4).unbind(1)  # each (B, heads, H W, C / heads)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return maps + self.out(mixed.transpose(2, 3).reshape(batch, channels, height, width))


def _norm(channels: int) -> nn.GroupNorm:
    """Of two channels or more to a group: one alone would lose the embedding's shift, which moves all of a channel."""
    return nn.GroupNorm(min(math.gcd(_GROUPS, channels), max(1, channels // 2)), channels)


def _start_at_zero(layer: nn.Conv2d) -> None:
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
