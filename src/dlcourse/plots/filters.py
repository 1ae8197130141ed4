"""Pictures of convolutions: the filters of the first one, and where the last one looks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlcourse.plots.images import ImageGrid, tiles
from dlcourse.plots.picture import house_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_FILTERS = 64
_COLUMNS = 8
_RED = (1.0, 0.2, 0.0)
_STRENGTH = 0.75
"""The share of red where the heat is greatest; where there is none, the image is in gray."""


@dataclass(frozen=True, eq=False)
class FirstFilters:
    """The weights `(filters, channels, height, width)` of a convolution on images, of which the first 64 are shown."""

    weights: ArrayLike

    @house_style()
    def draw(self) -> "Figure":
        """Three channels are the colors of a picture, middle gray for 0; of any other number the mean is shown, signed."""
        weights = np.asarray(self.weights)
        assert weights.ndim == 4, f"no filters of images: shape {weights.shape}"
        shown = weights[:_MOST_FILTERS]
        some = f"{len(shown)} of {len(weights)}" if len(shown) < len(weights) else f"{len(weights)}"
        title = f"First convolution: {some} filters of {weights.shape[2]}x{weights.shape[3]} pixels"
        limit = float(np.abs(shown).max()) or 1.0
        if weights.shape[1] == 3:
            colors = (0.5 + shown / (2 * limit)).transpose(0, 2, 3, 1)  # (n, C, H, W) -> (n, H, W, C)
            return tiles(colors, (), _COLUMNS, title)[0]
        signed = shown.mean(axis=1)
        limit = float(np.abs(signed).max()) or 1.0
        figure, axes = tiles(signed, (), _COLUMNS, title, cmap="RdBu_r", vmin=-limit, vmax=limit)
        figure.set_figwidth(figure.get_figwidth() + 1.1)
        bar = figure.colorbar(axes.images[0], ax=axes, shrink=0.8, aspect=30, label="weight")
        bar.outline.set_visible(False)
        return figure


@dataclass(frozen=True, eq=False)
class ActivationMaps:
    """Images `(n, channels, H, W)` in [0, 1], and for each the heat `(n, H, W)` in [0, 1] for two classes, named.

    Three tiles for each image: itself, then in gray under the heat for the class predicted and for the true one.
    """

    images: ArrayLike
    predicted_heat: ArrayLike
    true_heat: ArrayLike
    predicted: Sequence[str]
    true: Sequence[str]

    @house_style()
    def draw(self) -> "Figure":
        images = np.asarray(self.images)
        colored = np.broadcast_to(images, (len(images), 3, *images.shape[2:]))
        heats = (np.asarray(self.predicted_heat), np.asarray(self.true_heat))
        shown = np.stack([colored, *(_under(images, heat) for heat in heats)], axis=1)  # (n, 3, 3, H, W)
        captions = [
            caption
            for predicted, true in zip(self.predicted, self.true, strict=True)
            for caption in (f"{true} as {predicted}", f"for {predicted}\n(predicted)", f"for {true}\n(true)")
        ]
        title = "Grad-CAM of the most confident mistakes: red speaks for the class"
        columns = 6 if len(images) > 1 else 3
        return ImageGrid(shown.reshape(-1, *shown.shape[2:]), captions, title, columns).draw()


def _under(images: NDArray[Any], heat: NDArray[Any]) -> NDArray[Any]:
    """Images `(n, channels, H, W)` in gray, with red over them, the stronger the hotter `(n, H, W)` they are."""
    gray = images.mean(axis=1, keepdims=True)  # (n, 1, H, W): no red but that of the heat
    share = _STRENGTH * heat[:, None]
    return (1 - share) * gray + share * np.array(_RED)[:, None, None]
