"""One image file to a tensor of a given size, and an error of one line for a file that is damaged."""

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from dlcourse.errors import DataError, first_line

_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF")  # of its many others, Pillow hands PostScript to a program
_REDUCING_GAP = 2.0  # a JPEG may be decoded at this multiple of the size that is needed


@dataclass(frozen=True)
class Decoder:
    """Reads a file as uint8 `(3, size, size)`, or `(1, size, size)` if not `rgb`; raises DataError.

    `crop` scales the shorter side to `size` and takes the middle, `squash` scales both sides. Photographs are turned
    upright as their camera noted; what is transparent becomes white; of an animation the first picture counts.
    """

    size: int
    resize: Literal["crop", "squash"]
    rgb: bool

    def __call__(self, path: Path) -> Tensor:
        with _opened(path) as file:
            file.draft(None, (round(_REDUCING_GAP * self.size),) * 2)
            image = _opaque(ImageOps.exif_transpose(file)).convert("RGB" if self.rgb else "L")
            box = _middle(image.size) if self.resize == "crop" else None
            resized = image.resize((self.size,) * 2, Image.Resampling.BILINEAR, box, _REDUCING_GAP)
            pixels = torch.from_numpy(np.array(resized))  # (size, size, 3) or (size, size)
        return pixels.permute(2, 0, 1).contiguous() if self.rgb else pixels.unsqueeze(0)


def read_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels, from the file's header alone; raises DataError."""
    with _opened(path) as file:
        return file.size


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The file as an image that is not decoded yet; whatever is wrong with it, also later, becomes a DataError."""
    try:
        if not path.is_file():
            raise DataError(f"{path} is not a regular file; remove it")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks about metadata, and pictures of 90 to 180 megapixels
            with Image.open(path, formats=_FORMATS) as file:
                yield file
    except DataError:
        raise
    except Exception as error:  # what Pillow raises for damaged files goes from OSError to SyntaxError
        raise DataError(
            f"{path} cannot be read as an image ({_reason(error)}); remove it, or write data.unreadable=skip"
        ) from None


def _reason(error: Exception) -> str:
    if type(error).__name__ == "UnidentifiedImageError":
        return "it has no known format"
    return first_line(error)


def _opaque(image: Image.Image) -> Image.Image:
    """The same picture without transparency and with 8 bits per channel."""
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    if not image.has_transparency_data:
        return image
    colored = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), colored)


def _middle(size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The largest square in the middle: left, top, right, bottom."""
    width, height = size
    side = min(size)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side
