"""Several pictures as one: each draws itself, and they stand beside and below each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dlcourse.plots.picture import Picture, house_style, new_figure, to_image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_GAP = 14  # pixels between two pictures


@dataclass(frozen=True, eq=False)
class Collage:
    """Rows of pictures, each picture in its own size, aligned at the top and at the left; a row may hold collages.

    `margin` pixels are left empty below, where a caption may stand.
    """

    rows: Sequence[Sequence[Picture]]
    margin: int = 44

    @house_style()
    def draw(self) -> "Figure":
        assert self.rows and all(self.rows), "no pictures"
        drawn = [[to_image(picture) for picture in row] for row in self.rows]
        widths = [sum(image.shape[1] for image in row) + _GAP * (len(row) - 1) for row in drawn]
        heights = [max(image.shape[0] for image in row) for row in drawn]
        figure = new_figure(1.0, 1.0)
        height = sum(heights) + _GAP * (len(drawn) - 1) + self.margin
        figure.set_size_inches(max(widths) / figure.dpi, height / figure.dpi)
        top = height
        for row, tall in zip(drawn, heights, strict=True):
            left = 0
            for image in row:
                figure.figimage(np.flipud(image), left, top - image.shape[0], origin="lower")
                left += image.shape[1] + _GAP
            top -= tall + _GAP
        return figure
