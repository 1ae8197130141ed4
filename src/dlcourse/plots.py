"""Pictures as data with a `draw()`: what a report hands on, tests compare as numbers, and the logger turns into pixels.

Fields take numpy arrays, lists or detached CPU tensors. K is a number of classes, N of examples, G of grid points along
one axis; images are `(n, channels, height, width)`. matplotlib is imported at the first drawing, its pyplot never.
"""

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure

_DPI = 125
_STYLE = {
    "axes.axisbelow": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.titlesize": 13,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.w_pad": 0.08,
    "figure.titlesize": 13,
    "font.size": 11,
    "grid.color": "0.9",
    "legend.frameon": False,
    "lines.linewidth": 2,
    "text.parse_math": False,  # a class may be called "$5 to $10"
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
}
# Those of these that are installed stand in for glyphs that matplotlib's own font lacks.
_OTHER_SCRIPTS = (
    "Noto Sans CJK JP",
    "Noto Sans JP",
    "IPAexGothic",
    "Hiragino Sans",
    "Yu Gothic",
    "MS Gothic",
    "WenQuanYi Micro Hei",
    "Arial Unicode MS",
)
# Okabe and Ito, "Color Universal Design" (2008), without the yellow that is faint on white; classes beyond the seventh
# differ by marker.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = "os^DvP*X"
_SPLIT_COLOURS = {"train": "#0072B2", "val": "#D55E00", "test": "#009E73"}
_LONGEST_NAME = 24  # characters
_FEW_POINTS = 500


class Picture(Protocol):
    """Anything that draws itself."""

    def draw(self) -> "Figure":
        """A new figure on an Agg canvas."""


@contextmanager
def _house_style() -> Iterator[None]:
    """One look whatever matplotlibrc says, and no warning where no installed font has a class name's glyphs."""
    import matplotlib.style
    from matplotlib.font_manager import fontManager

    installed = set(fontManager.get_font_names())
    fonts = ["DejaVu Sans", *(name for name in _OTHER_SCRIPTS if name in installed)]
    with warnings.catch_warnings(), matplotlib.style.context(["default", {**_STYLE, "font.family": fonts}]):
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font", UserWarning)
        yield


