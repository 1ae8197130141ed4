"""Short texts beside each other, to be compared by eye."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlcourse.plots.picture import house_style, new_figure, shorten

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CHARACTER, _LINE = 0.09, 0.22  # inches
_LONGEST = 60  # characters


@dataclass(frozen=True, eq=False)
class Excerpts:
    """Lines of text in columns by name, in letters of one width."""

    columns: Mapping[str, Sequence[str]]
    title: str = ""

    @house_style()
    def draw(self) -> "Figure":
        texts = [
            [line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…" for line in lines]
            for lines in self.columns.values()
        ]
        width = max((len(line) for lines in texts for line in lines), default=10)
        height = max(map(len, texts), default=1)
        figure = new_figure(0.4 + len(texts) * max(2.4, _CHARACTER * width + 0.3), 1.0 + _LINE * height)
        panels = figure.subplots(1, len(texts), squeeze=False)[0]
        for axes, name, lines in zip(panels, self.columns, texts, strict=True):
            axes.set_axis_off()
            axes.set_title(shorten(name))
            axes.text(
                0,
                1,
                "\n".join(lines),
                family="DejaVu Sans Mono",
                fontsize=10,
                va="top",
                transform=axes.transAxes,
                linespacing=1.5,
            )
        if self.title:
            figure.suptitle(self.title, x=0.01, ha="left")
        return figure
