"""Pictures of a sweep: its runs' curves on validation, and what each option makes of the number they are compared by."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dlcourse.console import is_share
from dlcourse.plots.picture import COLORS, house_style, is_wide, new_figure, padded, percent_axis, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Value = float | str

_FAINT = "0.8"
_FEW = 6


@dataclass(frozen=True, eq=False)
class SweepCurves:
    """A validation number over the epochs: for each label the curves of its seeds, `(epochs, values)`, best label first."""

    metric: str
    labels: Sequence[str]
    curves: Sequence[Sequence[tuple[Sequence[int], Sequence[float]]]]

    @house_style()
    def draw(self) -> "Figure":
        """The mean over the seeds with a band from the lowest to the highest; all but the best in gray."""
        from matplotlib.ticker import MaxNLocator

        figure = new_figure(8.0, 5.0)
        axes = figure.subplots()
        for place in reversed(range(len(self.labels))):
            color = COLORS[place] if place < len(COLORS) else _FAINT
            self._draw_one(axes, place, color)
        axes.set(xlabel="epoch", ylabel=f"{self.metric} on validation")
        percent_axis(axes.yaxis, self.metric)
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
        in_gray = (
            f": the best {len(COLORS)}, the others in gray" if len(self.labels) > len(COLORS) else ", the best first"
        )
        axes.set_title(f"{len(self.labels)} settings{in_gray}")
        axes.grid()
        handles, names = axes.get_legend_handles_labels()
        figure.legend(handles[::-1], names[::-1], loc="outside right upper")
        return figure

    def _draw_one(self, axes: "Axes", place: int, color: str) -> None:
        epochs = sorted({epoch for each, _ in self.curves[place] for epoch in each})
        table = np.full((len(self.curves[place]), len(epochs)), np.nan)
        for row, (known, values) in enumerate(self.curves[place]):
            table[row, np.searchsorted(epochs, known)] = values
        mean = np.ma.masked_invalid(table).mean(0).filled(np.nan)
        label = shorten(self.labels[place]) if color != _FAINT else None
        axes.plot(
            epochs, mean, color=color, label=label, marker="o" if len(epochs) == 1 else "", zorder=len(COLORS) - place
        )
        if len(table) > 1:
            axes.fill_between(epochs, table.min(0), table.max(0), color=color, alpha=0.18, linewidth=0)


@dataclass(frozen=True, eq=False)
class ParallelOptions:
    """Runs as lines across an axis for each option, `values[option][run]`, to the number they reached."""

    metric: str
    mode: str
    options: Sequence[str]
    values: Sequence[Sequence[Value]]
    reached: Sequence[float]

    @house_style()
    def draw(self) -> "Figure":
        """Colored by rank, as one bad run would leave all others the same color; axes of wide numbers are logarithmic."""
        from matplotlib import colormaps

        figure = new_figure(1.6 + 1.7 * (len(self.options) + 1), 4.8)
        axes = figure.subplots()
        scales = [*map(_Scale, self.values), _Scale(list(self.reached))]
        places = np.array([scale.places for scale in scales])  # (axes, runs)
        quality = np.nan_to_num(places[-1] if self.mode == "max" else 1 - places[-1], nan=-1.0)
        across = range(len(scales))
        for rank, run in enumerate(np.argsort(quality, kind="stable"), start=1):
            color = colormaps["viridis_r"](rank / len(quality))
            axes.plot(across, places[:, run], color=color, alpha=0.85, linewidth=1.6)
        for place, scale in enumerate(scales):
            axes.axvline(place, color="0.3", linewidth=1)
            for height, text in scale.ticks(self.metric if place == len(self.options) else ""):
                label = axes.annotate(
                    text, (place, height), (-5, 0), textcoords="offset points", ha="right", va="center"
                )
                label.set(fontsize=9, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1})
        axes.set_xticks(across, [*map(shorten, self.options), f"{self.metric}\non validation"])
        axes.set_yticks([])
        axes.set(xlim=(-0.6, len(scales) - 0.7), ylim=(-0.06, 1.06))
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.set_title(f"{len(self.reached)} runs, the darker the better")
        return figure


@dataclass(frozen=True, eq=False)
class OptionSlices:
    """What the runs reached against the values of each option, `values[option][run]`."""

    metric: str
    options: Sequence[str]
    values: Sequence[Sequence[Value]]
    reached: Sequence[float]

    @house_style()
    def draw(self) -> "Figure":
        """A panel for each option: a point for each run, and a line through the medians."""
        columns = min(2, len(self.options))
        rows = -(-len(self.options) // columns)
        figure = new_figure(1.0 + 3.4 * columns, 0.6 + 3.1 * rows)
        panels = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
        for axes, option, values in zip(panels, self.options, self.values, strict=False):
            self._draw_one(axes, option, values)
        for axes in panels[len(self.options) :]:
            axes.set_visible(False)
        for axes in panels[::columns]:
            axes.set_ylabel(f"{self.metric} on validation")
        percent_axis(panels[0].yaxis, self.metric)
        has_line = any(axes.lines for axes in panels)
        figure.suptitle(f"{len(self.reached)} runs" + "; the line is the median" * has_line, x=0.01, ha="left")
        return figure

    def _draw_one(self, axes: "Axes", option: str, values: Sequence[Value]) -> None:
        scale, reached = _Scale(values), np.asarray(self.reached, dtype=float)
        x = scale.places if scale.names else np.asarray(values, dtype=float)
        axes.scatter(x, reached, s=30, color=COLORS[0], alpha=0.7, edgecolors="white", linewidths=0.6)
        finite = np.isfinite(reached)
        known = sorted(set(x[finite].tolist()))
        # Numbers drawn from a range hardly come again: a line would show what the other options do.
        is_drawn = len(self.options) > 1 and len(known) > max(_FEW, finite.sum() / 2)
        if not is_drawn:
            middle = [np.median(reached[finite & (x == value)]) for value in known]
            axes.plot(known, middle, color=COLORS[1], linewidth=1.5, zorder=0)
        if scale.names:
            slant: dict[str, Any] = {"rotation": 30, "ha": "right"} if max(map(len, scale.names)) > 6 else {}
            axes.set_xticks(scale.of_names, [shorten(name) for name in scale.names], **slant)
            axes.set_xlim(-0.3, 1.3)
        else:
            _number_ticks(axes, scale, known)
        axes.set_xlabel(shorten(option))
        axes.grid()


class _Scale:
    """Where values stand along an axis from 0 to 1: numbers by size or its logarithm, names in the order they came."""

    def __init__(self, values: Sequence[Value]) -> None:
        self.names = (
            [] if all(type(value) in (int, float) for value in values) else list(dict.fromkeys(map(str, values)))
        )
        numbers = [self.names.index(str(value)) if self.names else float(value) for value in values]
        heights = np.asarray(numbers, dtype=float)
        finite = heights[np.isfinite(heights)]
        self.numbers: list[float] = [] if self.names else sorted(set(finite.tolist()))
        self.is_logarithmic = not self.names and is_wide(finite)
        is_one = finite.size < 2 or np.ptp(finite) == 0
        low, high = padded(finite) if is_one else (float(finite.min()), float(finite.max()))
        self._low, self._high = low, high
        self.places = self._place(heights)
        self.of_names = self._place(np.arange(len(self.names), dtype=float))

    def ticks(self, metric: str) -> list[tuple[float, str]]:
        """Heights and what is written there: each name, each of a few numbers, or the smallest, middle and largest."""
        if self.names:
            return [(float(place), shorten(name)) for place, name in zip(self.of_names, self.names, strict=True)]
        middle = (self._low * self._high) ** 0.5 if self.is_logarithmic else (self._low + self._high) / 2
        is_few = not metric and 0 < len(self.numbers) <= _FEW
        shown = self.numbers if is_few else [self._low, middle, self._high]
        shows_percent = is_share(metric)
        texts = [f"{value:.1%}".replace("%", " %") if shows_percent else f"{value:.3g}" for value in shown]
        return list(zip(self._place(np.array(shown)).tolist(), texts, strict=True))

    def _place(self, heights: NDArray[Any]) -> NDArray[Any]:
        low, high = self._low, self._high
        if self.is_logarithmic:
            heights, low, high = np.log(heights), np.log(low), np.log(high)
        return np.asarray((heights - low) / (high - low))


def _number_ticks(axes: "Axes", scale: _Scale, known: Sequence[float]) -> None:
    """Ticks at the numbers themselves if they are few, on a logarithmic axis if they are wide apart."""
    from matplotlib.ticker import FixedLocator, LogLocator, NullFormatter, NullLocator, StrMethodFormatter

    if scale.is_logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
    if len(known) <= _FEW:
        axes.xaxis.set_major_locator(FixedLocator(list(known)))
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