def save_png(picture: Picture, path: str | os.PathLike[str]) -> None:
    """Draw to a PNG file that appears complete or not at all; raises OSError where the folder cannot be written."""
    path = Path(path)
    png = BytesIO()
    with _house_style():
        picture.draw().savefig(png, format="png")
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_bytes(png.getbuffer())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def to_image(picture: Picture) -> NDArray[np.uint8]:
    """Draw to RGB pixels `(height, width, 3)`, as TensorBoard takes them."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with _house_style():
        canvas: Any = FigureCanvasAgg(picture.draw())
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


@dataclass(frozen=True, eq=False)
class ConfusionMatrix:
    """Counts `(K, K)` of examples with true class (row) and predicted class (column)."""

    counts: ArrayLike
    class_names: Sequence[str]

    @_house_style()
    def draw(self) -> "Figure":
        """Colour is the share of the row under a square root, so that errors of 1 % can be seen."""
        from matplotlib.colors import PowerNorm

        counts = np.asarray(self.counts)
        num_classes = len(self.class_names)
        assert counts.shape == (num_classes, num_classes), f"{counts.shape} counts for {num_classes} classes"
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        names = [_shorten(name) for name in self.class_names]
        longest = max(map(len, names))
        side = float(np.clip(0.56 * num_classes, 3.0, 11.0))
        figure = _figure(side + 2.3 + 0.08 * longest, side + 1.1 + 0.06 * longest)
        axes = figure.subplots()
        image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1), interpolation="nearest")
        total, correct = int(counts.sum()), int(np.trace(counts))
        axes.set_title(f"Accuracy {_percent(correct, total, 2)}: {correct:,} of {total:,} examples")
        axes.set(xlabel="predicted", ylabel="true")
        _name_classes(axes, names)
        if num_classes <= 20:
            _write_counts(axes, counts, shares)
            _write_recall(axes, counts)
        bar = figure.colorbar(image, ax=axes, shrink=0.6, aspect=30, pad=0.02, label="share of true class")
        bar.set_ticks([0, 0.01, 0.05, 0.2, 0.5, 1], labels=["0 %", "1 %", "5 %", "20 %", "50 %", "100 %"])
        bar.outline.set_visible(False)
        return figure


def _name_classes(axes: "Axes", names: Sequence[str]) -> None:
    step = -(-len(names) // 40)  # more than 40 along one side cannot be read
    places, shown = range(0, len(names), step), names[::step]
    slant: dict[str, Any] = {"rotation": 45, "ha": "right"} if max(map(len, shown)) > 5 else {}
    axes.set_xticks(places, shown, **slant)
    axes.set_yticks(places, shown)
    _hide_frame(axes)


def _write_counts(axes: "Axes", counts: NDArray[Any], shares: NDArray[Any]) -> None:
    for (row, column), count in np.ndenumerate(counts):
        bright_on_dark = shares[row, column] > 0.51  # where white and black stand out equally, 4.6 to 1
        colour = "white" if bright_on_dark else "0.6" if count == 0 else "black"
        text = axes.text(column, row, str(count), color=colour, ha="center", va="center", fontsize=10)
        text.set_in_layout(False)  # it lies inside its cell, and measuring hundreds is slow


def _write_recall(axes: "Axes", counts: NDArray[Any]) -> None:
    recall = [_percent(counts[index, index], counts[index].sum(), 1) for index in range(len(counts))]
    right = axes.secondary_yaxis("right")
    right.set_yticks(range(len(counts)), recall)
    right.set_ylabel("recall", labelpad=8)
    _hide_frame(right)


@dataclass(frozen=True, eq=False)
class ImageGrid:
    """Images `(n, channels, height, width)` in [0, 1], grey or RGB, each over its caption; n may be 0."""

    images: ArrayLike
    captions: Sequence[str] = ()
    title: str = ""
    columns: int = 5

    @_house_style()
    def draw(self) -> "Figure":
        images = np.asarray(self.images)
        assert images.ndim == 4 and images.shape[1] in (1, 3), f"no grey or RGB images: shape {images.shape}"
        images = images.clip(0, 1).transpose(0, 2, 3, 1)  # (n, C, H, W) -> (n, H, W, C)
        pixels = images[..., 0] if images.shape[-1] == 1 else images
        figure, _ = _tiles(pixels, self.captions, self.columns, self.title, cmap="gray", vmin=0, vmax=1)
        return figure


@dataclass(frozen=True, eq=False)
class WeightImages:
    """Weights `(K, channels, height, width)` of one linear layer on images: what speaks for and against each class."""

    weights: ArrayLike
    names: Sequence[str]

    @_house_style()
    def draw(self) -> "Figure":
        """Weights of several channels are averaged."""
        weights = np.asarray(self.weights).mean(axis=1)  # (K, C, H, W) -> (K, H, W)
        limit = float(np.abs(weights).max()) or 1.0
        title = "Weight of each pixel for each class"
        figure, axes = _tiles(weights, self.names, 5, title, cmap="RdBu_r", vmin=-limit, vmax=limit)
        figure.set_figwidth(figure.get_figwidth() + 1.1)
        bar = figure.colorbar(axes.images[0], ax=axes, shrink=0.8, aspect=30, label="weight")
        bar.outline.set_visible(False)
        return figure


@dataclass(frozen=True, eq=False)
class PredictedVsTrue:
    """True and predicted values `(N,)` of `quantity`, which is a name and, where there is one, a unit."""

    true: ArrayLike
    predicted: ArrayLike
    quantity: str = "value"

    @_house_style()
    def draw(self) -> "Figure":
        true, predicted = np.asarray(self.true), np.asarray(self.predicted)
        assert true.shape == predicted.shape and true.ndim == 1, f"shapes {true.shape} and {predicted.shape}"
        figure = _figure(6.4, 6.4)
        axes = figure.subplots()
        limits = _padded(np.concatenate([true, predicted]))
        axes.plot(limits, limits, color="0.2", linewidth=1.5, linestyle="--", label="perfect prediction")
        _scatter(axes, true, predicted, color=_COLOURS[0])
        axes.set(xlim=limits, ylim=limits, aspect="equal")
        axes.set(xlabel=f"true {self.quantity}", ylabel=f"predicted {self.quantity}")
        axes.set_title(f"{_r_squared(true, predicted)}, {len(true):,} examples")
        axes.grid()
        axes.legend(loc="upper left")
        return figure


@dataclass(frozen=True, eq=False)
class FittedCurve:
    """Points `(N,)` and the model's curve `(G,)` through them, drawn in the order given.

    `names` are those of the input and the target, with units where they have one.
    """

    x: ArrayLike
    y: ArrayLike
    curve_x: ArrayLike
    curve_y: ArrayLike
    names: tuple[str, str] = ("x", "y")

    @_house_style()
    def draw(self) -> "Figure":
        """A curve that leaves the points by more than half their height is cut off."""
        y, curve_y = np.asarray(self.y), np.asarray(self.curve_y)
        figure = _figure(7.2, 5.2)
        axes = figure.subplots()
        _scatter(axes, np.asarray(self.x), y, color=_COLOURS[0], label="data")
        axes.plot(np.asarray(self.curve_x), curve_y, color=_COLOURS[1], linewidth=2.5, label="model")
        reach = np.ptp(y) / 2
        axes.set_ylim(_padded(np.append(y, curve_y.clip(y.min() - reach, y.max() + reach))))
        axes.set(xlabel=self.names[0], ylabel=self.names[1])
        axes.set_title(f"Fitted curve and {len(y):,} examples")
        axes.grid()
        axes.legend()
        return figure


@dataclass(frozen=True, eq=False)
class DecisionBoundary:
    """Points `(N, 2)` with classes `(N,)`, over the probabilities `(G, G, K)` on a grid.

    `probabilities[row, column]` belongs to the point `(grid_x[column], grid_y[row])`; both axes ascend evenly.
    """

    points: ArrayLike
    labels: ArrayLike
    grid_x: ArrayLike
    grid_y: ArrayLike
    probabilities: ArrayLike
    class_names: Sequence[str]
    feature_names: Sequence[str] = ("x1", "x2")

    @_house_style()
    def draw(self) -> "Figure":
        """Each region has its class's colour, paler where the model is less sure; lines part the regions."""
        grid_x, grid_y = np.asarray(self.grid_x), np.asarray(self.grid_y)
        probabilities = np.asarray(self.probabilities)
        expected = (len(grid_y), len(grid_x), len(self.class_names))
        assert probabilities.shape == expected, f"probabilities are {probabilities.shape}, expected {expected}"
        figure = _figure(7.2, 6.0)
        axes = figure.subplots()
        _shade_regions(axes, grid_x, grid_y, probabilities)
        marks = self._mark_points(axes)
        axes.set(xlim=(grid_x[0], grid_x[-1]), ylim=(grid_y[0], grid_y[-1]))
        axes.set(xlabel=self.feature_names[0], ylabel=self.feature_names[1])
        axes.set_title("Predicted class: the paler, the less sure")
        names = [_shorten(name) for name in self.class_names]
        figure.legend(marks, names, loc="outside right upper", title="true class", alignment="left")
        return figure

    def _mark_points(self, axes: "Axes") -> list["PathCollection"]:
        points, labels = np.asarray(self.points), np.asarray(self.labels)
        size = 36 if len(points) <= _FEW_POINTS else 16
        return [
            axes.scatter(
                points[labels == index, 0],
                points[labels == index, 1],
                s=size,
                color=_class_colour(index),
                marker=_MARKERS[index % len(_MARKERS)],
                edgecolors="white",
                linewidths=0.8,
            )
            for index in range(len(self.class_names))
        ]


