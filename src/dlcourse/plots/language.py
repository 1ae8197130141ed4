"""Pictures of language models: what the tokens before are worth for predicting the next."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from dlcourse.plots.picture import COLORS, house_style, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FEW = 50


@dataclass(frozen=True, eq=False)
class LossByPosition:
    """The mean loss `(T,)` in nats of the prediction after 1, 2, ..., T tokens, beside `baselines` by name."""

    losses: ArrayLike
    baselines: Mapping[str, float] = field(default_factory=dict)

    @house_style()
    def draw(self) -> "Figure":
        losses = np.asarray(self.losses)
        assert losses.ndim == 1, f"losses of shape {losses.shape}"
        figure = new_figure(7.2, 5.2)
        axes = figure.subplots()
        positions = np.arange(1, len(losses) + 1)
        marker = "o" if len(losses) <= _FEW else ""
        axes.plot(positions, losses, color=COLORS[0], marker=marker, markersize=4, label="model")
        for color, (name, loss) in zip(COLORS[1:], self.baselines.items(), strict=False):
            axes.axhline(loss, color=color, linestyle="--", linewidth=1.5, label=f"{name}: {loss:.2f}")
        axes.set(xlabel="tokens read before the prediction", ylabel="loss in nats")
        axes.set_title("What the tokens before are worth")
        axes.grid()
        figure.legend(loc="outside right upper")
        return figure
