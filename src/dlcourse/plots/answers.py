"""Images with what a classifier answers to each: the probabilities of the classes as bars."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlcourse.plots.picture import COLORS, hide_frame, house_style, new_figure, shorten

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_BARS = 5


@dataclass(frozen=True, eq=False)
class AnsweredImages:
    """Images `(n, channels, height, width)` in [0, 1], with probabilities `(n, K)` and true classes `(n,)`.

    Bars are those of the five likeliest classes; the true class has a bar in blue, others in red.
    """

    images: ArrayLike
    probabilities: ArrayLike
    truth: ArrayLike
    class_names: Sequence[str]
    title: str = ""
    columns: int = 6

    @house_style()
    def draw(self) -> "Figure":
        images = np.asarray(self.images).transpose(0, 2, 3, 1).clip(0, 1)  # (n, C, H, W) -> (n, H, W, C)
        pixels = images[..., 0] if images.shape[-1] == 1 else images
        probabilities, truth = np.asarray(self.probabilities), np.asarray(self.truth)
        assert probabilities.shape == (len(images), len(self.class_names)), f"probabilities are {probabilities.shape}"
        columns = min(self.columns, len(images))
        rows = -(-len(images) // columns)
        bars = min(_MOST_BARS, len(self.class_names))
        tall = 0.24 * bars + 0.1  # inches
        figure = new_figure(1.9 * columns + 0.3, (1.75 + tall) * rows + 0.6)
        ratios = [part for _ in range(rows) for part in (1.6, tall)]
        panels = figure.subplots(2 * rows, columns, squeeze=False, gridspec_kw={"height_ratios": ratios})
        for axes in panels.ravel():
            axes.axis("off")
        for place in range(len(images)):
            row, column = divmod(place, columns)
            panels[2 * row, column].imshow(pixels[place], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            order = np.argsort(-probabilities[place], kind="stable")[:bars]
            self._draw_bars(panels[2 * row + 1, column], probabilities[place][order], order, int(truth[place]))
        figure.suptitle(self.title, x=0.01, ha="left")
        return figure

    def _draw_bars(self, axes: Any, values: NDArray[Any], classes: NDArray[Any], truth: int) -> None:
        axes.axis("on")
        places = np.arange(len(values))
        axes.barh(places, values, color=[COLORS[0] if index == truth else COLORS[1] for index in classes], height=0.7)
        for place, value in zip(places, values, strict=True):
            inside = value > 0.6
            axes.text(
                value - 0.03 if inside else value + 0.03,
                place,
                f"{100 * value:.0f} %",
                ha="right" if inside else "left",
                va="center",
                fontsize=8.5,
                color="white" if inside else "0.2",
            )
        axes.set_yticks(places, [shorten(self.class_names[index]) for index in classes], fontsize=9)
        axes.set(xlim=(0, 1), xticks=[])
        axes.invert_yaxis()
        hide_frame(axes)
