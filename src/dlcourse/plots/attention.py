"""Pictures of sequence models: where they look, and how well they do at each length."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from dlcourse.plots.picture import COLORS, hide_frame, house_style, new_figure, shorten

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_LABELS = 48


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """Weights `(queries, keys)`, rows of which sum to 1, with the token at each query (row) and key (column)."""

    weights: ArrayLike
    row_labels: Sequence[str]
    column_labels: Sequence[str]
    title: str = "Attention"
    row_name: str = "output"
    column_name: str = "input"

    @house_style()
    def draw(self) -> "Figure":
        weights = np.asarray(self.weights)
        sizes = len(self.row_labels), len(self.column_labels)
        assert weights.shape == sizes, f"weights {weights.shape} with {sizes} labels"
        rows, columns = (float(np.clip(0.36 * size, 1.8, 10)) for size in sizes)
        figure = new_figure(max(columns + 2.0, 0.11 * len(self.title) + 0.5), rows + 1.4)
        axes = figure.subplots()
        image = axes.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        for axis, labels in ((axes.yaxis, self.row_labels), (axes.xaxis, self.column_labels)):
            step = -(-len(labels) // _MOST_LABELS)
            axis.set_ticks(range(0, len(labels), step), [shorten(label) for label in labels[::step]])
        hide_frame(axes)
        axes.set(xlabel=self.column_name, ylabel=self.row_name)
        axes.set_title(self.title)
        bar = figure.colorbar(image, ax=axes, shrink=0.8, aspect=30, label="weight")
        bar.outline.set_visible(False)
        return figure


@dataclass(frozen=True, eq=False)
class AccuracyByLength:
    """For each length, how many examples there are and how many of them are right."""

    lengths: Sequence[int]
    correct: Sequence[int]
    totals: Sequence[int]

    @house_style()
    def draw(self) -> "Figure":
        from matplotlib.ticker import MaxNLocator, PercentFormatter

        totals = np.asarray(self.totals)
        shares = np.asarray(self.correct) / np.maximum(totals, 1)
        figure = new_figure(7.2, 4.4)
        axes = figure.subplots()
        axes.bar(self.lengths, shares, color=COLORS[0], width=0.8)
        if len(totals) <= 20:
            for length, share, total in zip(self.lengths, shares, totals, strict=True):
                axes.text(length, share + 0.01, f"{total:,}", ha="center", va="bottom", fontsize=9, color="0.4")
        axes.set(xlabel="length of the output in tokens", ylabel="whole sequences right", ylim=(0, 1.08))
        axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
        axes.set_yticks(np.linspace(0, 1, 6))
        axes.set_title(f"Accuracy by length, {int(totals.sum()):,} examples")
        axes.grid(axis="y")
        return figure
