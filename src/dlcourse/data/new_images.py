"""New pictures for a finished run: files of any size and color, as the pixels that its model reads."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from dlcourse.data.image_decoding import opened, shrunk, upright
from dlcourse.data.image_folder import SUFFIXES
from dlcourse.data.transforms import WHITE
from dlcourse.errors import ConfigError, DataError

MAX_PIXELS = 100_000_000
"""Of a picture, whose decoded pixels must fit in memory."""

_REMEDY = "save it as PNG or JPEG"
_ANIMATED = ("GIF", "PNG", "WEBP")  # of a photograph, JPEG may hold a second picture for its preview


@dataclass(frozen=True)
class PictureReader:
    """Reads a file as float32 pixels `(channels, height, width)` in [0, 1]; raises DataError.

    `shape` is that of the model's input. `crop` scales the picture until it fills the shape and takes the middle,
    `squash` scales both sides.
    """

    shape: tuple[int, int, int]
    resize: Literal["crop", "squash"] = "crop"

    def __post_init__(self) -> None:
        if self.shape[0] not in (1, 3):
            raise ConfigError(f"this run reads images of {self.shape[0]} channels; predict has gray and color pictures")

    def __call__(self, path: Path) -> Tensor:
        channels, height, width = self.shape
        with open_picture(path) as file:
            return shrunk(file, (height, width), self.resize, rgb=channels == 3).float() / WHITE


@contextlib.contextmanager
def open_picture(path: Path) -> Iterator[Image.Image]:
    """The file as an image that is not decoded yet; raises DataError for one that is too large, animated or damaged."""
    with opened(path, _REMEDY) as file:
        width, height = file.size
        if width * height > MAX_PIXELS:
            raise DataError(
                f"{path} has {width:,} x {height:,} pixels, more than {MAX_PIXELS // 1_000_000} million; scale it down"
            )
        if file.format in _ANIMATED and getattr(file, "is_animated", False):
            raise DataError(f"{path} is animated; save the one picture that is meant as PNG")
        yield file


def thumbnail(path: Path, side: int) -> Tensor:
    """The picture as it is, `(3, side, side)` in [0, 1], in the middle of a white square."""
    with open_picture(path) as file:
        file.draft(None, (side, side))
        picture = upright(file).convert("RGB")
        scale = side / max(picture.size)
        width, height = (max(1, round(extent * scale)) for extent in picture.size)
        square = Image.new("RGB", (side, side), "white")
        square.paste(picture.resize((width, height)), ((side - width) // 2, (side - height) // 2))
    return torch.from_numpy(np.array(square)).permute(2, 0, 1).float() / WHITE


def picture_files(path: Path) -> list[Path]:
    """The file itself, or the pictures in a folder, sorted by name; raises DataError if it has none."""
    if not path.is_dir():
        return [path]
    try:
        entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise DataError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    files = [entry for entry in entries if entry.suffix.lower() in SUFFIXES and not entry.is_dir()]
    if not files:
        raise DataError(f"{path} has no pictures; expected files that end in {', '.join(SUFFIXES)}")
    return files
