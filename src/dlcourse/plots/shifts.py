"""An image and its shifted copy, with what a layer answers to both."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlcourse.plots.picture import house_style, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class ShiftedAnswers:
    """An image `(height, width)` in [0, 1] and the same one shifted, each with answers by name, maps `(height, width)`."""

    image: ArrayLike
    shifted: ArrayLike
    answers: dict[str, tuple[ArrayLike, ArrayLike]]
    title: str = ""

    @house_style()
    def draw(self) -> "Figure":
        """A column for each layer; in red it answers more than 0, in blue less."""
        columns = 1 + len(self.answers)
        figure = new_figure(2.6 * columns + 0.4, 5.8)
        panels: NDArray[Any] = figure.subplots(2, columns, squeeze=False)
        for axes, image in zip(panels[:, 0], (self.image, self.shifted), strict=True):
            axes.imshow(np.asarray(image), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        panels[0, 0].set_title("image", fontsize=11)
        for column, (name, maps) in enumerate(self.answers.items(), 1):
            pair = [np.asarray(each) for each in maps]
            limit = max(float(np.abs(each).max()) for each in pair) or 1.0
            for axes, each in zip(panels[:, column], pair, strict=True):
                axes.imshow(each, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
            panels[0, column].set_title(name, fontsize=11)
        for axes in panels.ravel():
            axes.set(xticks=[], yticks=[])
        panels[0, 0].set_ylabel("as it is")
        panels[1, 0].set_ylabel("shifted")
        figure.suptitle(self.title, x=0.01, ha="left")
        return figure
