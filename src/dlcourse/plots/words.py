"""A map of words: each at a place in the plane, with its name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlcourse.plots.picture import class_colors, house_style, new_figure, padded, shorten

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NAME_WIDTH, _NAME_HEIGHT = 0.08, 0.02  # of a name, as shares of the picture


@dataclass(frozen=True, eq=False)
class WordMap:
    """Words at points `(n, 2)`, colored by their classes; a class that is empty is gray and has no name.

    Of words so close together that their names would cover each other, the first is named.
    """

    points: ArrayLike
    words: Sequence[str]
    classes: Sequence[str]
    axis_names: tuple[str, str] = ("first principal component", "second principal component")
    title: str = "Word vectors"
    links: Sequence[tuple[str, str]] = ()
    """Pairs of words that are joined by an arrow, from the first to the second; with them both axes have one scale."""

    @house_style()
    def draw(self) -> "Figure":
        points = np.asarray(self.points)
        assert points.shape == (len(self.words), 2), f"{points.shape} points for {len(self.words)} words"
        figure = new_figure(9.6, 7.2)
        axes = figure.subplots()
        names = [name for name in dict.fromkeys(self.classes) if name]
        readable = _apart(points)
        palette = dict(zip(names, class_colors(len(names)), strict=True))
        for name in [*names, ""]:
            chosen = [index for index, label in enumerate(self.classes) if label == name]
            color = palette.get(name, "0.5")
            x, y = points[chosen].T
            axes.scatter(x, y, s=16, color=color, label=shorten(name) or None, linewidths=0)
            for index in filter(readable.__contains__, chosen):
                axes.annotate(
                    shorten(self.words[index]),
                    points[index],
                    xytext=(3, 3),
                    textcoords="offset points",
                    fontsize=8,
                    color=color,
                )
        places = dict(zip(self.words, points, strict=True))
        for source, target in self.links:
            arrow = {"arrowstyle": "-|>", "color": "0.35", "linewidth": 1.2, "shrinkA": 4, "shrinkB": 4}
            axes.annotate("", places[target], places[source], arrowprops=arrow)
        axes.set_aspect("equal" if self.links else "auto", adjustable="datalim")
        axes.set(xlim=padded(points[:, 0]), ylim=padded(points[:, 1]))
        axes.set(xlabel=self.axis_names[0], ylabel=self.axis_names[1])
        axes.set_title(self.title)
        if names:
            figure.legend(loc="outside right upper", title="class", alignment="left", markerscale=1.6)
        return figure


def _apart(points: NDArray[Any]) -> set[int]:
    """The points `(n, 2)`, the first ones first, whose names have room beside those of the points before."""
    scaled = (points - points.min(axis=0)) / np.maximum(np.ptp(points, axis=0), 1e-12)
    kept: list[int] = []
    for index, place in enumerate(scaled):
        distance = np.abs(scaled[kept] - place) if kept else np.ones((1, 2))
        if not ((distance[:, 0] < _NAME_WIDTH) & (distance[:, 1] < _NAME_HEIGHT)).any():
            kept.append(index)
    return set(kept)
