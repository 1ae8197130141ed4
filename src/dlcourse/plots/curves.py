"""Pictures of numbers against numbers: predicted against true, a fitted curve, and metrics over the epochs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlcourse.plots.picture import COLORS, house_style, log_scale, new_figure, padded, scatter

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SPLIT_COLORS = {"train": COLORS[0], "val": COLORS[1], "test": COLORS[2], "ema": COLORS[3], "swa": COLORS[4]}


@dataclass(frozen=True, eq=False)
class PredictedVsTrue:
    """True and predicted values `(N,)` of `quantity`, which is a name and, if there is one, a unit."""

    true: ArrayLike
    predicted: ArrayLike
    quantity: str = "value"

    @house_style()
    def draw(self) -> "Figure":
        true, predicted = np.asarray(self.true), np.asarray(self.predicted)
        assert true.shape == predicted.shape and true.ndim == 1, f"shapes {true.shape} and {predicted.shape}"
        figure = new_figure(6.4, 6.4)
        axes = figure.subplots()
        limits = padded(np.concatenate([true, predicted]))
        axes.plot(limits, limits, color="0.2", linewidth=1.5, linestyle="--", label="perfect prediction")
        scatter(axes, true, predicted, color=COLORS[0])
        axes.set(xlim=limits, ylim=limits, aspect="equal")
        axes.set(xlabel=f"true {self.quantity}", ylabel=f"predicted {self.quantity}")
        axes.set_title(f"{_r_squared(true, predicted)}, {len(true):,} examples")
        axes.grid()
        axes.legend(loc="upper left")
        return figure


def _r_squared(true: NDArray[Any], predicted: NDArray[Any]) -> str:
    """`R² = 0.53`: the share of the variance that is predicted, undefined if there is no variance."""
    variation = ((true - true.mean()) ** 2).sum()
    if variation == 0:
        return "R² undefined"
    return f"R² = {1 - ((true - predicted) ** 2).sum() / variation:.3f}"


@dataclass(frozen=True, eq=False)
class FittedCurve:
    """Points `(N,)` and the model's curve `(G,)` through them, drawn in the order given.

    `names` are those of the input and the target, with units if they have one.
    """

    x: ArrayLike
    y: ArrayLike
    curve_x: ArrayLike
    curve_y: ArrayLike
    names: tuple[str, str] = ("x", "y")

    @house_style()
    def draw(self) -> "Figure":
        """A curve that leaves the points by more than half their height is cut off."""
        y, curve_y = np.asarray(self.y), np.asarray(self.curve_y)
        figure = new_figure(7.2, 5.2)
        axes = figure.subplots()
        scatter(axes, np.asarray(self.x), y, color=COLORS[0], label="data")
        axes.plot(np.asarray(self.curve_x), curve_y, color=COLORS[1], linewidth=2.5, label="model")
        reach = np.ptp(y) / 2
        axes.set_ylim(padded(np.append(y, curve_y.clip(y.min() - reach, y.max() + reach))))
        axes.set(xlabel=self.names[0], ylabel=self.names[1])
        axes.set_title(f"Fitted curve and {len(y):,} examples")
        axes.grid()
        axes.legend()
        return figure


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """Values per epoch, `{"train/loss": [...], "val/loss": [...], "val/accuracy": [...]}`, as long as `epochs`.

    NaN or None stands for an epoch without that value.
    """

    epochs: Sequence[int]
    series: Mapping[str, Sequence[float | None]]
    kept_epoch: int | None = None
    """The epoch whose weights are kept."""
    kept_as: str = ""
    """Why they are: `best` or `last`."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What metrics are called at their axes, if not as in `series`."""

    @house_style()
    def draw(self) -> "Figure":
        """One panel for each metric, the word after the slash; the loss comes first."""
        metrics = sorted({name.rpartition("/")[2]: None for name in self.series}, key=lambda metric: metric != "loss")
        figure = new_figure(1.2 + 4.4 * len(metrics), 4.4)
        panels = figure.subplots(1, len(metrics), squeeze=False)[0]
        for axes, metric in zip(panels, metrics, strict=True):
            self._draw_metric(axes, metric)
        kept = "" if self.kept_epoch is None else f", {f'{self.kept_as} epoch'.lstrip()} {self.kept_epoch} kept"
        figure.suptitle(f"Learning curves{kept}", x=0.01, ha="left")
        return figure

    def _draw_metric(self, axes: "Axes", metric: str) -> None:
        from matplotlib.ticker import MaxNLocator, PercentFormatter

        epochs = np.asarray(self.epochs)
        drawn = [np.empty(0)]
        for name, values in self.series.items():
            split, _, its_metric = name.rpartition("/")
            if its_metric != metric:
                continue
            heights = np.array(values, dtype=float)
            known = np.isfinite(heights)
            (line,) = axes.plot(epochs[known], heights[known], label=split or metric)
            line.set(color=_SPLIT_COLORS.get(split, COLORS[3]), marker="o" if len(epochs) <= 30 else "", markersize=4)
            drawn.append(heights[known])
        if self.kept_epoch is not None:
            axes.axvline(self.kept_epoch, color="0.4", linestyle=":", linewidth=1.5, label="kept epoch", zorder=1)
        if "accuracy" in metric:
            axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        else:
            _log_scale_where_wide(axes, np.concatenate(drawn))
        margin = max(0.5, 0.03 * float(np.ptp(epochs)))
        axes.set_xlim(epochs.min() - margin, epochs.max() + margin)
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
        axes.set(xlabel="epoch", ylabel=self.labels.get(metric, metric))
        axes.grid()
        axes.legend()


def _log_scale_where_wide(axes: "Axes", values: NDArray[Any]) -> None:
    if values.size and values.min() > 0 and values.max() > 20 * values.min():
        log_scale(axes, values)
