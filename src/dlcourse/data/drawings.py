"""Drawings and photographs of handwriting, prepared as the makers of MNIST prepared theirs (LeCun et al. 1998).

H and W are height and width of a picture, S the side of what the model reads. Ink is 1 in the middle of a stroke, 0 on
paper.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from dlcourse.data.image_decoding import upright
from dlcourse.data.new_images import open_picture
from dlcourse.errors import DataError
from dlcourse.spec import DataSpec

Gray = NDArray[np.float64]

THINNEST = 1.8
"""Of strokes, in pixels of what the model reads: pens are finer than those of MNIST."""

_DRAWN_SIDE = 64  # no larger images are taken for drawings
_DARK = 0.5
_BOX = 20 / 28  # of the side: MNIST's digits are fitted into 20 x 20 of 28 x 28 pixels
_OTHER_BOXES = {"digits": 1.0, "emnist": 24 / 28, "fashion_mnist": 1.0}
_FITS = 4
_TINY = 0.02  # of white
_WORKED_ON = 400  # pixels of the longer side: enough for strokes, and quick
_WINDOW = 0.5  # of the shorter side: what is narrower than this window is a stroke, what is wider is light and shadow
_FAINTEST = 0.1  # ink of a stroke, as a share of the paper's brightness
_SPECK = 0.05  # of the ink of the largest part


def is_drawing(spec: DataSpec) -> bool:
    """Whether a run's images are small, gray, and light on dark, as those of MNIST."""
    if not spec.is_image or max(spec.input_shape[1:]) > _DRAWN_SIDE or spec.name == "images":
        return False
    is_gray = len(set(spec.pixel_mean)) == len(set(spec.pixel_std)) == 1  # or one gray channel, repeated
    return is_gray and spec.pixel_mean[0] < _DARK and spec.input_shape[1] == spec.input_shape[2]


@dataclass(frozen=True)
class DrawingReader:
    """Reads a file as pixels `(channels, side, side)` in [0, 1], light strokes on black; raises DataError.

    The strokes are found on paper however it is lit, fitted into a square of `box` times the side with their aspect
    ratio kept, and moved until their center of mass is in the middle. A picture that is `side` wide and high and light
    on dark is taken as it is.
    """

    channels: int
    side: int
    box: float = _BOX

    @classmethod
    def of(cls, spec: DataSpec) -> "DrawingReader":
        """The reader for a run's images."""
        return cls(spec.input_shape[0], spec.input_shape[1], _OTHER_BOXES.get(spec.name, _BOX))

    def __call__(self, path: Path) -> Tensor:
        with open_picture(path) as file:
            is_ready = file.size == (self.side, self.side)
            file.draft("L", (_WORKED_ON, _WORKED_ON))
            picture = upright(file).convert("L")
            scale = min(1.0, _WORKED_ON / max(picture.size))
            picture = picture.resize([max(1, round(extent * scale)) for extent in picture.size])
            gray = np.asarray(picture, np.float64) / 255
        if not is_ready or is_dark_on_light(gray):
            ink = find_ink(gray)
            if ink is None:
                raise DataError(
                    f"{path} has no strokes that stand out from the paper; write --as-is to take it as it is"
                )
            gray = fit(ink, self.side, max(1, round(self.box * self.side)))
        return torch.from_numpy(gray).float().expand(self.channels, -1, -1)