def _shade_regions(axes: "Axes", grid_x: NDArray[Any], grid_y: NDArray[Any], probabilities: NDArray[Any]) -> None:
    from matplotlib.colors import to_rgb

    num_classes = probabilities.shape[-1]
    winner = probabilities.argmax(axis=-1)
    chance = 1 / num_classes
    confidence = (probabilities.max(axis=-1, keepdims=True) - chance) / (1 - chance)  # 0 is a guess, 1 is certain
    colours = np.array([to_rgb(_class_colour(index)) for index in range(num_classes)])
    strength = 0.12 + 0.43 * confidence.clip(0, 1)
    shaded = 1 - strength * (1 - colours[winner])  # (G, G, 3)
    extent = (grid_x[0], grid_x[-1], grid_y[0], grid_y[-1])
    axes.imshow(shaded, extent=extent, origin="lower", aspect="auto", interpolation="nearest")
    for index in range(num_classes):
        lead = probabilities[..., index] - np.delete(probabilities, index, axis=-1).max(axis=-1)
        if lead.min() < 0 < lead.max():  # a class that wins everywhere or nowhere has no boundary
            axes.contour(grid_x, grid_y, lead, levels=[0], colors="0.15", linewidths=1.5)


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """Values per epoch, `{"train/loss": [...], "val/loss": [...], "val/accuracy": [...]}`, as long as `epochs`.

    NaN or None stands for an epoch without that value.
    """

    epochs: Sequence[int]
    series: Mapping[str, Sequence[float | None]]
    best_epoch: int | None = None

    @_house_style()
    def draw(self) -> "Figure":
        """One panel for each metric, the word after the slash; the loss comes first."""
        metrics = sorted({name.rpartition("/")[2]: None for name in self.series}, key=lambda metric: metric != "loss")
        figure = _figure(1.2 + 4.4 * len(metrics), 4.4)
        panels = figure.subplots(1, len(metrics), squeeze=False)[0]
        for axes, metric in zip(panels, metrics, strict=True):
            self._draw_metric(axes, metric)
        best = "" if self.best_epoch is None else f", best epoch {self.best_epoch}"
        figure.suptitle(f"Learning curves{best}", x=0.01, ha="left")
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
            line.set(
                color=_SPLIT_COLOURS.get(split, _COLOURS[3]), marker="o" if len(epochs) <= 30 else "", markersize=4
            )
            drawn.append(heights[known])
        if self.best_epoch is not None:
            axes.axvline(self.best_epoch, color="0.4", linestyle=":", linewidth=1.5, label="best epoch", zorder=1)
        if "accuracy" in metric:
            axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        else:
            _log_scale_where_wide(axes, np.concatenate(drawn))
        margin = max(0.5, 0.03 * float(np.ptp(epochs)))
        axes.set_xlim(epochs.min() - margin, epochs.max() + margin)
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
        axes.set(xlabel="epoch", ylabel=metric)
        axes.grid()
        axes.legend()


