"""Gradient descent by several rules: their learning curves, and their paths down a surface."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlcourse.plots.lines import LineChart, draw_lines
from dlcourse.plots.picture import COLORS, MARKERS, house_style, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ABOVE = 0.02  # how far a path lies above the surface, so that it is not hidden in it


@dataclass(frozen=True, eq=False)
class Descent:
    """The surface `heights` `(X, Y)` over places `x` and `y`, and paths `(steps, 3)` on it by name, all from one start.

    `chart` has lines of the same names, and is drawn beside it in the same colors. `points` `(3,)` are named on the surface.
    """

    chart: LineChart
    x: ArrayLike
    y: ArrayLike
    heights: ArrayLike
    paths: Mapping[str, ArrayLike]
    title: str
    points: Mapping[str, ArrayLike] = field(default_factory=dict)

    @house_style()
    def draw(self) -> "Figure":
        figure = new_figure(12.4, 5.6)
        halves: Any = figure.subfigures(1, 2, width_ratios=(1, 1.15))
        left, right = halves
        draw_lines(left.subplots(), self.chart)
        axes: Any = right.add_subplot(projection="3d", computed_zorder=False)
        self._draw_surface(axes)
        for place, (name, path) in enumerate(self.paths.items()):
            style = {"color": COLORS[place], "marker": MARKERS[place], "zorder": 5 + len(self.paths) - place}
            _draw_path(axes, np.asarray(path, dtype=float), name, style)
        for name, point in self.points.items():
            axes.text(*np.asarray(point, dtype=float), name, fontsize=9, color="0.25", ha="center", va="top", zorder=20)
        axes.set_title(self.title, loc="left", pad=4)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=len(self.paths))
        return figure

    def _draw_surface(self, axes: Any) -> None:
        x, y = np.meshgrid(np.asarray(self.x), np.asarray(self.y), indexing="ij")
        heights = np.asarray(self.heights, dtype=float)
        axes.plot_surface(
            x,
            y,
            heights,
            cmap="Greys",
            vmax=1.7 * heights.max(),
            rcount=80,
            ccount=80,
            alpha=0.6,
            linewidth=0,
            zorder=1,
        )
        levels = np.linspace(heights.min(), heights.max(), 14)
        axes.contour(x, y, heights, levels=levels, colors="0.45", linewidths=0.6, zorder=2)
        axes.view_init(elev=42, azim=-62)
        axes.set_box_aspect((1.1, 1.25, 0.6), zoom=1.12)
        axes.tick_params(labelsize=8, pad=-2)
        axes.locator_params(nbins=5)
        for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
            axis.pane.set_facecolor("1.0")


def _draw_path(axes: Any, path: NDArray[Any], name: str, style: dict[str, Any]) -> None:
    """The path with a mark at its end."""
    x, y, height = path[:, 0], path[:, 1], path[:, 2] + _ABOVE
    axes.plot(x, y, height, linewidth=2.4, markevery=[len(path) - 1], markersize=8, label=name, **style)
