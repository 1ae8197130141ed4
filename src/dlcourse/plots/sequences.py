"""Pictures of series of numbers: a forecast beside what came.

n is the number of series shown, T the steps that were known, H the steps forecast.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from dlcourse.plots.picture import COLORS, house_style, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Forecast:
    """The past `(n, T)` of a few series, their true future `(n, H)` and the predicted one, a panel for each series."""

    past: ArrayLike
    true: ArrayLike
    predicted: ArrayLike

    @house_style()
    def draw(self) -> "Figure":
        past, true, predicted = np.asarray(self.past), np.asarray(self.true), np.asarray(self.predicted)
        assert true.shape == predicted.shape and len(past) == len(true), f"{past.shape} {true.shape} {predicted.shape}"
        figure = new_figure(8.0, 0.8 + 1.7 * len(past))
        panels = figure.subplots(len(past), 1, sharex=True, squeeze=False)[:, 0]
        steps = np.arange(-past.shape[1] + 1, true.shape[1] + 1)  # the last known value is at 0
        known = steps <= 0
        for axes, before, after, guess in zip(panels, past, true, predicted, strict=True):
            axes.plot(steps[known], before, color="0.5", label="past")
            axes.plot(steps[~known], after, color=COLORS[0], marker="o", markersize=4, label="true")
            axes.plot(
                steps[~known], guess, color=COLORS[1], marker="o", markersize=4, linestyle="--", label="predicted"
            )
            axes.axvline(0.5, color="0.4", linestyle=":", linewidth=1.5, zorder=1)
            axes.set_ylabel("value")
            axes.grid()
        panels[-1].set_xlabel("steps after the last known value")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
        figure.suptitle(f"Forecast of {true.shape[1]} {'step' if true.shape[1] == 1 else 'steps'}", x=0.01, ha="left")
        return figure
