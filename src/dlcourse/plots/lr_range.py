"""The picture of a learning-rate range test: the loss against the learning rate, and the rate that it suggests."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from dlcourse.plots.picture import COLORS, house_style, new_figure, padded

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class LrRangeCurve:
    """Losses `(R, N)` of several tests at learning rates `(N,)`, their smoothed mean `(N,)`, and what it suggests, if so."""

    lrs: ArrayLike
    losses: ArrayLike
    smoothed: ArrayLike
    suggestion: float | None
    subject: str = ""

    @house_style()
    def draw(self) -> "Figure":
        """What exceeds the smoothed losses by more than half their range is cut off."""
        from matplotlib.ticker import NullFormatter, StrMethodFormatter

        lrs, losses, smoothed = np.asarray(self.lrs), np.asarray(self.losses), np.asarray(self.smoothed)
        figure = new_figure(7.2, 4.6)
        axes = figure.subplots()
        for number, test in enumerate(losses):
            axes.plot(lrs, test, color="0.75", linewidth=1, label="" if number else f"{len(losses)} tests")
        axes.plot(lrs, smoothed, color=COLORS[0], linewidth=2.5, label="mean, smoothed")
        if self.suggestion is not None:
            height = float(np.interp(np.log(self.suggestion), np.log(lrs), smoothed))
            axes.plot([self.suggestion], [height], "o", color=COLORS[1], markersize=9, zorder=4)
            axes.axvline(self.suggestion, color=COLORS[1], linestyle=":", label=f"falls fastest: {self.suggestion:g}")
        reach = float(np.ptp(smoothed)) / 2
        axes.set_ylim(padded(losses.clip(smoothed.min() - reach, smoothed.max() + reach)))
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set(xlabel="learning rate, raised with each update", ylabel="training loss")
        axes.set_title(f"Learning-rate range test{f', {self.subject}' if self.subject else ''}")
        axes.grid()
        axes.legend(loc="lower left")
        return figure
