"""What every picture shares: the protocol, the house style, the way to pixels and files, and small parts of drawings."""

import contextlib
import io
import os
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dlcourse.console import is_share
from dlcourse.files import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
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
JAPANESE_FONTS = ("Noto Sans CJK JP", "Noto Sans JP", "IPAexGothic", "Hiragino Sans", "Yu Gothic", "MS Gothic")
_OTHER_SCRIPTS = (*JAPANESE_FONTS, "WenQuanYi Micro Hei", "Arial Unicode MS")
# Okabe and Ito, "Color Universal Design" (2008), without the yellow that is faint on white; for more classes Petroff,
# "Accessible Color Sequences for Data Visualization" (2021). Both can be told apart with any kind of color blindness.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_TEN_COLORS = (
    *("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6"),
    *("#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"),
)
MARKERS = "os^DvP*X"
_LONGEST_NAME = 24  # characters
FEW_POINTS = 500
_WIDE = 10.0
_LONG_SCALE = 4  # powers of ten


class Picture(Protocol):
    """Anything that draws itself."""

    def draw(self) -> "Figure":
        """A new figure, drawn in the house style."""


@contextlib.contextmanager
def house_style() -> Iterator[None]:
    """One look whatever matplotlibrc says, and no warning if no installed font has a class name's glyphs."""
    is_first = "matplotlib" not in sys.modules
    with _without_variables():
        import matplotlib.style
        from matplotlib.font_manager import fontManager
    if is_first and (backend := os.environ.get("MPLBACKEND")):
        with contextlib.suppress(ValueError):  # by which a notebook shows the figures of others, who import it after us
            matplotlib.rcParams["backend"] = backend

    installed = set(fontManager.get_font_names())
    fonts = ["DejaVu Sans", *(name for name in _OTHER_SCRIPTS if name in installed)]
    with warnings.catch_warnings(), matplotlib.style.context(["default", {**_STYLE, "font.family": fonts}]):
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font", UserWarning)
        yield


def japanese_fonts() -> list[str]:
    """The fonts with Japanese characters that are installed, of those that pictures use, newly installed ones included."""
    with _without_variables():
        from matplotlib.font_manager import findSystemFonts, fontManager

    if not set(JAPANESE_FONTS) & set(fontManager.get_font_names()):
        known = {font.fname for font in fontManager.ttflist}
        for path in set(findSystemFonts()) - known:
            with contextlib.suppress(RuntimeError, OSError, ValueError):  # of files that are no font
                fontManager.addfont(path)
    return [name for name in JAPANESE_FONTS if name in set(fontManager.get_font_names())]


@contextlib.contextmanager
def _without_variables() -> Iterator[None]:
    """Import matplotlib in this: what these ask for is nothing to us, and if it is wrong, the import fails."""
    before = {name: os.environ.pop(name) for name in ("MPLBACKEND", "MATPLOTLIBRC") if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(before)


@dataclass(frozen=True, eq=False)
class Captioned:
    """A picture that says at its bottom, in small letters, of what it is."""

    picture: Picture
    caption: str

    def draw(self) -> "Figure":
        figure = self.picture.draw()
        figure.supxlabel(self.caption, x=0.01, ha="left", fontsize=9, color="0.4", wrap=True)
        return figure


def to_image(picture: Picture) -> NDArray[np.uint8]:
    """Draw to RGB pixels `(height, width, 3)`."""
    with house_style():
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        canvas: Any = FigureCanvasAgg(picture.draw())
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def to_png(image: NDArray[np.uint8]) -> bytes:
    """Pixels `(height, width, 3)` as the content of a PNG file."""
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(image).save(content, format="png")
    return content.getvalue()


def save_png(image: NDArray[np.uint8], path: Path) -> None:
    """Write pixels `(height, width, 3)` to a PNG file that appears complete or not at all; raises OSError."""
    with whole_file(path) as unfinished:
        unfinished.write_bytes(to_png(image))


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure of this size in inches, known to no global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=_DPI, layout="compressed")


