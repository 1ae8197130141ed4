"""Pictures of games: arrows point where moves lead, marks stand in their fields, boards show whose stones are whose."""

import numpy as np
import pytest

from dlcourse.plots.games import BoardValues, GameTrace, GridWalk
from dlcourse.plots.picture import to_image

MAP = ("..#", "SCG")


def test_arrows_point_where_moves_lead_and_every_field_has_its_value() -> None:
    values, arrows = np.array([[-3.0, -2.0, np.nan], [-4.0, np.nan, np.nan]]), np.array([[1, 2, -1], [0, -1, -1]])
    picture = GridWalk(values, arrows, MAP, [(1, 0), (0, 0), (0, 1)])
    (axes, _) = picture.draw().axes
    drawn = [text for text in axes.texts if text.get_text() == ""]
    pointed = [np.subtract(text.xy, text.xyann) for text in drawn]
    assert [tuple(np.sign(np.round(arrow, 6))) for arrow in pointed] == [(1, 0), (0, 1), (0, -1)]  # rows run downwards
    assert axes.yaxis_inverted()
    assert {text.get_text() for text in axes.texts} == {"", "S", "G", "-3.0", "-2.0", "-4.0"}
    assert axes.get_title(loc="left").endswith("2 moves")
    assert to_image(picture).std() > 0


def test_a_game_has_a_panel_for_each_number() -> None:
    picture = GameTrace(np.arange(8).reshape(4, 2), [0, 1, 1, 1], ("height", "speed"), ("off", "on"))
    figure = picture.draw()
    assert [axes.get_ylabel() for axes in figure.axes] == ["height", "speed"]
    assert figure.get_suptitle() == "A greedy game of 4 moves: off 25 %, on 75 %"


@pytest.mark.parametrize(("stones", "mover"), [(0, "X"), (1, "O"), (2, "X")])
def test_stones_keep_their_sides_from_board_to_board(stones: int, mover: str) -> None:
    board = np.zeros(18)
    board[[9 + 4, 0][:stones]] = 1  # the other's in the middle, then one's own in the corner
    values = np.where(board[:9] + board[9:] > 0, -np.inf, 0.25)
    axes = BoardValues(board[None], values[None]).draw().axes[0]
    assert axes.get_xlabel() == f"{mover} to move"
    found = {text.get_position(): text.get_text() for text in axes.texts}
    assert len(found) == 9 and sum(text == "+0.25" for text in found.values()) == 9 - stones
    if stones:
        assert found[1, 1] == ("X" if mover == "O" else "O")
