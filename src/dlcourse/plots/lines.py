"""Lines in one chart, a line or a bar for each run or setting: what a lecture compares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from dlcourse.plots.picture import COLORS, house_style, log_scale, new_figure, new_panels, percent_axis, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FEW_POINTS = 40
_LONG_AXIS = 300
"""From this ratio of its ends on a logarithmic axis has room for powers of ten alone."""


@dataclass(frozen=True, eq=False)
class LineChart:
    """Lines by name, each `(x, y)` of equal length; `x` and `y` name the axes, with units if they have one.

    With `share` y is shown in percent; its axis ends at `limits_y` where these are given. `at_x` and `at_y` are values by
    name that are marked by a thin line across. Where a value is NaN or infinite the line has a gap.
    """

    lines: Mapping[str, tuple[ArrayLike, ArrayLike]]
    x: str
    y: str
    title: str = ""
    log_x: bool = False
    log_y: bool = False
    share: bool = False
    at_x: Mapping[str, float] = field(default_factory=dict)
    at_y: Mapping[str, float] = field(default_factory=dict)
    limits_y: tuple[float | None, float | None] = (None, None)

    @house_style()
    def draw(self) -> "Figure":
        figure = new_figure(8.0, 5.0)
        axes = figure.subplots()
        draw_lines(axes, self)
        if len(self.lines) + len(self.at_x) + len(self.at_y) > 1:
            figure.legend(loc="outside right upper")
        return figure


@dataclass(frozen=True, eq=False)
class LineCharts:
    """Several charts beside each other, `columns` in a row."""

    charts: Sequence[LineChart]
    columns: int = 2
    title: str = ""

    @house_style()
    def draw(self) -> "Figure":
        figure, panels = new_panels(len(self.charts), self.columns, (4.6, 3.7), (0.8, 0.4))
        for axes, chart in zip(panels, self.charts, strict=True):
            draw_lines(axes, chart)
            if len(chart.lines) + len(chart.at_x) + len(chart.at_y) > 1:
                axes.legend(fontsize=9)
        if self.title:
            figure.suptitle(self.title, x=0.01, ha="left")
        return figure


def draw_lines(axes: "Axes", chart: LineChart) -> None:
    """Draw the chart into these axes, without its legend."""
    from matplotlib.ticker import MaxNLocator

    drawn = []
    for place, (name, (x, y)) in enumerate(chart.lines.items()):
        places, heights = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        heights = np.where(np.isfinite(heights), heights, np.nan)
        style = "-" if place < len(COLORS) else "--"
        marker = "o" if len(places) <= _FEW_POINTS else ""
        color = COLORS[place % len(COLORS)]
        axes.plot(places, heights, style, color=color, marker=marker, markersize=4, label=shorten(name))
        drawn.append(heights[np.isfinite(heights)])
    for at, along in ((chart.at_x, axes.axvline), (chart.at_y, axes.axhline)):
        for place, (name, value) in enumerate(at.items()):
            along(value, color="0.35", linestyle=(":", "--", "-.")[place % 3], linewidth=1.3, label=name, zorder=1)
    if chart.log_x:
        _log_x(axes)
    elif all((np.asarray(x, dtype=float) % 1 == 0).all() for x, _ in chart.lines.values()):
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))  # no half epochs
    heights = np.concatenate(drawn) if drawn else np.empty(0)
    if chart.log_y and heights.size and heights.min() > 0:
        log_scale(axes, heights)
    if chart.share:
        percent_axis(axes.yaxis, "accuracy")
    axes.set(xlabel=chart.x, ylabel=chart.y)
    axes.set_ylim(*chart.limits_y)
    axes.set_title(chart.title)
    axes.grid()


def _log_x(axes: "Axes") -> None:
    """Make the horizontal axis logarithmic, with plain numbers at its ticks: `0.001`, `10`, and `2` if there is room."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set_xscale("log")
    low, high = axes.get_xlim()
    is_short = high < _LONG_AXIS * low
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if is_short else (1,), numticks=9))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


@dataclass(frozen=True, eq=False)
class BarChart:
    """A value for each name as a bar, with an interval `(low, high)` or none; `value` names the axis, with its unit.

    With `share` it is in percent. `at` marks values by name with a thin line across.
    """

    bars: Mapping[str, float]
    value: str
    title: str = ""
    share: bool = False
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    at: Mapping[str, float] = field(default_factory=dict)

    @house_style()
    def draw(self) -> "Figure":
        figure = new_figure(8.0, 1.4 + 0.42 * len(self.bars))
        axes = figure.subplots()
        names, places = list(self.bars), np.arange(len(self.bars))
        axes.barh(places, list(self.bars.values()), color=COLORS[0], height=0.65)
        for place, name in enumerate(names):
            if name in self.intervals:
                axes.plot(self.intervals[name], (place, place), color="0.15", linewidth=1.6, marker="|", markersize=8)
        for name, value in self.at.items():
            axes.axvline(value, color=COLORS[1], linestyle="--", linewidth=1.4, label=name)
        axes.set_yticks(places, [shorten(name) for name in names])
        axes.invert_yaxis()
        if self.share:
            percent_axis(axes.xaxis, "accuracy")
        axes.set(xlabel=self.value)
        axes.set_title(self.title)
        axes.grid(axis="x")
        if self.at:
            figure.legend(loc="outside lower right")
        return figure
