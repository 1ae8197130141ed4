"""Two ways to show a computation: lines of a program, of which some have run, and the graph of values and gradients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlcourse.plots.picture import COLORS, house_style, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LINE = 0.235  # inches
_CHARACTER = 0.078


@dataclass(frozen=True, eq=False)
class Listing:
    """Lines of a program or of any text in letters of equal width, each with a label in front of it and a kind.

    Lines of the kind `main` are black, `head` blue and bold, `note` red, `idle` gray.
    """

    lines: Sequence[tuple[str, str, str]]
    title: str = ""

    @house_style()
    def draw(self) -> "Figure":
        """A line is a label, its text, and its kind."""
        longest = max(len(text) for _, text, _ in self.lines)
        wide = max(len(label) for label, _, _ in self.lines)
        height = _LINE * len(self.lines) + 0.7 * bool(self.title)
        figure = new_figure(_CHARACTER * (longest + wide + 3) + 0.5, height + 0.2)
        axes = figure.subplots()
        axes.axis("off")
        axes.set(xlim=(0, longest + wide + 3), ylim=(len(self.lines) - 0.4, -0.6))
        for row, (label, text, kind) in enumerate(self.lines):
            color, weight = _KINDS[kind]
            style = {"family": "DejaVu Sans Mono", "fontsize": 9, "va": "center"}
            axes.text(wide, row, label, ha="right", color="0.55", **style)  # type: ignore[arg-type]
            axes.text(wide + 2, row, text, ha="left", color=color, weight=weight, **style)  # type: ignore[arg-type]
        if self.title:
            figure.suptitle(self.title, x=0.01, ha="left")
        return figure


_KINDS = {
    "main": ("black", "normal"),
    "head": (COLORS[0], "bold"),
    "note": (COLORS[1], "normal"),
    "idle": ("0.68", "normal"),
}


@dataclass(frozen=True)
class Node:
    """A value of a computation at a place `(column, row)`, the gradient of the result in it, and what made it."""

    place: tuple[float, float]
    value: float
    gradient: float
    made_by: str = ""


@dataclass(frozen=True, eq=False)
class ComputationGraph:
    """Values by name, and for each pair of names `(from, to)` the derivative of the one in the other."""

    nodes: Mapping[str, Node]
    edges: Mapping[tuple[str, str], str]
    title: str = ""

    @house_style()
    def draw(self) -> "Figure":
        figure = new_figure(7.4, 5.0)
        axes = figure.subplots()
        axes.axis("off")
        columns = [node.place[0] for node in self.nodes.values()]
        rows = [node.place[1] for node in self.nodes.values()]
        axes.set(xlim=(min(columns) - 0.5, max(columns) + 0.55), ylim=(min(rows) - 0.3, max(rows) + 0.3))
        for (start, end), derivative in self.edges.items():
            _draw_edge(axes, self.nodes[start].place, self.nodes[end].place, derivative)
        for name, node in self.nodes.items():
            _draw_node(axes, name, node)
        figure.suptitle(self.title, x=0.01, ha="left")
        return figure


def _draw_node(axes: "Axes", name: str, node: Node) -> None:
    """The value in a box with what made it, the gradient below."""
    x, y = node.place
    box = {"boxstyle": "round,pad=0.45", "facecolor": "white", "edgecolor": "0.25", "linewidth": 1.5}
    text = f"{name} = {node.value:g}" + f"\n{node.made_by}" * bool(node.made_by)
    axes.text(x, y, text, ha="center", va="center", fontsize=11, linespacing=1.5, bbox=box, zorder=5)
    halo = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"}
    below = f"gradient {node.gradient:g}"
    axes.text(x, y - 0.15, below, ha="center", va="top", fontsize=11, color=COLORS[1], zorder=4, bbox=halo)


def _draw_edge(axes: "Axes", start: tuple[float, float], end: tuple[float, float], derivative: str) -> None:
    """The values go forward, in blue; the gradient comes back, in red, times the derivative."""
    arrow = {"arrowstyle": "-|>", "linewidth": 1.6, "shrinkA": 44, "shrinkB": 50, "mutation_scale": 14}
    axes.annotate("", end, start, arrowprops=arrow | {"color": COLORS[0], "connectionstyle": "arc3,rad=-0.12"})
    axes.annotate("", start, end, arrowprops=arrow | {"color": COLORS[1], "connectionstyle": "arc3,rad=-0.12"})
    middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    halo = {"boxstyle": "square,pad=0.2", "facecolor": "white", "edgecolor": "none"}
    axes.text(*middle, derivative, ha="center", va="center", fontsize=10, color=COLORS[1], zorder=4, bbox=halo)