def is_dark_on_light(gray: Gray) -> bool:
    """Whether strokes are darker than the paper, whose brightness at each place follows from the border of `(H, W)`."""
    y, x = np.indices(gray.shape) / max(gray.shape)
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)  # (H, W, 6)
    border = np.ones(gray.shape, bool)
    margin = max(1, min(gray.shape) // 20)
    border[margin:-margin, margin:-margin] = False
    for _ in range(_FITS):
        paper, *_ = np.linalg.lstsq(terms[border], gray[border], rcond=None)
        difference = gray - terms @ paper
        border &= np.abs(difference) <= 2 * np.median(np.abs(difference[border])) + _TINY  # less strokes that reach it
    return float((difference**3).sum()) < 0  # the cube: few pixels that differ much are strokes


def find_ink(gray: Gray) -> Gray | None:
    """The ink `(H, W)` of the strokes in a picture, without specks; None if nothing stands out."""
    first, second = (gray, 1 - gray) if is_dark_on_light(gray) else (1 - gray, gray)
    ink = _dark_ink(first)
    return _dark_ink(second) if ink is None else ink


def _dark_ink(light: Gray) -> Gray | None:
    """The same for strokes that are darker than the paper."""
    from scipy import ndimage

    light = ndimage.median_filter(light, 3) if min(light.shape) > 4 * _DRAWN_SIDE else light
    ink = 1 - light / _paper(light).clip(1e-3)
    noise, strongest = np.median(ink), np.quantile(ink, 0.999)
    if strongest < max(_FAINTEST, 5 * noise):
        return None
    low, high = max(0.2 * strongest, 3 * noise), 0.75 * strongest
    ink = ((ink - low) / (high - low)).clip(0, 1)
    return ink * ndimage.binary_dilation(_without_specks(ink > 0.3, ink), iterations=2)


def _paper(light: Gray) -> Gray:
    """The brightness of the paper `(H, W)` behind dark strokes: a morphological closing.

    At its borders the picture goes on as it rises or falls there, so that a slope stays one.
    """
    from scipy import ndimage

    window = max(3, round(_WINDOW * min(light.shape)))
    padding = min(window, min(light.shape) - 1)
    larger = np.pad(light, padding, mode="reflect", reflect_type="odd").clip(max=light.max())
    closed: Gray = ndimage.grey_closing(larger, size=(window, window))
    return closed[padding : padding + light.shape[0], padding : padding + light.shape[1]]


def _without_specks(strokes: NDArray[np.bool_], ink: Gray) -> NDArray[np.bool_]:
    """Of the connected parts those with some ink; what reaches the border is no stroke if there is something else."""
    from scipy import ndimage

    parts, count = ndimage.label(strokes, structure=np.ones((3, 3)))
    amounts = ndimage.sum_labels(ink, parts, np.arange(1, count + 1))
    edge = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    inner = ~np.isin(np.arange(1, count + 1), edge)
    if (amounts * inner).max() > _SPECK * amounts.max():
        amounts = amounts * inner
    return np.isin(parts, 1 + np.flatnonzero(amounts >= _SPECK * amounts.max()))


def fit(ink: Gray, side: int, box: int) -> Gray:
    """The ink `(H, W)` fitted into a `box` in pixels, its center of mass in the middle of `(side, side)`, its maximum 1."""
    rows, columns = (np.flatnonzero(ink.any(axis)) for axis in (1, 0))
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = box / max(ink.shape)
    ink = _thickened(ink, THINNEST / scale)
    height, width = (min(box, max(1, round(extent * scale))) for extent in ink.shape)
    small = Image.fromarray(ink.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    fitted = np.asarray(small, np.float64).clip(0, 1)
    fitted = fitted / fitted.max()
    seen = np.zeros((side, side))
    mass = fitted.sum()
    top = _offset(float(fitted.sum(1) @ np.arange(height) / mass), height, side)
    left = _offset(float(fitted.sum(0) @ np.arange(width) / mass), width, side)
    seen[top : top + height, left : left + width] = fitted
    return seen


def _thickened(ink: Gray, least: float) -> Gray:
    """The ink with strokes at least so many pixels wide."""
    from scipy import ndimage

    strokes = np.pad(ink > 0.5, 1)
    outline = strokes & ~ndimage.binary_erosion(strokes)
    width = 2 * strokes.sum() / max(1, outline.sum())
    more = int(least - width)
    return ink if more < 1 else ndimage.grey_dilation(np.pad(ink, more), size=(more + 1, more + 1))


def _offset(center: float, extent: int, side: int) -> int:
    """Where something of this extent begins if its center of mass is to be at `side / 2`, as far as it then fits in."""
    return min(max(round(side / 2 - center), 0), side - extent)
