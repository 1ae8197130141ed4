"""One image file to a tensor of a given size, and an error of one line for a file that is damaged."""

import contextlib
import importlib
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
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1")
_LEAVE_OUT = "remove it, or write data.unreadable=skip"
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
        with opened(path, _LEAVE_OUT) as file:
            return shrunk(file, (self.size, self.size), self.resize, rgb=self.rgb)


def shrunk(file: Image.Image, size: tuple[int, int], resize: Literal["crop", "squash"], *, rgb: bool) -> Tensor:
    """An image that is not decoded yet as uint8 `(3, height, width)`, or `(1, height, width)` if not `rgb`."""
    height, width = size
    file.draft(None, (round(_REDUCING_GAP * max(size)),) * 2)
    image = upright(file).convert("RGB" if rgb else "L")
    box = _middle(image.size, width / height) if resize == "crop" else None
    resized = image.resize((width, height), Image.Resampling.BILINEAR, box, _REDUCING_GAP)
    pixels = torch.from_numpy(np.array(resized))  # (height, width, 3) or (height, width)
    return pixels.permute(2, 0, 1).contiguous() if rgb else pixels.unsqueeze(0)


def upright(file: Image.Image) -> Image.Image:
    """The picture as it is meant to be seen: turned as its camera noted, on white, with 8 bits per channel."""
    return _opaque(ImageOps.exif_transpose(file))


def read_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels, from the file's header alone; raises DataError."""
    with opened(path, _LEAVE_OUT) as file:
        return file.size


@contextlib.contextmanager
def opened(path: Path, remedy: str) -> Iterator[Image.Image]:
    """The file as an image that is not decoded yet; whatever is wrong with it, also later, becomes a DataError.

    `remedy` is what to do about a file that cannot be read.
    """
    try:
        if not path.is_file():
            raise DataError(f"{path} is not a regular file; remove it")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks about metadata, and pictures of 90 to 180 megapixels
            with Image.open(path, formats=(*_FORMATS, *_heif(path))) as file:
                yield file
    except DataError:
        raise
    except Exception as error:  # what Pillow raises for damaged files goes from OSError to SyntaxError
        raise DataError(f"{path} cannot be read as an image ({_reason(error)}); {remedy}") from None


def _heif(path: Path) -> tuple[str, ...]:
    """The format of a telephone's HEIC photo, for which Pillow needs another package; none for other files.

    Raises DataError if that package is missing.
    """
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] != b"ftyp" or head[8:12] not in _HEIC_BRANDS:
        return ()
    try:
        importlib.import_module("pillow_heif").register_heif_opener()
    except ImportError:
        raise DataError(
            f"{path} is a HEIC photo; to read those: pip install pillow-heif, or save it as PNG or JPEG"
        ) from None
    return ("HEIF",)


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


def _middle(size: tuple[int, int], aspect: float) -> tuple[float, float, float, float]:
    """The largest part in the middle whose width is `aspect` times its height: left, top, right, bottom."""
    width, height = min(size[0], size[1] * aspect), min(size[1], size[0] / aspect)
    left, top = (size[0] - width) / 2, (size[1] - height) / 2
    return left, top, left + width, top + height
