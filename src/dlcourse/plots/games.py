"""Pictures of games: a map with values and arrows, a game number by number, boards with the values of moves.

R is a number of rows, C of columns, T of moves, S of numbers in a state, n of boards.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from dlcourse.plots.picture import COLORS, hide_frame, house_style, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ARROWS = ((0.0, -1.0), (1.0, 0.0), (0.0, 1.0), (-1.0, 0.0))
"""To the right and down, for up, right, down and left."""
_DARK = 0.6
_WALL, _EDGE = "0.35", "#f3d9cf"


@dataclass(frozen=True, eq=False)
class GridWalk:
    """What is expected of each field `(R, C)`, where one would go from there, `(R, C)`, and the way from the start.

    Values are NaN and arrows -1 where nobody comes; arrows are 0 to 3 for up, right, down, left. `rows` is the map: `#` a
    wall, `C` a cliff, `S` the start, `G` the goal. `way` are fields, row and column each, in order.
    """

    values: ArrayLike
    arrows: ArrayLike
    rows: Sequence[str]
    way: Sequence[tuple[int, int]] = ()
    title: str = ""

    @house_style()
    def draw(self) -> "Figure":
        height, width = np.asarray(self.values).shape
        figure = new_figure(1.4 + 0.72 * width, 0.9 + 0.72 * height)
        axes = figure.subplots()
        self.draw_on(axes)
        return figure

    def draw_on(self, axes: "Axes") -> None:
        """Draw into these axes, with a color bar beside them."""
        values = np.asarray(self.values)
        height, width = values.shape
        image = axes.imshow(np.ma.masked_invalid(values), cmap="Blues_r", alpha=0.75)
        self._draw_marks(axes)
        self._draw_arrows(axes, values)
        if len(self.way) > 1:
            rows, columns = np.array(self.way).T
            axes.plot(columns, rows, color=COLORS[1], linewidth=3, alpha=0.55, solid_capstyle="round", zorder=1.5)
        axes.set(xticks=[], yticks=[], xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
        hide_frame(axes)
        bar = axes.figure.colorbar(image, ax=axes, shrink=0.8, pad=0.02)
        bar.outline.set_visible(False)
        bar.set_label("expected return")
        axes.set_title(self.title or f"Greedy moves, and the way from S: {len(self.way) - 1} moves")

    def _draw_marks(self, axes: "Axes") -> None:
        from matplotlib.patches import Rectangle

        colors = {"#": _WALL, "C": _EDGE}
        for row, marks in enumerate(self.rows):
            for column, mark in enumerate(marks):
                if mark in colors:
                    axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=colors[mark], linewidth=0))
                if mark in "SG":
                    axes.text(column - 0.42, row - 0.27, mark, fontsize=11, fontweight="bold", ha="left", va="center")

    def _draw_arrows(self, axes: "Axes", values: Any) -> None:
        arrows = np.asarray(self.arrows)
        for (row, column), action in np.ndenumerate(arrows):
            if action < 0:
                continue
            right, down = _ARROWS[int(action)]
            middle = (column, row - 0.08)
            tip, tail = [(middle[0] + s * 0.2 * right, middle[1] + s * 0.2 * down) for s in (1, -1)]
            axes.annotate("", tip, tail, arrowprops={"arrowstyle": "-|>", "color": "0.1", "shrinkA": 0, "shrinkB": 0})
            axes.text(column, row + 0.36, f"{values[row, column]:.1f}", fontsize=7.5, ha="center", va="center")


@dataclass(frozen=True, eq=False)
class GridWalks:
    """Several maps of the same size, `columns` in a row."""

    walks: Sequence[GridWalk]
    columns: int = 1

    @house_style()
    def draw(self) -> "Figure":
        height, width = np.asarray(self.walks[0].values).shape
        rows = -(-len(self.walks) // self.columns)
        figure = new_figure(self.columns * (1.3 + 0.72 * width), rows * (0.7 + 0.72 * height))
        for axes, walk in zip(figure.subplots(rows, self.columns, squeeze=False).ravel(), self.walks, strict=True):
            walk.draw_on(axes)
        return figure


@dataclass(frozen=True, eq=False)
class GameTrace:
    """One game: its states `(T, S)` and moves `(T,)`, a panel for each number of the state."""

    states: ArrayLike
    moves: ArrayLike
    features: Sequence[str]
    move_names: Sequence[str]

    @house_style()
    def draw(self) -> "Figure":
        states, moves = np.asarray(self.states), np.asarray(self.moves)
        figure = new_figure(8.0, 0.9 + 1.25 * len(self.features))
        panels = figure.subplots(len(self.features), 1, sharex=True, squeeze=False)[:, 0]
        for axes, values, name in zip(panels, states.T, self.features, strict=True):
            axes.plot(np.arange(len(values)), values, color=COLORS[0], linewidth=1.2)
            axes.axhline(0, color="0.6", linewidth=0.8, zorder=1)
            axes.set_ylabel(name.replace("_", "\n"))
            axes.grid()
        panels[-1].set_xlabel("move")
        figure.align_ylabels(panels)
        shares = [f"{name} {(moves == index).mean():.0%}" for index, name in enumerate(self.move_names)]
        title = f"A greedy game of {len(moves)} moves: {', '.join(shares)}".replace("%", " %")
        figure.suptitle(title, x=0.01, ha="left")
        return figure


@dataclass(frozen=True, eq=False)
class BoardValues:
    """Boards of tic-tac-toe in a row, `(n, 18)` as the player to move sees them, and the values of moves `(n, 9)`.

    A field that is taken, and each of a game that is over, has no value: it may be -inf or NaN. The first board is empty,
    or else the player to move is the one who began if the stones are equal in number.
    """

    boards: ArrayLike
    values: ArrayLike

    @house_style()
    def draw(self) -> "Figure":
        boards, values = np.asarray(self.boards), np.asarray(self.values)
        figure = new_figure(0.6 + 2.3 * len(boards), 3.1)
        panels = figure.subplots(1, len(boards), squeeze=False)[0]
        for axes, board, given in zip(panels, boards, values, strict=True):
            image = self._draw_board(axes, board, given)
        bar = figure.colorbar(image, ax=list(panels), shrink=0.7, pad=0.01)
        bar.outline.set_visible(False)
        bar.set_label("value of a move")
        figure.suptitle("Greedy self-play: what the model expects of each move (1 a win, 0 a draw)", x=0.01, ha="left")
        return figure

    def _draw_board(self, axes: "Axes", board: Any, given: Any) -> Any:
        own, other = board[:9], board[9:]
        is_over = own.sum() + other.sum() == 9 or not np.isfinite(given).any()
        shown = np.where(np.isfinite(given) & (own + other == 0) & (not is_over), given, np.nan).reshape(3, 3)
        image = axes.imshow(np.ma.masked_invalid(shown), cmap="RdBu", vmin=-1, vmax=1, alpha=0.8)
        mover = "X" if own.sum() == other.sum() else "O"
        for field in range(9):
            row, column = divmod(field, 3)
            stone = mover if own[field] else "XO".replace(mover, "") if other[field] else ""
            if stone:
                color = COLORS[0] if stone == "X" else COLORS[1]
                axes.text(column, row, stone, fontsize=24, ha="center", va="center", color=color)
            elif np.isfinite(shown[row, column]):
                color = "white" if abs(shown[row, column]) > _DARK else "0.1"
                axes.text(column, row, f"{shown[row, column]:+.2f}", fontsize=9, ha="center", va="center", color=color)
        for line in (0.5, 1.5):
            axes.axhline(line, color="0.4", linewidth=1)
            axes.axvline(line, color="0.4", linewidth=1)
        axes.set(xticks=[], yticks=[], xlabel="the end" if is_over else f"{mover} to move")
        hide_frame(axes)
        return image
