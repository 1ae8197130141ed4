"""Panels of different kinds beside each other: points with curves, a loss over two parameters, regions of classes, lines.

N is a number of examples, G of grid points along one axis, S of steps, K of classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from dlcourse.plots.classes import shade_regions
from dlcourse.plots.lines import LineChart, draw_lines
from dlcourse.plots.picture import (
    COLORS,
    FEW_POINTS,
    MARKERS,
    class_colors,
    house_style,
    new_panels,
    padded,
    percent_axis,
    scatter,
    shorten,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_FEW = 50
"""Fewer points lie over the curves, more under them."""


class Panel(Protocol):
    """A part of a figure that draws itself into axes."""

    def draw_into(self, axes: "Axes") -> None:
        """Draw, with title and names of the axes."""


@dataclass(frozen=True, eq=False)
class Panels:
    """Panels beside each other, `columns` in a row, each `width` by `height` inches."""

    panels: Sequence["Panel | LineChart"]
    columns: int = 2
    width: float = 4.8
    height: float = 4.0
    title: str = ""

    @house_style()
    def draw(self) -> "Figure":
        figure, places = new_panels(len(self.panels), self.columns, (self.width, self.height), (0, 0.3))
        for axes, panel in zip(places, self.panels, strict=True):
            if isinstance(panel, LineChart):
                draw_lines(axes, panel)
            else:
                panel.draw_into(axes)
            axes.set_title(axes.get_title("left"), fontsize=11)
            if len(axes.get_legend_handles_labels()[0]) > 1:
                is_full = isinstance(panel, BarPanel)  # bars leave no room for a legend
                place: dict[str, Any] = (
                    {"loc": "upper center", "bbox_to_anchor": (0.5, -0.16), "ncols": 2} if is_full else {}
                )
                axes.legend(fontsize=9, **place)
        if self.title:
            figure.suptitle(self.title, x=0.01, ha="left")
        return figure


@dataclass(frozen=True, eq=False)
class FitPanel:
    """Points `(N,)` against `(N,)` with curves by name, each `(x, y)`; `between` is a shaded `(x, low, high)` by name.

    Curves that leave the points by more than half their height are cut off.
    """

    x: ArrayLike
    y: ArrayLike
    curves: Mapping[str, tuple[ArrayLike, ArrayLike]]
    title: str = ""
    names: tuple[str, str] = ("x", "y")
    between: Mapping[str, tuple[ArrayLike, ArrayLike, ArrayLike]] = field(default_factory=dict)

    def draw_into(self, axes: "Axes") -> None:
        y = np.asarray(self.y)
        for name, (x, low, high) in self.between.items():
            axes.fill_between(np.asarray(x), np.asarray(low), np.asarray(high), color=COLORS[1], alpha=0.15, label=name)
        scatter(axes, np.asarray(self.x), y, color=COLORS[0], label="data")
        drawn, reach = [y], np.ptp(y) / 2
        for place, (name, (x, curve)) in enumerate(self.curves.items()):
            heights = np.asarray(curve)
            drawn.append(heights.clip(y.min() - reach, y.max() + reach))
            color = (COLORS[1], "0.35", *COLORS[2:])[place]
            axes.plot(np.asarray(x), heights, color=color, label=name, zorder=4 if len(y) > _FEW else 2)
        axes.set_ylim(padded(np.concatenate(drawn)))
        axes.set(xlabel=self.names[0], ylabel=self.names[1])
        axes.set_title(self.title)
        axes.grid()


@dataclass(frozen=True, eq=False)
class BowlPanel:
    """A loss `(G, G)` over two parameters with the path `(S, 2)` of an optimizer, and the `minimum`.

    `loss[row, column]` belongs to the parameters `(grid_x[column], grid_y[row])`. `levels` are the rings, rising.
    """

    grid_x: ArrayLike
    grid_y: ArrayLike
    loss: ArrayLike
    path: ArrayLike
    minimum: tuple[float, float]
    levels: ArrayLike
    title: str = ""
    names: tuple[str, str] = ("a", "b")

    def draw_into(self, axes: "Axes") -> None:
        x, y, loss = (np.asarray(values) for values in (self.grid_x, self.grid_y, self.loss))
        path, levels = np.asarray(self.path), np.asarray(self.levels)
        axes.contourf(x, y, np.log(loss), levels=np.log(levels), cmap="Blues_r", extend="both", alpha=0.75)
        rings = axes.contour(x, y, loss, levels=levels, colors="0.3", linewidths=0.8)
        axes.clabel(rings, fmt="%.3g", fontsize=8)
        axes.plot(*path.T, color=COLORS[1], marker="o", markersize=4, linewidth=1.5, label="gradient descent")
        axes.plot(
            *self.minimum, color="black", marker="x", markersize=9, markeredgewidth=2, linestyle="", label="minimum"
        )
        axes.set(xlabel=self.names[0], ylabel=self.names[1])
        axes.set_title(self.title)


@dataclass(frozen=True, eq=False)
class RegionPanel:
    """Points `(N, 2)` with classes `(N,)` over the probabilities `(G, G, K)` on a grid, as in `DecisionBoundary`."""

    points: ArrayLike
    labels: ArrayLike
    grid_x: ArrayLike
    grid_y: ArrayLike
    probabilities: ArrayLike
    title: str = ""
    class_names: Sequence[str] = ()
    names: tuple[str, str] | None = None

    def draw_into(self, axes: "Axes") -> None:
        points, labels, probabilities = (np.asarray(part) for part in (self.points, self.labels, self.probabilities))
        grid_x, grid_y = np.asarray(self.grid_x), np.asarray(self.grid_y)
        num_classes = probabilities.shape[-1]
        shade_regions(axes, grid_x, grid_y, probabilities)
        for index, color in enumerate(class_colors(num_classes)):
            style: dict[str, Any] = {"color": color, "marker": MARKERS[index], "edgecolors": "white", "linewidths": 0.5}
            name = self.class_names[index] if self.class_names else None
            style["s"] = 22 if len(points) <= FEW_POINTS else 12
            chosen = points[labels == index]
            axes.scatter(chosen[:, 0], chosen[:, 1], label=name, **style)
        axes.set(xlim=(grid_x[0], grid_x[-1]), ylim=(grid_y[0], grid_y[-1]))
        axes.set_title(self.title)
        if self.names is None:
            axes.set(xticks=[], yticks=[])
        else:
            axes.set(xlabel=self.names[0], ylabel=self.names[1])


@dataclass(frozen=True, eq=False)
class BarPanel:
    """Bars by name, a group of them for each of `groups`, whose names may have several lines; `value` names their axis.

    `at` marks values by name. With `share` they are in percent.
    """

    bars: Mapping[str, Sequence[float]]
    groups: Sequence[str]
    value: str
    title: str = ""
    share: bool = False
    at: Mapping[str, float] = field(default_factory=dict)

    def draw_into(self, axes: "Axes") -> None:
        places, height = np.arange(len(self.groups)), 0.8 / len(self.bars)
        for number, (name, values) in enumerate(self.bars.items()):
            offset = (number - (len(self.bars) - 1) / 2) * height
            axes.barh(places + offset, values, height=0.95 * height, color=COLORS[number], label=name)
        for name, value in self.at.items():
            axes.axvline(value, color="0.35", linestyle=":", linewidth=1.5, label=name, zorder=3)
        axes.set_yticks(places, ["\n".join(map(shorten, group.split("\n"))) for group in self.groups])
        axes.invert_yaxis()
        if self.share:
            percent_axis(axes.xaxis, "accuracy")
        axes.set(xlabel=self.value)
        axes.set_title(self.title)
        axes.grid(axis="x")
