"""Glyphs: printed digits in MNIST's format, drawn from the fonts that Matplotlib carries, so that they need no network."""

import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from dlcourse.data import announced
from dlcourse.data.rendered_images import DrawnImages, to_bytes, uniform

SIDE = 28
BOX = 20  # as in MNIST, a digit fills a box of this side in the middle of the image
FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),
    *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic"),
    *("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique", "DejaVuSansMono-BoldOblique"),
    *("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta"),
    *("cmr10", "cmb10", "cmss10", "cmti10", "cmtt10"),
)
FONT_SIZE = 160  # pixels; digits are drawn this large and then made smaller
STROKES = (0, 4)  # pixels added to the outline at that size
DETAIL = 3  # pixels of a template per pixel of an image, in each direction


@dataclass(frozen=True, kw_only=True)
class Glyphs(DrawnImages):
    """28x28 gray images of printed digits, white on black, in 21 fonts, turned, sheared, stretched and shifted.

    The same fonts serve for training and testing; what differs is how the digits are distorted.
    """

    SPECS = (announced.images(1, 28, classes=10),)

    CLASS_NAMES: ClassVar[tuple[str, ...]] = tuple("0123456789")

    def draw(self, classes: Tensor, generator: torch.Generator) -> Tensor:
        count = len(classes)
        templates = _templates()
        styles = torch.randint(templates.shape[1], (count,), generator=generator)
        chosen = templates[classes, styles].unsqueeze(1)  # (B, 1, DETAIL * SIDE, DETAIL * SIDE)
        grid = F.affine_grid(_distortions(count, generator), [count, 1, SIDE, SIDE], align_corners=False)
        images = F.grid_sample(chosen, grid, align_corners=False)  # (B, 1, SIDE, SIDE)
        contrast = uniform(count, 1.0, 1.6, generator).view(-1, 1, 1, 1)
        return to_bytes(images * contrast, 0.03, generator)


def _distortions(count: int, generator: torch.Generator) -> Tensor:
    """Random affine maps `(count, 2, 3)` from places in the image to places in the template, both from -1 to 1."""
    angle = torch.deg2rad(uniform(count, -20, 20, generator))
    shear = uniform(count, -0.25, 0.25, generator)
    width, height = uniform(count, 0.75, 1.1, generator), uniform(count, 0.8, 1.05, generator)
    right, down = uniform(count, -0.15, 0.15, generator), uniform(count, -0.15, 0.15, generator)
    cos, sin = angle.cos(), angle.sin()
    across = torch.stack([cos, sin + shear * cos, right], dim=1) / width.unsqueeze(1)
    along = torch.stack([-sin, cos - shear * sin, down], dim=1) / height.unsqueeze(1)
    return torch.stack([across, along], dim=1)


@functools.cache
def _templates() -> Tensor:
    """Every digit in every style (font and stroke), undistorted, in [0, 1]: `(10, styles, height, width)`.

    They are smoothed to the sharpness that an image of `SIDE` pixels can hold, so that sampling them does not alias.
    """
    styles = [(font, stroke) for font in FONTS for stroke in STROKES]
    drawn = [[_draw_digit(digit, font, stroke) for font, stroke in styles] for digit in Glyphs.CLASS_NAMES]
    templates = torch.from_numpy(np.array(drawn)) / 255
    return F.avg_pool2d(templates, DETAIL, stride=1, padding=DETAIL // 2)


def _font_file(name: str) -> Path:
    """The file of a font that comes with Matplotlib, which is found without importing it."""
    package = importlib.util.find_spec("matplotlib")
    assert package is not None and package.origin is not None
    return Path(package.origin).with_name("mpl-data") / "fonts" / "ttf" / f"{name}.ttf"


def _draw_digit(digit: str, font_name: str, stroke: int) -> NDArray[np.float32]:
    """The digit fitted into the box in the middle of a template, from 0 to 255: `(height, width)`."""
    from PIL import Image, ImageDraw, ImageFont, ImageOps

    font = ImageFont.truetype(_font_file(font_name), FONT_SIZE)
    left, top, right, bottom = font.getbbox(digit, stroke_width=stroke)
    canvas = Image.new("L", (round(right - left), round(bottom - top)))
    ImageDraw.Draw(canvas).text((-left, -top), digit, fill=255, font=font, stroke_width=stroke)
    fitted = ImageOps.contain(canvas, (DETAIL * BOX, DETAIL * BOX), Image.Resampling.BOX)
    template = Image.new("L", (DETAIL * SIDE, DETAIL * SIDE))
    template.paste(fitted, ((template.width - fitted.width) // 2, (template.height - fitted.height) // 2))
    return np.asarray(template, dtype=np.float32)
