"""Pictures made of images: those of a data set or a model, and weights that have the shape of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlcourse.plots.picture import finite_images, house_style, new_figure, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class ImageGrid:
    """Images `(n, channels, height, width)` in [0, 1], gray or RGB, each over its caption; n may be 0."""

    images: ArrayLike
    captions: Sequence[str] = ()
    title: str = ""
    columns: int = 5

    @house_style()
    def draw(self) -> "Figure":
        images = np.asarray(self.images)
        assert images.ndim == 4 and images.shape[1] in (1, 3), f"no gray or RGB images: shape {images.shape}"
        images, title = finite_images(images, self.title)
        images = images.transpose(0, 2, 3, 1)  # (n, C, H, W) -> (n, H, W, C)
        pixels = images[..., 0] if images.shape[-1] == 1 else images
        figure, _ = tiles(pixels, self.captions, self.columns, title, cmap="gray", vmin=0, vmax=1)
        return figure


@dataclass(frozen=True, eq=False)
class WeightImages:
    """Weights `(K, channels, height, width)` of one linear layer on images: what speaks for and against each class."""

    weights: ArrayLike
    names: Sequence[str]

    @house_style()
    def draw(self) -> "Figure":
        """Weights of several channels are averaged."""
        weights = np.asarray(self.weights).mean(axis=1)  # (K, C, H, W) -> (K, H, W)
        limit = float(np.abs(weights).max()) or 1.0
        title = "Weight of each pixel for each class"
        figure, axes = tiles(weights, self.names, 5, title, cmap="RdBu_r", vmin=-limit, vmax=limit)
        figure.set_figwidth(figure.get_figwidth() + 1.1)
        bar = figure.colorbar(axes.images[0], ax=axes, shrink=0.8, aspect=30, label="weight")
        bar.outline.set_visible(False)
        return figure


def tiles(
    pixels: NDArray[Any], captions: Sequence[str], columns: int, title: str, **coloring: Any
) -> tuple["Figure", "Axes"]:
    """Images `(n, H, W)` or `(n, H, W, 3)` side by side in one axes: much quicker than an axes for each."""
    assert len(captions) in (0, len(pixels)), f"{len(captions)} captions for {len(pixels)} images"
    title = title if len(pixels) else f"{title}: none"
    lines = [[shorten(line) for line in caption.splitlines()] for caption in captions]
    width = float(np.clip(0.09 * max((len(line) for block in lines for line in block), default=0), 1.3, 2.0))  # inches
    columns = max(1, min(columns, len(pixels)))
    rows = max(1, -(-len(pixels) // columns))
    aspect = pixels.shape[1] / pixels.shape[2]
    pitch = aspect + 0.06 + 0.2 / width * max((len(block) for block in lines), default=0)  # in image widths
    figure = new_figure(max(0.11 * len(title), 1.06 * width * columns) + 0.3, width * pitch * rows + 0.6)
    axes = figure.subplots()
    axes.axis("off")
    figure.suptitle(title, x=0.01, ha="left")
    for index, image in enumerate(pixels):
        row, column = divmod(index, columns)
        left, top = 1.06 * column, pitch * row
        axes.imshow(image, extent=(left, left + 1, top + aspect, top), interpolation="nearest", **coloring)
        if lines:
            axes.text(left + 0.5, top + aspect + 0.03, "\n".join(lines[index]), ha="center", va="top", fontsize=10)
    axes.set(xlim=(0, 1.06 * columns - 0.06), ylim=(pitch * rows, 0), aspect="equal")
    return figure, axes
