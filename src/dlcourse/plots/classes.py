"""Pictures of predicted classes: how they match the true ones, and which regions of two features they fill."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlcourse.plots.picture import (
    FEW_POINTS,
    MARKERS,
    class_colors,
    hide_frame,
    house_style,
    new_figure,
    percent,
    shorten,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class ConfusionMatrix:
    """Counts `(K, K)` of examples with true class (row) and predicted class (column)."""

    counts: ArrayLike
    class_names: Sequence[str]

    @house_style()
    def draw(self) -> "Figure":
        """Color is the share of the row under a square root, so that errors of 1 % can be seen."""
        from matplotlib.colors import PowerNorm

        counts = np.asarray(self.counts)
        num_classes = len(self.class_names)
        assert counts.shape == (num_classes, num_classes), f"{counts.shape} counts for {num_classes} classes"
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        names = [shorten(name) for name in self.class_names]
        longest = max(map(len, names))
        side = float(np.clip(0.56 * num_classes, 3.0, 11.0))
        figure = new_figure(side + 2.3 + 0.08 * longest, side + 1.1 + 0.06 * longest)
        axes = figure.subplots()
        image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1), interpolation="nearest")
        total, correct = int(counts.sum()), int(np.trace(counts))
        axes.set_title(f"Accuracy {percent(correct, total, 2)}: {correct:,} of {total:,} examples")
        axes.set(xlabel="predicted", ylabel="true")
        _name_classes(axes, names)
        if num_classes <= 20:
            _write_counts(axes, counts, shares)
            _write_recall(axes, counts)
        bar = figure.colorbar(image, ax=axes, shrink=0.6, aspect=30, pad=0.02, label="share of true class")
        bar.set_ticks([0, 0.01, 0.05, 0.2, 0.5, 1], labels=["0 %", "1 %", "5 %", "20 %", "50 %", "100 %"])
        bar.outline.set_visible(False)
        return figure


def _name_classes(axes: "Axes", names: Sequence[str]) -> None:
    step = -(-len(names) // 40)  # more than 40 along one side cannot be read
    places, shown = range(0, len(names), step), names[::step]
    slant: dict[str, Any] = {"rotation": 45, "ha": "right"} if max(map(len, shown)) > 5 else {}
    axes.set_xticks(places, shown, **slant)
    axes.set_yticks(places, shown)
    hide_frame(axes)


def _write_counts(axes: "Axes", counts: NDArray[Any], shares: NDArray[Any]) -> None:
    for (row, column), count in np.ndenumerate(counts):
        bright_on_dark = shares[row, column] > 0.51  # where white and black stand out equally, 4.6 to 1
        color = "white" if bright_on_dark else "0.6" if count == 0 else "black"
        text = axes.text(column, row, str(count), color=color, ha="center", va="center", fontsize=10)
        text.set_in_layout(False)  # it lies inside its cell, and measuring hundreds is slow


def _write_recall(axes: "Axes", counts: NDArray[Any]) -> None:
    recall = [percent(counts[index, index], counts[index].sum(), 1) for index in range(len(counts))]
    right = axes.secondary_yaxis("right")
    right.set_yticks(range(len(counts)), recall)
    right.set_ylabel("recall", labelpad=8)
    hide_frame(right)


@dataclass(frozen=True, eq=False)
class DecisionBoundary:
    """Points `(N, 2)` with classes `(N,)`, over the probabilities `(G, G, K)` on a grid.

    `probabilities[row, column]` belongs to the point `(grid_x[column], grid_y[row])`; both axes ascend evenly.
    """

    points: ArrayLike
    labels: ArrayLike
    grid_x: ArrayLike
    grid_y: ArrayLike
    probabilities: ArrayLike
    class_names: Sequence[str]
    feature_names: Sequence[str] = ("x1", "x2")

    @house_style()
    def draw(self) -> "Figure":
        """Each region has its class's color, paler if the model is less sure; lines part the regions."""
        grid_x, grid_y = np.asarray(self.grid_x), np.asarray(self.grid_y)
        probabilities = np.asarray(self.probabilities)
        expected = (len(grid_y), len(grid_x), len(self.class_names))
        assert probabilities.shape == expected, f"probabilities are {probabilities.shape}, expected {expected}"
        figure = new_figure(7.2, 6.0)
        axes = figure.subplots()
        shade_regions(axes, grid_x, grid_y, probabilities)
        marks = self._mark_points(axes)
        axes.set(xlim=(grid_x[0], grid_x[-1]), ylim=(grid_y[0], grid_y[-1]))
        axes.set(xlabel=self.feature_names[0], ylabel=self.feature_names[1])
        axes.set_title("Predicted class: the paler, the less sure")
        names = [shorten(name) for name in self.class_names]
        figure.legend(marks, names, loc="outside right upper", title="true class", alignment="left")
        return figure

    def _mark_points(self, axes: "Axes") -> list["PathCollection"]:
        points, labels = np.asarray(self.points), np.asarray(self.labels)
        size = 36 if len(points) <= FEW_POINTS else 16
        colors = class_colors(len(self.class_names))
        return [
            axes.scatter(
                points[labels == index, 0],
                points[labels == index, 1],
                s=size,
                color=colors[index],
                marker=MARKERS[index % len(MARKERS)],
                edgecolors="white",
                linewidths=0.8,
            )
            for index in range(len(self.class_names))
        ]


def shade_regions(axes: "Axes", grid_x: NDArray[Any], grid_y: NDArray[Any], probabilities: NDArray[Any]) -> None:
    """Color where each class is the most probable `(G, G, K)`, paler if less so, with lines between the classes."""
    from matplotlib.colors import to_rgb

    num_classes = probabilities.shape[-1]
    winner = probabilities.argmax(axis=-1)
    chance = 1 / num_classes
    confidence = (probabilities.max(axis=-1, keepdims=True) - chance) / (1 - chance)  # 0 is a guess, 1 is certain
    colors = np.array([to_rgb(color) for color in class_colors(num_classes)])
    strength = 0.12 + 0.43 * confidence.clip(0, 1)
    shaded = 1 - strength * (1 - colors[winner])  # (G, G, 3)
    extent = (grid_x[0], grid_x[-1], grid_y[0], grid_y[-1])
    axes.imshow(shaded, extent=extent, origin="lower", aspect="auto", interpolation="nearest")
    for index in range(num_classes):
        lead = probabilities[..., index] - np.delete(probabilities, index, axis=-1).max(axis=-1)
        if lead.min() < 0 < lead.max():  # a class that wins everywhere or nowhere has no boundary
            axes.contour(grid_x, grid_y, lead, levels=[0], colors="0.15", linewidths=1.5)
