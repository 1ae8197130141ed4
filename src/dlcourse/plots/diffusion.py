"""Pictures of clouds of points on their way between data and noise."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from dlcourse.plots.picture import COLORS, finite_points, house_style, new_figure, padded

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class PointStrip:
    """Clouds `(n, 2)` side by side on the same axes, each under its caption, with modes `(K, 2)` or none."""

    clouds: Sequence[ArrayLike]
    captions: Sequence[str]
    title: str = ""
    centers: ArrayLike = ()

    @house_style()
    def draw(self) -> "Figure":
        clouds = [np.asarray(cloud) for cloud in self.clouds]
        assert len(clouds) == len(self.captions) > 0, f"{len(self.captions)} captions for {len(clouds)} clouds"
        shown = [finite_points(cloud) for cloud in clouds]
        centers = np.asarray(self.centers, dtype=float).reshape(-1, 2)
        limits = padded(np.concatenate([*shown, centers]))
        side = 2.6 if len(clouds) > 1 else 5.6  # inches
        figure = new_figure(side * len(clouds) + 0.6, side + 1.0)
        panels = figure.subplots(1, len(clouds), sharex=True, sharey=True, squeeze=False)[0]
        for axes, cloud, all_points, caption in zip(panels, shown, clouds, self.captions, strict=True):
            lost = len(all_points) - len(cloud)
            if len(centers):
                axes.scatter(centers[:, 0], centers[:, 1], s=60, marker="+", color="0.2", linewidths=1)
            axes.scatter(cloud[:, 0], cloud[:, 1], s=6, alpha=0.4, linewidths=0, color=COLORS[0])
            axes.set(xlim=limits, ylim=limits, aspect="equal", xlabel="x1")
            axes.set_title(f"{caption}, {lost:,} not finite" if lost else caption, fontsize=11)
            axes.grid()
        panels[0].set_ylabel("x2")
        figure.suptitle(self.title, x=0.01, ha="left")
        return figure
