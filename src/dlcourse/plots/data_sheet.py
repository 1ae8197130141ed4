"""Parts of a picture of a data set: how many examples each class has in each split, columns as histograms, points.

K is a number of classes, N of examples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from dlcourse.plots.picture import COLORS, MARKERS, class_colors, house_style, new_figure, new_panels, shorten

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST = 30
"""Classes that have a bar of their own; of more, only how large they are is drawn."""
_BINS = 20


@dataclass(frozen=True, eq=False)
class ClassBalance:
    """For each split the number of examples of each class: bars of shares, so that splits of any size compare."""

    counts: Mapping[str, Mapping[str, int]]
    title: str = "Share of each class, and its examples"

    @house_style()
    def draw(self) -> "Figure":
        names = list(dict.fromkeys(name for of in self.counts.values() for name in of))
        if len(names) > _MOST:
            return self._draw_sizes(names)
        figure = new_figure(7.2, 1.1 + 0.16 * len(self.counts) * len(names) + 0.16 * len(names))
        axes = figure.subplots()
        height = 0.82 / len(self.counts)
        for number, (part, of) in enumerate(self.counts.items()):
            total = sum(of.values()) or 1
            places = np.arange(len(names)) + (number - (len(self.counts) - 1) / 2) * height
            shares = [of.get(name, 0) / total for name in names]
            axes.barh(
                places, shares, height=0.92 * height, color=COLORS[number], label=f"{part} ({sum(of.values()):,})"
            )
            for place, share, name in zip(places, shares, names, strict=True):
                axes.annotate(
                    f"{of.get(name, 0):,}", (share, place), (3, 0), textcoords="offset points", va="center", fontsize=7
                )
        axes.set_yticks(np.arange(len(names)), [shorten(name) for name in names])
        axes.invert_yaxis()
        axes.margins(x=0.08, y=0.02)
        axes.xaxis.set_major_formatter("{x:.0%}")
        axes.set_title(self.title)
        axes.grid(axis="x")
        figure.legend(loc="outside lower center", ncols=len(self.counts))
        return figure

    def _draw_sizes(self, names: Sequence[str]) -> "Figure":
        """Classes in order of size, from the largest on."""
        figure = new_figure(7.2, 3.4)
        axes = figure.subplots()
        for number, (part, of) in enumerate(self.counts.items()):
            sizes = sorted((of.get(name, 0) for name in names), reverse=True)
            axes.plot(np.arange(1, len(sizes) + 1), sizes, color=COLORS[number], label=f"{part} ({sum(sizes):,})")
        axes.set_ylim(bottom=0)
        axes.set(xlabel=f"the {len(names):,} classes, the largest first", ylabel="examples")
        axes.set_title("Examples of each class")
        axes.grid()
        figure.legend(loc="outside lower center", ncols=len(self.counts))
        return figure


@dataclass(frozen=True, eq=False)
class Histograms:
    """Columns by name, each for each split by name: `(N,)` numbers, as shares so that splits of any size compare."""

    columns: Mapping[str, Mapping[str, ArrayLike]]
    title: str = ""

    @house_style()
    def draw(self) -> "Figure":
        figure, panels = new_panels(len(self.columns), 4, (2.7, 2.1), (0.3, 0.7))
        for axes, (name, parts) in zip(panels, self.columns.items(), strict=True):
            values = {part: np.asarray(column, dtype=float) for part, column in parts.items()}
            every = np.concatenate(list(values.values()))
            different = np.unique(every)
            few = len(different) <= 2
            edges = (
                np.linspace(every.min(), every.max(), _BINS + 1) if np.ptp(every) else [every[0] - 0.5, every[0] + 0.5]
            )
            for number, (part, column) in enumerate(values.items()):
                weights = np.full(len(column), 1 / max(len(column), 1))
                style = (
                    {"histtype": "stepfilled", "alpha": 0.35} if number == 0 else {"histtype": "step", "linewidth": 1.3}
                )
                axes.hist(column, bins=edges, weights=weights, color=COLORS[number], label=part, **style)  # type: ignore[arg-type]
            if few:
                axes.set_xticks(different)
            axes.set_yticks([])
            axes.spines["left"].set_visible(False)
            axes.tick_params(labelsize=8)
            axes.set_title(shorten(name), fontsize=10, pad=4)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=max(1, len(labels)))
        if self.title:
            figure.suptitle(self.title, x=0.01, ha="left")
        return figure


@dataclass(frozen=True, eq=False)
class LabelledPoints:
    """Points `(N, 2)` with classes `(N,)` by split, side by side on the same axes; classes by their names."""

    parts: Mapping[str, tuple[ArrayLike, ArrayLike]]
    class_names: Sequence[str]
    names: tuple[str, str] = ("x1", "x2")

    @house_style()
    def draw(self) -> "Figure":
        figure, panels = new_panels(len(self.parts), 3, (3.4, 3.4), (0.4, 0.6))
        every = np.concatenate([np.asarray(points) for points, _ in self.parts.values()])
        low, high = every.min(0), every.max(0)
        margin = 0.05 * (high - low)
        colors = class_colors(len(self.class_names))
        for axes, (part, (points, labels)) in zip(panels, self.parts.items(), strict=True):
            places, classes = np.asarray(points), np.asarray(labels)
            for index, name in enumerate(self.class_names):
                x, y = places[classes == index].T
                marker = MARKERS[index % len(MARKERS)]
                axes.scatter(x, y, s=14, color=colors[index], marker=marker, label=shorten(name), alpha=0.7)
            axes.set(xlim=(low[0] - margin[0], high[0] + margin[0]), ylim=(low[1] - margin[1], high[1] + margin[1]))
            axes.set(xlabel=self.names[0], ylabel=self.names[1])
            axes.set_title(f"{part}: {len(places):,}", fontsize=11)
        handles, labels_shown = panels[0].get_legend_handles_labels()
        if len(labels_shown) <= 12:
            figure.legend(handles, labels_shown, loc="outside lower center", ncols=min(6, len(labels_shown)))
        return figure
