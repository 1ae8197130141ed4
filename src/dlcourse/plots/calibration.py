"""A picture of calibration: how often a model is right beside how confident it is."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from dlcourse.plots.picture import COLORS, house_style, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class ReliabilityDiagram:
    """Of M bins of confidence, equally wide from 0 to 1: number of predictions, mean confidence, accuracy, `(M,)` each.

    `error` is the expected calibration error, for the title.
    """

    counts: ArrayLike
    confidence: ArrayLike
    accuracy: ArrayLike
    error: float

    @house_style()
    def draw(self) -> "Figure":
        """Bars of accuracy by confidence against the diagonal of a calibrated model, over the share of predictions."""
        from matplotlib.ticker import PercentFormatter

        counts = np.asarray(self.counts)
        width = 1 / len(counts)
        middles = (np.arange(len(counts)) + 0.5) * width
        some = counts > 0
        confidence, accuracy = np.asarray(self.confidence)[some], np.asarray(self.accuracy)[some]
        figure = new_figure(6.4, 6.8)
        figure.set_layout_engine("none")  # which takes as long as drawing, and here no text varies
        places = {"left": 0.13, "right": 0.96, "bottom": 0.12, "top": 0.93, "hspace": 0.08}
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1), gridspec_kw=places)
        upper.bar(middles[some], accuracy, width, color=COLORS[0], alpha=0.35, edgecolor="white", label="accuracy")
        upper.plot((0, 1), (0, 1), color="0.2", linewidth=1.5, linestyle="--", label="calibrated: equal to confidence")
        upper.plot(confidence, accuracy, "o", color=COLORS[0], markersize=5, label="accuracy at mean confidence")
        upper.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="accuracy")
        upper.set_title(f"Reliability diagram: expected calibration error {100 * self.error:.2f} %")
        upper.legend(loc="upper left")
        lower.bar(middles, counts / max(counts.sum(), 1), width, color="0.6", edgecolor="white")
        lower.set(xlabel="confidence: probability of the predicted class", ylabel="share of examples", ylim=(0, None))
        for axis in (upper.xaxis, upper.yaxis, lower.yaxis):
            axis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
        for axes in (upper, lower):
            axes.grid()
        return figure