def _log_scale_where_wide(axes: "Axes", values: NDArray[Any]) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    if values.size and values.min() > 0 and values.max() > 20 * values.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())


def _figure(width: float, height: float) -> "Figure":
    """An empty figure of this size in inches, known to no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DPI, layout="compressed")
    FigureCanvasAgg(figure)
    return figure


def _tiles(
    pixels: NDArray[Any], captions: Sequence[str], columns: int, title: str, **colouring: Any
) -> tuple["Figure", "Axes"]:
    """Images `(n, H, W)` or `(n, H, W, 3)` side by side in one axes: much quicker than an axes for each."""
    assert len(captions) in (0, len(pixels)), f"{len(captions)} captions for {len(pixels)} images"
    title = title if len(pixels) else f"{title}: none"
    lines = [[_shorten(line) for line in caption.splitlines()] for caption in captions]
    width = float(np.clip(0.09 * max((len(line) for block in lines for line in block), default=0), 1.3, 2.0))  # inches
    columns = max(1, min(columns, len(pixels)))
    rows = max(1, -(-len(pixels) // columns))
    aspect = pixels.shape[1] / pixels.shape[2]
    pitch = aspect + 0.06 + 0.2 / width * max((len(block) for block in lines), default=0)  # in image widths
    figure = _figure(max(0.11 * len(title), 1.06 * width * columns) + 0.3, width * pitch * rows + 0.6)
    axes = figure.subplots()
    axes.axis("off")
    figure.suptitle(title, x=0.01, ha="left")
    for index, image in enumerate(pixels):
        row, column = divmod(index, columns)
        left, top = 1.06 * column, pitch * row
        axes.imshow(image, extent=(left, left + 1, top + aspect, top), interpolation="nearest", **colouring)
        if lines:
            axes.text(left + 0.5, top + aspect + 0.03, "\n".join(lines[index]), ha="center", va="top", fontsize=10)
    axes.set(xlim=(0, 1.06 * columns - 0.06), ylim=(pitch * rows, 0), aspect="equal")
    return figure, axes


def _scatter(axes: "Axes", x: NDArray[Any], y: NDArray[Any], **style: Any) -> None:
    """Points over the lines where there are few; where there are many, their density under the lines."""
    if len(x) <= _FEW_POINTS:
        axes.scatter(x, y, s=36, edgecolors="white", linewidths=0.8, zorder=3, **style)
    else:
        axes.scatter(x, y, s=12, alpha=0.3, linewidths=0, zorder=1, **style)


def _hide_frame(axes: Any) -> None:
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def _padded(values: NDArray[Any]) -> tuple[float, float]:
    """Limits a little wider than the values; equal values get a range of 2 around them."""
    low, high = float(values.min()), float(values.max())
    margin = 0.04 * (high - low) or 1.0
    return low - margin, high + margin


def _percent(part: int, whole: int, decimals: int) -> str:
    return f"{part / whole:.{decimals}%}".replace("%", " %") if whole else "undefined"


def _r_squared(true: NDArray[Any], predicted: NDArray[Any]) -> str:
    """`R² = 0.53`: the share of the variance that is predicted, undefined where there is no variance."""
    variation = ((true - true.mean()) ** 2).sum()
    if variation == 0:
        return "R² undefined"
    return f"R² = {1 - ((true - predicted) ** 2).sum() / variation:.3f}"


def _class_colour(index: int) -> str:
    return _COLOURS[index % len(_COLOURS)]


def _shorten(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
