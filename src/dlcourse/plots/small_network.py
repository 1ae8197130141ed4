"""A network small enough to write every weight of it beside its edge."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from dlcourse.plots.picture import COLORS, house_style, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT = 3.4, 2.2  # between layers, and between units
_RADIUS = 0.28
_SHARES = (0.27, 0.73)
"""Where along an edge its words stand, by turns, so that those of two that cross do not meet."""


@dataclass(frozen=True, eq=False)
class SmallNetwork:
    """Affine layers in order, each with numbers `(outputs, inputs)` for its weights and `(outputs,)` for its biases.

    `weights` are shown as the width of the edges, red below zero, `words` `(outputs, inputs)` and `bias_words` beside them;
    `names` are those of the units of each layer, the inputs first.
    """

    weights: Sequence[ArrayLike]
    words: Sequence[Sequence[Sequence[str]]]
    bias_words: Sequence[Sequence[str]]
    names: Sequence[Sequence[str]]
    title: str

    @house_style()
    def draw(self) -> "Figure":
        figure = new_figure(10.0, 5.4)
        axes = figure.subplots()
        for layer, weights in enumerate(self.weights):
            for (unit, source), weight in np.ndenumerate(np.asarray(weights)):
                self._edge(axes, layer, int(unit), int(source), float(weight))
            for unit, words in enumerate(self.bias_words[layer]):
                x, y = self._place(layer + 1, unit)
                below = unit == len(self.bias_words[layer]) - 1
                place = y - _RADIUS - 0.08 if below else y + _RADIUS + 0.08
                axes.text(x, place, words, ha="center", va="top" if below else "bottom", fontsize=9, color="0.25")
        for layer, names in enumerate(self.names):
            for unit, name in enumerate(names):
                self._unit(axes, layer, unit, name)
        axes.set(xlim=(-0.7, _WIDTH * len(self.weights) + 0.9), aspect="equal")
        axes.set_ylim(-_HEIGHT / 2 - 1.1, _HEIGHT / 2 + 1.0)
        axes.axis("off")
        axes.set_title(self.title)
        return figure

    def _place(self, layer: int, unit: int) -> tuple[float, float]:
        return layer * _WIDTH, _HEIGHT * ((len(self.names[layer]) - 1) / 2 - unit)

    def _edge(self, axes: Any, layer: int, unit: int, source: int, weight: float) -> None:
        start, end = np.array(self._place(layer, source)), np.array(self._place(layer + 1, unit))
        color = COLORS[0] if weight >= 0 else COLORS[1]
        axes.plot(
            *zip(start, end, strict=True), color=color, linewidth=0.8 + 2.5 * min(abs(weight), 2.0), alpha=0.6, zorder=1
        )
        share = 0.5 if unit == source else _SHARES[source % 2]
        x, y = start + share * (end - start)
        angle = np.degrees(np.arctan2(*(end - start)[::-1]))
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5}
        words = self.words[layer][unit][source]
        axes.text(x, y, words, rotation=angle, ha="center", va="center", fontsize=9, color="0.1", bbox=box, zorder=2)

    def _unit(self, axes: Any, layer: int, unit: int, name: str) -> None:
        from matplotlib.patches import Circle

        x, y = self._place(layer, unit)
        axes.add_patch(Circle((x, y), _RADIUS, facecolor="white", edgecolor="0.2", linewidth=1.6, zorder=3))
        axes.text(x, y, name, ha="center", va="center", fontsize=11, zorder=4)
