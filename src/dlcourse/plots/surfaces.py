"""Surfaces over a plane, in three dimensions: the loss around a point of weight space."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlcourse.plots.picture import house_style, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FINE = 97  # points along an edge as drawn; fewer leave the cut of a surface ragged
_LEVELS = 14
_FLOOR = 0.45  # how far below the lowest point the floor lies, in heights of the surface


@dataclass(frozen=True, eq=False)
class Surface:
    """Heights `(G, G)` over places `(G,)` along both axes: `heights[i, j]` belongs to `(places[i], places[j])`.

    It is drawn up to the height `cut`, or up to the highest; the lowest places, `(n, 2)`, are marked on the floor.
    """

    places: ArrayLike
    heights: ArrayLike
    title: str
    cut: float | None = None
    minima: ArrayLike = ()


@dataclass(frozen=True, eq=False)
class Surfaces:
    """Several surfaces, `columns` in a row, each over its contour lines; `axes` names the two directions and the height."""

    surfaces: Sequence[Surface]
    axes: tuple[str, str, str]
    columns: int = 2
    title: str = ""

    @house_style()
    def draw(self) -> "Figure":
        rows = -(-len(self.surfaces) // self.columns)
        figure = new_figure(5.6 * self.columns, 0.6 + 4.8 * rows)
        for place, surface in enumerate(self.surfaces, start=1):
            axes: Any = figure.add_subplot(rows, self.columns, place, projection="3d")
            _draw_surface(axes, surface)
            axes.set_xlabel(self.axes[0], fontsize=9, labelpad=-4)
            axes.set_ylabel(self.axes[1], fontsize=9, labelpad=-4)
            axes.text2D(0.05, 0.86, self.axes[2], transform=axes.transAxes, fontsize=9, color="0.35")
        figure.suptitle(self.title, x=0.01, ha="left")
        return figure


def _draw_surface(axes: Any, surface: Surface) -> None:
    """The surface without what is above the cut, and below it the same heights as filled contours."""
    places, heights = _finer(np.asarray(surface.places, dtype=float), np.asarray(surface.heights, dtype=float))
    low = float(heights.min())
    high = float(heights.max()) if surface.cut is None else surface.cut
    x, y = np.meshgrid(places, places, indexing="ij")
    floor = low - _FLOOR * (high - low)
    coloring: dict[str, Any] = {"cmap": "viridis", "vmin": low, "vmax": high}
    levels = np.linspace(low, high, _LEVELS)
    axes.contourf(x, y, heights, levels=levels, zdir="z", offset=floor, alpha=0.75, extend="max", **coloring)
    shown = np.where(_near(heights <= high), heights.clip(max=high), np.nan)
    axes.plot_surface(x, y, shown, rcount=_FINE, ccount=_FINE, linewidth=0, antialiased=False, **coloring)
    minima = np.asarray(surface.minima, dtype=float).reshape(-1, 2)
    axes.plot(minima[:, 0], minima[:, 1], np.full(len(minima), floor), "o", color="#D55E00", markersize=5, zorder=10)
    axes.set_zlim(floor, high)
    axes.view_init(elev=36, azim=-58)
    axes.set_box_aspect((1, 1, 0.85), zoom=1.05)
    axes.tick_params(labelsize=8, pad=-1)
    axes.locator_params(nbins=5)
    axes.set_zticks([tick for tick in axes.get_zticks() if low - 0.02 * (high - low) <= tick <= high])
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.pane.set_facecolor("0.98")
    axes.set_title(surface.title, pad=0, fontsize=12, loc="center")


def _near(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The places inside and those beside them: a surface cut at these has an even edge."""
    wide = np.pad(inside, 1)
    rows, columns = inside.shape
    return np.any([wide[i : i + rows, j : j + columns] for i in range(3) for j in range(3)], axis=0)


def _finer(places: NDArray[Any], heights: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The same surface at more places, straight between the ones that are known."""
    fine = np.linspace(places[0], places[-1], max(_FINE, len(places)))
    along = np.stack([np.interp(fine, places, row) for row in heights])  # (G, G) -> (G, F)
    return fine, np.stack([np.interp(fine, places, column) for column in along.T], axis=1)  # (F, F)
