"""Panels of different kinds in one figure: what is drawn where."""

import numpy as np
import pytest

from dlcourse.plots.lines import LineChart
from dlcourse.plots.panels import BarPanel, BowlPanel, FitPanel, Panels, RegionPanel

X = np.linspace(-1, 1, 30)


def axes_of(*panels, **layout):
    figure = Panels(panels, **layout).draw()
    figure.canvas.draw()
    return figure.axes


def test_panels_stand_in_rows_and_empty_places_are_hidden() -> None:
    charts = [LineChart({"a": (X, X**2)}, "x", "y", f"chart {number}") for number in range(3)]
    axes = axes_of(*charts, columns=2)
    assert [each.get_title("left") for each in axes] == ["chart 0", "chart 1", "chart 2", ""]
    assert [each.get_visible() for each in axes] == [True, True, True, False]


def test_a_curve_that_leaves_the_points_is_cut_off_and_few_points_lie_over_it() -> None:
    wild = {"model": (X, 1e6 * X)}
    between = {"band": (X, X - 1, X + 1)}
    (few,) = axes_of(FitPanel(X, X, wild, "title", ("f(x)", "P"), between))
    assert few.get_ylim() == pytest.approx((-2.16, 2.16)) and (few.get_xlabel(), few.get_ylabel()) == ("f(x)", "P")
    assert {text.get_text() for text in few.get_legend().get_texts()} == {"band", "data", "model"}
    many = np.linspace(-1, 1, 100)
    (full,) = axes_of(FitPanel(many, many, {"model": (many, many)}))
    points, lines = (few.collections[-1], full.collections[-1]), (few.lines[-1], full.lines[-1])
    assert points[0].get_zorder() > lines[0].get_zorder() and points[1].get_zorder() < lines[1].get_zorder()


def test_the_rings_of_a_bowl_and_the_path_into_it() -> None:
    a, b = np.linspace(-1, 3, 41), np.linspace(-2, 2, 31)
    loss = 0.1 + (a[None] - 1) ** 2 + 4 * b[:, None] ** 2
    path = np.array([[-1.0, 2.0], [0.5, 0.5], [1.0, 0.0]])
    (axes,) = axes_of(BowlPanel(a, b, loss, path, (1.0, 0.0), [0.2, 0.5, 1.5], "bowl"))
    descent, minimum = axes.lines
    assert descent.get_xydata().tolist() == path.tolist() and minimum.get_xydata().tolist() == [[1, 0]]
    assert {text.get_text() for text in axes.texts} <= {"0.2", "0.5", "1.5"}


@pytest.mark.parametrize("names", [None, ("x1", "x2")])
def test_regions_have_the_points_of_each_class(names: tuple[str, str] | None) -> None:
    points, labels = np.array([[-0.5, 0.0], [0.5, 0.0], [0.5, 0.5]]), np.array([0, 1, 1])
    second = np.broadcast_to((X > 0).astype(float), (30, 30))
    panel = RegionPanel(points, labels, X, X, np.stack([1 - second, second], -1), "tile", ("left", "right"), names)
    (axes,) = axes_of(panel)
    marks = [each for each in axes.collections if len(each.get_offsets()) and each.get_label() in ("left", "right")]
    assert [each.get_offsets().tolist() for each in marks] == [points[labels == index].tolist() for index in (0, 1)]
    assert (axes.get_xlabel(), len(axes.get_xticks()) > 0) == (("", False) if names is None else ("x1", True))


def test_bars_in_groups() -> None:
    panel = BarPanel({"first": [1.0, 2.0], "second": [3.0, 4.0]}, ("a", "b\nc"), "value", at={"chance": 2.5})
    (axes,) = axes_of(panel)
    assert [bar.get_width() for bar in axes.patches] == [1, 2, 3, 4]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "b\nc"] and axes.yaxis_inverted()
    assert len(axes.get_legend().get_texts()) == 3
    (shares,) = axes_of(BarPanel({"first": [0.25]}, ("a",), "share", share=True))
    assert shares.get_legend() is None and shares.xaxis.get_major_formatter()(0.25).endswith(" %")
