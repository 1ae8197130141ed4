"""Rows of small images under each other, each row with its own size of image, its name and what it shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlcourse.plots.picture import finite_images, house_style, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_GAP = 0.08  # between images, in their width
_TITLE, _CAPTION, _BELOW = 0.29, 0.19, 0.1  # inches: over a row, for its captions, and under it


@dataclass(frozen=True, eq=False)
class ImageRow:
    """Images `(n, channels, height, width)`, gray or RGB in [0, 1], with a title over them and a caption below each.

    `signed` images have one channel of any numbers: red above zero, blue below.
    """

    title: str
    images: ArrayLike
    captions: Sequence[str] = ()
    signed: bool = False


@dataclass(frozen=True, eq=False)
class ImageRows:
    """Rows of images; all of them are drawn equally wide, as in the row that has most."""

    rows: Sequence[ImageRow]
    title: str = ""
    size: float = 0.86
    """The width of an image in inches."""

    @house_style()
    def draw(self) -> "Figure":
        most = max(len(np.asarray(row.images)) for row in self.rows)
        heights = [_height(row, self.size) for row in self.rows]
        figure = new_figure(
            self.size * most * (1 + _GAP) + 0.3, self.size * sum(heights) + 0.3 + 0.3 * bool(self.title)
        )
        axes = figure.subplots()
        axes.axis("off")
        top = 0.0
        for row, height in zip(self.rows, heights, strict=True):
            _draw_row(axes, row, top + _TITLE / self.size)
            top += height
        axes.set(xlim=(0, most * (1 + _GAP) - _GAP), ylim=(top, 0), aspect="equal")
        if self.title:
            figure.suptitle(self.title, x=0.01, ha="left")
        return figure


def _height(row: ImageRow, size: float) -> float:
    """Of a row with its words, in widths of an image, which is `size` inches."""
    height, width = np.asarray(row.images).shape[2:]
    return height / width + (_TITLE + _CAPTION * bool(row.captions) + _BELOW) / size


def _draw_row(axes: Any, row: ImageRow, top: float) -> None:
    """The images from `top` on downwards, and the title over them."""
    images = np.asarray(row.images)
    pixels, coloring = _signed(images) if row.signed else _plain(images)
    aspect = images.shape[2] / images.shape[3]
    axes.text(0, top - 0.05, row.title, ha="left", va="bottom", fontsize=11)
    for place, image in enumerate(pixels):
        left, upper = place * (1 + _GAP), top
        axes.imshow(image, extent=(left, left + 1, upper + aspect, upper), interpolation="nearest", **coloring)
        if row.captions:
            axes.text(left + 0.5, upper + aspect + 0.03, row.captions[place], ha="center", va="top", fontsize=9)


def _plain(images: NDArray[Any]) -> tuple[NDArray[Any], dict[str, Any]]:
    images, _ = finite_images(images, "")
    pixels = images.transpose(0, 2, 3, 1)  # (n, C, H, W) -> (n, H, W, C)
    return (pixels[..., 0] if pixels.shape[-1] == 1 else pixels), {"cmap": "gray", "vmin": 0, "vmax": 1}


def _signed(images: NDArray[Any]) -> tuple[NDArray[Any], dict[str, Any]]:
    limit = float(np.abs(images).max()) or 1.0
    return images.mean(axis=1), {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
