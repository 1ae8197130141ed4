"""Image transforms on whole batches: resizing once, normalizing and augmenting each time a batch is drawn.

Images are channels-first. B is the batch size, C the channels (1 gray, 3 red-green-blue). Pixel values stay within
[0, 255], as uint8 or as float32, until normalization.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional

from dlcourse.config.options import NonNegative, NonNegativeInt, Range
from dlcourse.device import sent

WHITE = 255.0
LUMA = (0.2989, 0.587, 0.114)  # ITU-R BT.601 weights of red, green and blue, rounded as torchvision has them

_RESIZE_CHUNK = 1024


@dataclass(frozen=True)
class Augment:
    """Random changes to training images, drawn anew for each image and applied in the order of the options.

    `crop` is a random crop of the original size after that many pixels of black on each side, `flip` mirrors left and
    right with probability 1/2, `rotation` is the largest angle in degrees either way. `brightness`, `contrast` and
    `saturation` v scale by a factor in [max(0, 1 - v), 1 + v]; `hue` turns the color circle by at most that share. `cutout`
    is the side in pixels of a square around a random pixel that gets the mean color (DeVries 2017, arXiv:1708.04552).
    """

    crop: NonNegativeInt = 0
    flip: bool = False
    rotation: Annotated[float, Range(ge=0, le=180)] = 0.0
    brightness: NonNegative = 0.0
    contrast: NonNegative = 0.0
    saturation: NonNegative = 0.0
    hue: Annotated[float, Range(ge=0, le=0.5)] = 0.0
    cutout: NonNegativeInt = 0

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Float32 images in [0, 255] from uint8 ones; a pure function of the images and the (CPU) generator's state.

        All but the cutout, for which the mean color must be known: see ImageTransform.
        """
        count = len(images)

        def uniform(low: float, high: float) -> Tensor:
            return sent(torch.empty(count).uniform_(low, high, generator=generator), images.device)

        def factors(strength: float) -> Tensor:
            return uniform(max(0.0, 1 - strength), 1 + strength)

        if self.crop:
            top, left = sent(torch.randint(2 * self.crop + 1, (2, count), generator=generator), images.device)
            images = crop_images(images, top, left, self.crop)
        if self.flip:
            images = flip_images(images, uniform(0, 1) < 0.5)
        images = images.float()
        if self.rotation:
            images = rotate_images(images, uniform(-self.rotation, self.rotation))
        if self.brightness:
            images = adjust_brightness(images, factors(self.brightness))
        if self.contrast:
            images = adjust_contrast(images, factors(self.contrast))
        if self.saturation:
            images = adjust_saturation(images, factors(self.saturation))
        if self.hue:
            images = adjust_hue(images, uniform(-self.hue, self.hue))
        return images


