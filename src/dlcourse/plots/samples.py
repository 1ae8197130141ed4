"""Pictures of made-up points beside real ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlcourse.plots.picture import COLORS, finite_points, house_style, new_figure, padded

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class SampledPoints:
    """Real points `(n, 2)` and generated points `(m, 2)`, side by side on the same axes, with modes `(K, 2)` or none.

    n may be 0, and then the generated points stand alone.
    """

    real: ArrayLike
    generated: ArrayLike
    centers: ArrayLike = ()
    title: str = "Samples"

    @house_style()
    def draw(self) -> "Figure":
        """Real points and modes decide what is shown, or else most points; those far away are marked at the frame."""
        real, generated = np.asarray(self.real), np.asarray(self.generated)
        centers = np.asarray(self.centers, dtype=float).reshape(-1, 2)
        for points in (real, generated):
            assert points.ndim == 2 and points.shape[1] == 2, f"no points in the plane: shape {points.shape}"
        clouds = [("real", real, COLORS[0])] if len(real) else []
        clouds.append(("generated", generated, COLORS[1]))
        x_limits, y_limits = _limits(np.concatenate([real, centers]), generated)
        figure = new_figure(0.4 + 5.0 * len(clouds), 5.6)
        panels = figure.subplots(1, len(clouds), squeeze=False, sharex=True, sharey=True)[0]
        for axes, (name, points, color) in zip(panels, clouds, strict=True):
            axes.scatter(centers[:, 0], centers[:, 1], s=60, marker="+", color="0.2", linewidths=1, zorder=1)
            outside = _draw_points(axes, finite_points(points), (x_limits, y_limits), color)
            axes.set(xlim=x_limits, ylim=y_limits, aspect="equal", xlabel="x1", ylabel="x2")
            axes.set_title(_title(points, name, outside))
            axes.grid()
        figure.suptitle(self.title, x=0.01, ha="left")
        return figure


def _draw_points(axes: "Axes", points: NDArray[Any], limits: Sequence[tuple[float, float]], color: str) -> int:
    """Draw points `(n, 2)`, those beyond the limits as crosses at the frame, in their direction; returns how many."""
    low, high = np.array(limits).T  # (2,) both
    outside = ((points < low) | (points > high)).any(axis=1)
    inner, outer = points[~outside], points[outside].clip(low, high)
    axes.scatter(inner[:, 0], inner[:, 1], s=8, alpha=0.4, linewidths=0, color=color, zorder=2)
    if outside.any():
        axes.scatter(outer[:, 0], outer[:, 1], s=30, marker="x", linewidths=1, color=color, zorder=3, clip_on=False)
    return int(outside.sum())


def _title(points: NDArray[Any], name: str, outside: int) -> str:
    lost = len(points) - len(finite_points(points))
    parts = [f"{len(points):,} {name} points"]
    parts += [f"{outside:,} outside the frame"] if outside else []
    parts += [f"{lost:,} not finite"] if lost else []
    return ", ".join(parts)


def _limits(known: NDArray[Any], generated: NDArray[Any]) -> tuple[tuple[float, float], tuple[float, float]]:
    """What is shown of x1 and x2: all of the known points, and generated ones up to a quarter of their extent away.

    If none is known, 98 % of the generated ones in each direction and a margin stand for them.
    """
    generated = finite_points(generated)
    if len(known) == 0 and len(generated):
        low, high = np.quantile(generated, (0.01, 0.99), axis=0)
        known = np.stack([low - 0.25 * (high - low), high + 0.25 * (high - low)])
    if len(known) == 0:
        return padded(generated[:, 0]), padded(generated[:, 1])
    reach = 0.25 * float(np.ptp(known, axis=0).max())
    low, high = known.min(axis=0) - reach, known.max(axis=0) + reach
    shown = np.concatenate([known, generated.clip(low, high)])
    return padded(shown[:, 0]), padded(shown[:, 1])
