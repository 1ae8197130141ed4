"""A picture of how well probabilities rank: ROC and precision-recall curves side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from dlcourse.plots.picture import class_colors, house_style, new_figure, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_MOST_NAMED = 10
_TICKS = (0, 0.25, 0.5, 0.75, 1)


@dataclass(frozen=True, eq=False)
class RankedClass:
    """A class against the rest: false and true positive rates, recall and precision, x ascending, and the areas."""

    name: str
    roc: tuple[ArrayLike, ArrayLike]
    precision_recall: tuple[ArrayLike, ArrayLike]
    roc_auc: float
    average_precision: float


@dataclass(frozen=True, eq=False)
class RankingCurves:
    """The curves of each class and of the mean over the classes, if there are several."""

    classes: Sequence[RankedClass]
    mean: RankedClass | None = None

    @house_style()
    def draw(self) -> "Figure":
        """Up to ten classes have a color and their areas in the legend; of more, all are gray."""
        figure = new_figure(10.8, 4.5)
        left, right = figure.subplots(1, 2)
        left.plot((0, 1), (0, 1), color="0.5", linewidth=1, linestyle="--")
        is_few = len(self.classes) <= _MOST_NAMED
        colors = class_colors(len(self.classes)) if is_few else ["0.75"] * len(self.classes)
        width = 1.2 if self.mean else 2.0
        lines = [_draw(left, right, curve, color, width) for curve, color in zip(self.classes, colors, strict=True)]
        named = [*self.classes] if is_few else []
        shown = lines if is_few else []
        if self.mean is not None:
            shown = [_draw(left, right, self.mean, "black", 2.5), *shown]
            named = [self.mean, *named]
        against = f"'{shorten(self.classes[0].name)}'" if self.mean is None else "each class against the rest"
        left.set(xlabel="false positive rate", ylabel="true positive rate (recall)")
        left.set_title(f"ROC, {against}")
        right.set(xlabel="recall", ylabel="precision")
        right.set_title("Precision and recall")
        for axes in (left, right):
            axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xticks=_TICKS, yticks=_TICKS, aspect="equal")
            axes.grid()
        labels = [f"{shorten(curve.name)}: {curve.roc_auc:.4f}, {curve.average_precision:.4f}" for curve in named]
        legend = figure.legend(shown, labels, loc="outside right upper", title="area under ROC,\naverage precision")
        legend.set_alignment("left")
        return figure


def _draw(left: "Axes", right: "Axes", curve: RankedClass, color: str, width: float) -> "Line2D":
    """Draw both curves of a class, precision in steps, as average precision counts it; returns one for the legend."""
    (line,) = left.plot(*map(np.asarray, curve.roc), color=color, linewidth=width)
    right.plot(*map(np.asarray, curve.precision_recall), color=color, linewidth=width, drawstyle="steps-pre")
    return line
