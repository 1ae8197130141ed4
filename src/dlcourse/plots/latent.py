"""Pictures of codes: where examples lie among them, which dimensions say something, and what the decoder makes of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlcourse.plots.picture import (
    COLORS,
    class_colors,
    class_markers,
    finite_images,
    house_style,
    new_figure,
    padded,
    shorten,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_NAMED = 20  # classes in a legend
_MOST_BARS = 64


@dataclass(frozen=True, eq=False)
class LatentScatter:
    """Two numbers of each code `(N, 2)`, colored by class `(N,)`, or by a number `(N,)` if there are no class names."""

    codes: ArrayLike
    colors: ArrayLike
    class_names: Sequence[str] = ()
    axis_names: tuple[str, str] = ("z1", "z2")

    @house_style()
    def draw(self) -> "Figure":
        """Of many classes only the first are named."""
        codes, colors = np.asarray(self.codes), np.asarray(self.colors)
        assert codes.shape == (len(colors), 2), f"{codes.shape} codes for {colors.shape} colors"
        figure = new_figure(7.6, 6.4)
        axes = figure.subplots()
        size = 24 if len(codes) <= 1000 else 8
        if self.class_names:
            self._mark_classes(axes, size)
            figure.legend(loc="outside right upper", title="class", alignment="left", markerscale=24 / size)
        else:
            points = axes.scatter(codes[:, 0], codes[:, 1], s=size, c=colors, cmap="viridis", linewidths=0)
            figure.colorbar(points, ax=axes, label="target")
        axes.set(xlim=padded(codes[:, 0]), ylim=padded(codes[:, 1]))
        axes.set(xlabel=self.axis_names[0], ylabel=self.axis_names[1])
        axes.set_title(f"Codes of {len(codes):,} examples")
        return figure

    def _mark_classes(self, axes: "Axes", size: int) -> None:
        """If there are too many classes for an eye to match colors with a legend, each has its name in its middle."""
        codes, classes = np.asarray(self.codes), np.asarray(self.colors)
        num_classes = len(self.class_names)
        styles = zip(self.class_names, class_colors(num_classes), class_markers(num_classes), strict=True)
        for index, (name, color, marker) in enumerate(styles):
            chosen = codes[classes == index]
            is_named = index < _MOST_NAMED
            axes.scatter(
                chosen[:, 0],
                chosen[:, 1],
                s=size,
                alpha=0.6,
                color=color,
                marker=marker,
                linewidths=0,
                label=shorten(name) if is_named else None,
            )
            if is_named and len(chosen) and num_classes > len(COLORS):
                _write_name(axes, shorten(name), np.median(chosen, axis=0))


def _write_name(axes: "Axes", name: str, place: NDArray[Any]) -> None:
    from matplotlib.patheffects import withStroke

    halo = withStroke(linewidth=3, foreground="white")
    axes.text(place[0], place[1], name, ha="center", va="center", fontweight="bold", path_effects=[halo])


@dataclass(frozen=True, eq=False)
class KLPerDimension:
    """Mean divergence `(L,)` in nats of each dimension of the code, and which of them are active, `(L,)` of truths."""

    kl: ArrayLike
    active: ArrayLike

    @house_style()
    def draw(self) -> "Figure":
        """Largest first; of more than fit side by side, the largest."""
        kl, active = np.asarray(self.kl), np.asarray(self.active, dtype=bool)
        assert kl.shape == active.shape, f"{kl.shape} divergences, {active.shape} truths"
        order = np.argsort(-kl, kind="stable")[:_MOST_BARS]
        figure = new_figure(max(5.0, 0.3 * len(order) + 1.5), 4.4)
        axes = figure.subplots()
        places = np.arange(len(order))
        for wanted, color, label in ((True, COLORS[0], "active"), (False, "0.7", "not active")):
            chosen = active[order] == wanted
            if chosen.any():
                axes.bar(places[chosen], kl[order][chosen], color=color, label=label)
        axes.set_xticks(places, [str(index + 1) for index in order])
        axes.set(xlabel="dimension of the code", ylabel="KL (nats)")
        axes.set_title(f"{int(active.sum())} of {len(kl)} dimensions active, {kl.sum():.1f} nats in all")
        axes.grid(axis="y")
        axes.legend()
        return figure


@dataclass(frozen=True, eq=False)
class ImageSheet:
    """Images `(rows, columns, channels, height, width)` in [0, 1] side by side, each row with its name, if any."""

    images: ArrayLike
    title: str
    row_names: Sequence[str] = ()
    column_names: Sequence[str] = ()

    @house_style()
    def draw(self) -> "Figure":
        images, title = finite_images(np.asarray(self.images), self.title)
        assert images.ndim == 5 and images.shape[2] in (1, 3), f"no rows of gray or RGB images: shape {images.shape}"
        rows, columns, _, height, width = images.shape
        sheet = images.transpose(0, 3, 1, 4, 2).reshape(rows * height, columns * width, -1)
        across = float(np.clip(0.7 * columns, 3.0, 9.0))  # inches
        figure = new_figure(across + 1.2, across * rows * height / (columns * width) + 0.9)
        axes = figure.subplots()
        pixels = sheet[..., 0] if sheet.shape[-1] == 1 else sheet
        axes.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.spines[:].set_visible(False)
        axes.set_xticks([width * (place + 0.5) - 0.5 for place in range(len(self.column_names))], self.column_names)
        axes.set_yticks([height * (place + 0.5) - 0.5 for place in range(len(self.row_names))], self.row_names)
        axes.tick_params(length=0)
        axes.set_title(title)
        return figure