@dataclass(frozen=True)
class ImageTransform:
    """From stored uint8 images to a model's inputs: augmented on request, normalized, and gray repeated if `rgb`.

    Normalization is `pixel * scale + shift` per channel, both `(C, 1, 1)`.
    """

    scale: Tensor
    shift: Tensor
    rgb: bool = False
    augment: Augment = field(default_factory=Augment)

    @classmethod
    def fit(cls, train_inputs: Tensor, *, rgb: bool = False, augment: Augment | None = None) -> "ImageTransform":
        """Normalization to mean 0 and standard deviation 1 of the training images `(N, C, H, W)`.

        A channel of one value everywhere becomes 0: its deviation is taken as one gray level.
        """
        # Counting gray levels gives exact moments in about a nanosecond per pixel, without a float copy. A sample would
        # not do: every sixth image of MNIST is 6 % darker than the rest.
        counts = torch.stack([torch.bincount(channel.reshape(-1), minlength=256) for channel in train_inputs.unbind(1)])
        share = counts.double() / counts.sum(1, keepdim=True)  # (C, 256)
        levels = torch.arange(256, dtype=torch.float64)
        mean = share @ levels
        std = (share @ levels.square() - mean.square()).clamp(min=1).sqrt()
        scale, shift = 1 / std, -mean / std
        return cls(scale.float().view(-1, 1, 1), shift.float().view(-1, 1, 1), rgb, augment or Augment())

    @property
    def augments(self) -> bool:
        """Whether a generator makes any difference."""
        return any(getattr(self.augment, option.name) for option in dataclasses.fields(Augment))

    @property
    def moments(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each output channel, in units of white."""
        std = 1 / (self.scale.flatten() * WHITE)
        mean = -self.shift.flatten() * std
        repeats = 3 if self.rgb else 1
        return tuple(mean.tolist()) * repeats, tuple(std.tolist()) * repeats

    def to(self, device: torch.device) -> "ImageTransform":
        return dataclasses.replace(self, scale=self.scale.to(device), shift=self.shift.to(device))

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape `(C', H, W)` that an image of `(C, H, W)` comes out with."""
        return (3, *shape[1:]) if self.rgb else shape

    def __call__(self, inputs: Tensor, generator: torch.Generator | None) -> Tensor:
        """Float32 `(B, C', H, W)` from uint8 `(B, C, H, W)`; augmented if a generator on the CPU is given.

        The three channels of a repeated gray image share memory.
        """
        assert inputs.dtype == torch.uint8, inputs.dtype
        images = self.augment(inputs, generator) if generator is not None else inputs.float()
        images.mul_(self.scale).add_(self.shift)
        if generator is not None and self.augment.cutout:
            height, width = images.shape[2:]
            y, x = (torch.randint(side, (len(images),), generator=generator) for side in (height, width))
            cut_out(images, sent(y, images.device), sent(x, images.device), self.augment.cutout)
        return images.expand(-1, 3, -1, -1) if self.rgb else images


def resize_images(images: Tensor, side: int) -> Tensor:
    """Uint8 images `(N, C, side, side)`, bilinear and antialiased, from `(N, C, H, W)`.

    The work is done in chunks, so that beyond the result little memory is needed.
    """
    resized = images.new_empty(*images.shape[:2], side, side)
    for start in range(0, len(images), _RESIZE_CHUNK):
        chunk = images[start : start + _RESIZE_CHUNK]
        resized[start : start + _RESIZE_CHUNK] = functional.interpolate(
            chunk, size=(side, side), mode="bilinear", antialias=True
        )
    return resized


def crop_images(images: Tensor, top: Tensor, left: Tensor, padding: int) -> Tensor:
    """Windows of the original size from images with `padding` black pixels around, at `top` and `left` `(B,)`.

    Offsets count from the padded corner: `padding` in both gives the image back.
    """
    height, width = images.shape[2:]
    padded = functional.pad(images, (padding,) * 4)
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # (B, C, tops, lefts, H, W), a view
    return windows[torch.arange(len(images), device=images.device), :, top, left]


def flip_images(images: Tensor, which: Tensor) -> Tensor:
    """The images mirrored left to right if `which` `(B,)` is true."""
    return torch.where(_per_image(which), images.flip(3), images)


def cut_out(images: Tensor, y: Tensor, x: Tensor, side: int) -> Tensor:
    """The same normalized images with zeros in a square of `side` pixels around pixel `y`, `x` `(B,)`, cut at the edges."""
    height, width = images.shape[2:]
    rows = torch.arange(height, device=images.device) - (y - side // 2)[:, None]  # (B, H), from the square's upper edge
    columns = torch.arange(width, device=images.device) - (x - side // 2)[:, None]  # (B, W)
    is_row, is_column = (rows >= 0) & (rows < side), (columns >= 0) & (columns < side)
    return images.masked_fill_((is_row[:, :, None] & is_column[:, None, :])[:, None], 0)


def rotate_images(images: Tensor, degrees: Tensor) -> Tensor:
    """Float images turned counter-clockwise about their center by `degrees` `(B,)`: bilinear, black outside."""
    height, width = images.shape[2:]
    angle = degrees.deg2rad().view(-1, 1, 1)
    cos, sin = angle.cos(), angle.sin()
    y = torch.linspace(0.5 - height / 2, height / 2 - 0.5, height, device=images.device).view(-1, 1)
    x = torch.linspace(0.5 - width / 2, width / 2 - 0.5, width, device=images.device)
    # Where in the image each pixel comes from, in units that run from -1 to 1 between the outer edges.
    grid = images.new_empty(len(images), height, width, 2)
    grid[..., 0] = (x * cos - y * sin).mul_(2 / width)
    grid[..., 1] = (x * sin + y * cos).mul_(2 / height)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def adjust_brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Float images times `factors` `(B,)`, cut at white."""
    return (images * _per_image(factors)).clamp_(max=WHITE)


def adjust_contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Float images moved away from (factor > 1) or towards their own mean gray; `factors` is `(B,)`."""
    means = images.mean((2, 3), keepdim=True)  # (B, C, 1, 1)
    return _blend(gray_images(means), images, factors)


def adjust_saturation(images: Tensor, factors: Tensor) -> Tensor:
    """Float images moved away from (factor > 1) or towards gray of equal luma; gray images stay as they are."""
    return _blend(gray_images(images), images, factors) if images.shape[1] == 3 else images


def adjust_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Float images with hue turned by `turns` `(B,)` of the color circle; gray images stay as they are.

    Hue, saturation and value as in A. R. Smith, Color gamut transform pairs (1978), without cases: for green >= blue its
    three formulas for the hue are one, and otherwise the same with green and blue exchanged and the sign turned.
    """
    if images.shape[1] != 3:
        return images
    red, green, blue = images.chunk(3, dim=1)
    value, lowest = images.amax(1, keepdim=True), images.amin(1, keepdim=True)
    chroma = value - lowest
    sixths = (green + blue - red - lowest).div_(chroma.clamp(min=1e-6)).add_(1)
    hue = sixths.copysign_(green - blue).div_(6).add_(_per_image(turns))  # (B, 1, H, W), in turns, red at 0
    # A channel is lowest within a sixth of a turn of its complement, and highest from a third on.
    complement = sent(torch.tensor([1 / 2, 5 / 6, 1 / 6]), images.device).view(3, 1, 1)
    away = hue - complement  # (B, 3, H, W)
    away = away.sub_(away.round()).abs_()
    return value - away.mul_(-6).add_(2).clamp_(0, 1).mul_(chroma)


def gray_images(images: Tensor) -> Tensor:
    """The luma `(B, 1, H, W)` of float images; gray images as they are."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images.chunk(3, dim=1)
    return (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])


def _blend(background: Tensor, images: Tensor, factors: Tensor) -> Tensor:
    weights = _per_image(factors)
    return (images * weights).add_(background * (1 - weights)).clamp_(0, WHITE)


def _per_image(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)
