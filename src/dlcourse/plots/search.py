"""Pictures of a search for good options: what its trials reached one after another, and how much each option matters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dlcourse.console import format_metric, is_share
from dlcourse.plots.picture import (
    COLORS,
    hide_frame,
    house_style,
    is_wide,
    log_scale,
    new_figure,
    percent_axis,
    shorten,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FAILED = "diverged or failed"
_BEYOND = 0.009
"""How far an axis of shares reaches beyond 0 and 1, for the points there."""


@dataclass(frozen=True, eq=False)
class SearchHistory:
    """What the trials of a search reached on validation, in their order, and which of them diverged or failed.

    `mode` says which numbers are better, `max` or `min`. A number that is not finite counts as diverged.
    """

    metric: str
    mode: str
    reached: Sequence[float]
    diverged: Sequence[bool]

    @house_style()
    def draw(self) -> "Figure":
        """A point for each trial, the best so far as a line, and a cross at the worst edge for each that diverged."""
        from matplotlib.ticker import MaxNLocator

        reached = np.where(self.diverged, np.nan, np.asarray(self.reached, dtype=float))
        reached[~np.isfinite(reached)] = np.nan
        figure = new_figure(8.0, 4.6)
        axes = figure.subplots()
        if np.isnan(reached).all():
            axes.set_yticks([])
        else:
            self._draw_reached(axes, reached)
        self._mark_failed(axes, np.flatnonzero(np.isnan(reached)) + 1)
        axes.set(xlabel="trial", ylabel=f"{shorten(self.metric)} on validation", xlim=(0.5, len(reached) + 0.5))
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
        axes.set_title(self._title(reached))
        axes.grid()
        figure.legend(loc="outside lower right", ncols=3)
        return figure

    def _draw_reached(self, axes: "Axes", reached: NDArray[np.float64]) -> None:
        trials, known = np.arange(1, len(reached) + 1), np.isfinite(reached)
        points = axes.scatter(trials[known], reached[known], s=30, color=COLORS[0], label="trial", zorder=3)
        points.set(edgecolors="white", linewidths=0.6)
        best = (np.fmax if self.mode == "max" else np.fmin).accumulate(reached)
        ends = np.append(trials, len(trials) + 0.5)
        axes.step(ends, np.append(best, best[-1]), where="post", color=COLORS[1], label="best so far")
        axes.margins(y=0.1)
        if is_share(self.metric):
            percent_axis(axes.yaxis, self.metric)
            low, high = axes.get_ylim()
            axes.set_ylim(max(low, -_BEYOND), min(high, 1 + _BEYOND))
        elif is_wide(reached[known]):
            log_scale(axes, reached[known])

    def _mark_failed(self, axes: "Axes", trials: NDArray[np.int64]) -> None:
        if trials.size:
            heights = np.full(trials.size, 0.03 if self.mode == "max" else 0.97)
            marks = axes.scatter(trials, heights, transform=axes.get_xaxis_transform(), marker="x", s=30, color="0.35")
            marks.set_label(f"{_FAILED} ({trials.size})")

    def _title(self, reached: NDArray[np.float64]) -> str:
        trials = f"{len(reached)} trial{'s' * (len(reached) != 1)}"
        if np.isnan(reached).all():
            return f"{trials}, all {_FAILED}"
        best = int(np.nanargmax(reached) if self.mode == "max" else np.nanargmin(reached))
        return f"{trials}, best {shorten(self.metric)} {format_metric(self.metric, reached[best])} in trial {best + 1}"


@dataclass(frozen=True, eq=False)
class OptionImportances:
    """The share of the variance of a validation number that each option explains, `shares[option]`; they sum to 1."""

    metric: str
    options: Sequence[str]
    shares: Sequence[float]

    @house_style()
    def draw(self) -> "Figure":
        """A bar for each option, the most important first, with percentages that sum to 100."""
        shares = np.asarray(self.shares, dtype=float)
        order = np.argsort(-shares, kind="stable")
        figure = new_figure(8.0, 1.2 + 0.36 * len(order))
        axes = figure.subplots()
        bars = axes.barh(np.arange(len(order)), shares[order], color=COLORS[0], height=0.7)
        axes.bar_label(bars, _percents(shares[order]), padding=4)
        axes.set_yticks(np.arange(len(order)), [shorten(self.options[place]) for place in order])
        axes.set_xticks([])
        axes.set(xlim=(0, 1.1 * shares.max()), ylim=(len(order) - 0.5, -0.5))
        hide_frame(axes)
        note = "On validation, by fANOVA (Hutter et al., 2014): single options only, scaled to a sum of 100 %"
        axes.set_xlabel(note, fontsize=9, loc="left")
        title = f"Share of the variance of {shorten(self.metric)} that each option explains"
        figure.suptitle(title, x=0.01, ha="left")
        return figure


def _percents(shares: NDArray[np.float64]) -> list[str]:
    """Whole percentages of shares that sum to 1: they sum to 100, as those with the largest remainders are rounded up."""
    whole = np.floor(100 * shares).astype(int)
    remainders = 100 * shares - whole
    whole[np.argsort(-remainders, kind="stable")[: 100 - whole.sum()]] += 1
    return [f"{percent} %" if percent or not share else "< 1 %" for percent, share in zip(whole, shares, strict=True)]
