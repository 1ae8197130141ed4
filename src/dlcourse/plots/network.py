"""The stages of a network beside each other: how large what passes through is, and where the parameters are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dlcourse.plots.picture import COLORS, house_style, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDEST = 0.9  # of the distance between two stages
_DEPTH = 0.42  # how far a solid goes back, of its side


@dataclass(frozen=True)
class Stage:
    """A layer: its kind, the shape of what comes out, `(channels, height, width)` or `(units,)`, and its parameters."""

    kind: str
    shape: tuple[int, ...]
    parameters: int = 0


@dataclass(frozen=True, eq=False)
class NetworkDiagram:
    """Stages from left to right. Solids have the height of the feature maps and the width of their number, roughly."""

    stages: Sequence[Stage]
    title: str = ""

    @house_style()
    def draw(self) -> "Figure":
        figure = new_figure(1.75 * len(self.stages) + 0.4, 4.0)
        axes = figure.subplots()
        axes.axis("off")
        tallest = max(stage.shape[-1] if len(stage.shape) == 3 else 1 for stage in self.stages)
        for place, stage in enumerate(self.stages):
            top = _draw_stage(axes, place, stage, tallest)
            axes.text(place, -0.08, "x".join(map(str, stage.shape)), ha="center", va="top", fontsize=11)
            axes.text(place, -0.23, stage.kind, ha="center", va="top", fontsize=10, color="0.4")
            if stage.parameters:
                text = f"{stage.parameters:,}"
                axes.text(place, top + 0.06, text, ha="center", va="bottom", fontsize=11, color=COLORS[1])
        total = sum(stage.parameters for stage in self.stages)
        axes.set(xlim=(-0.6, len(self.stages) - 0.4), ylim=(-0.36, 1.65))
        figure.suptitle(f"{self.title}: {total:,} parameters (red)", x=0.01, ha="left")
        return figure


def _draw_stage(axes: "Axes", place: int, stage: Stage, tallest: int) -> float:
    """A solid for feature maps, a column for units, from 0 up; returns how high it reaches."""
    from matplotlib.patches import Polygon, Rectangle

    color = COLORS[0] if stage.parameters else "0.6"
    style: dict[str, Any] = {"facecolor": color, "edgecolor": "white", "linewidth": 1.0}
    if len(stage.shape) == 1:
        height = 0.15 + 0.14 * np.log2(stage.shape[0])
        axes.add_patch(Rectangle((place - 0.06, 0), 0.12, height, **style))
        return float(height)
    channels, side = stage.shape[0], stage.shape[-1] / tallest
    width = _WIDEST * 0.07 * np.log2(1 + channels)
    back = _DEPTH * side
    left, right = place - width / 2 - 0.15 * back, place + width / 2 - 0.15 * back
    axes.add_patch(Rectangle((left, 0), right - left, side, **style, alpha=0.95))
    top = [(left, side), (left + 0.5 * back, side + back), (right + 0.5 * back, side + back), (right, side)]
    face = [(right, 0), (right + 0.5 * back, back), (right + 0.5 * back, side + back), (right, side)]
    axes.add_patch(Polygon(top, **style, alpha=0.45))
    axes.add_patch(Polygon(face, **style, alpha=0.7))
    return float(side + back)