def new_panels(
    count: int, columns: int, panel: tuple[float, float], beside: tuple[float, float]
) -> "tuple[Figure, list[Axes]]":
    """A figure with `count` panels, at most `columns` in a row, and their axes; the rest of the last row stays empty.

    A panel is as wide and as high as `panel` says, in inches, the whole figure larger by `beside`.
    """
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = new_figure(beside[0] + panel[0] * columns, beside[1] + panel[1] * rows)
    axes = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for unused in axes[count:]:
        unused.set_visible(False)
    return figure, axes[:count]


def scatter(axes: "Axes", x: NDArray[Any], y: NDArray[Any], **style: Any) -> None:
    """Points over the lines if there are few; if there are many, their density under the lines."""
    if len(x) <= FEW_POINTS:
        axes.scatter(x, y, s=36, edgecolors="white", linewidths=0.8, zorder=3, **style)
    else:
        axes.scatter(x, y, s=12, alpha=0.3, linewidths=0, zorder=1, **style)


def hide_frame(axes: Any) -> None:
    """Leave of the axes' frame only the names at its ticks."""
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def finite_points(points: NDArray[Any]) -> NDArray[Any]:
    """Of points `(n, 2)` those that have a place in a picture."""
    return points[np.isfinite(points).all(axis=1)]


def finite_images(images: NDArray[Any], title: str) -> tuple[NDArray[Any], str]:
    """Images `(..., channels, height, width)` in [0, 1], middle gray if they are not finite, and a title that says so."""
    broken = int((~np.isfinite(images)).any(axis=(-3, -2, -1)).sum())
    note = f" ({broken:,} with pixels that are not finite)" if broken else ""
    return np.nan_to_num(images, nan=0.5, posinf=0.5, neginf=0.5).clip(0, 1), title + note


def padded(values: NDArray[Any]) -> tuple[float, float]:
    """Limits a little wider than the values; equal values, or none, get a range of 2."""
    if values.size == 0:
        return -1.0, 1.0
    low, high = float(values.min()), float(values.max())
    margin = 0.04 * (high - low) or 1.0
    return low - margin, high + margin


def is_wide(numbers: NDArray[Any]) -> bool:
    """Whether numbers `(N,)` need a logarithmic scale: all are positive, and the largest is ten times the smallest."""
    return bool(numbers.size and numbers.min() > 0 and numbers.max() >= _WIDE * numbers.min())


def log_scale(axes: "Axes", numbers: NDArray[Any]) -> None:
    """Make the vertical axis logarithmic for positive numbers, with ticks at 1, 2 and 5 if it is not too long for that."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set_yscale("log")
    is_short = np.ptp(np.log10(numbers)) < _LONG_SCALE
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if is_short else (1,)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def percent_axis(axis: Any, metric: str) -> None:
    """Ticks in percent if the metric is a share."""
    from matplotlib.ticker import PercentFormatter

    if is_share(metric):
        axis.set_major_formatter(PercentFormatter(1, symbol=" %"))


def class_colors(num_classes: int) -> list[str]:
    """A color for each class; beyond ten they repeat, and classes of the same color need different markers."""
    palette = COLORS if num_classes <= len(COLORS) else _TEN_COLORS
    return [palette[index % len(palette)] for index in range(num_classes)]


def class_markers(num_classes: int) -> list[str]:
    """A marker for each class, another one for each round of the colors."""
    return [MARKERS[index // len(_TEN_COLORS) % len(MARKERS)] for index in range(num_classes)]


def shorten(name: str) -> str:
    """The name as long as there is room for it in a picture."""
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def percent(part: int, whole: int, decimals: int) -> str:
    """`93.33 %`, or `undefined` if the whole is zero."""
    return f"{part / whole:.{decimals}%}".replace("%", " %") if whole else "undefined"
