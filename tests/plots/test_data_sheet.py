"""Parts of a picture of a data set: what is drawn is what was given."""

import numpy as np
import pytest

from dlcourse.plots import to_image
from dlcourse.plots.data_sheet import ClassBalance, Histograms, LabelledPoints

COUNTS = {"train": {"cat": 30, "dog": 10}, "test": {"cat": 5, "dog": 5}}


def test_bars_are_shares_of_each_split_with_their_examples() -> None:
    (axes,) = ClassBalance(COUNTS).draw().axes
    assert [bar.get_width() for bar in axes.patches] == [0.75, 0.25, 0.5, 0.5]
    assert [text.get_text() for text in axes.texts] == ["30", "10", "5", "5"]


def test_very_many_classes_are_a_line_by_size() -> None:
    counts = {"train": {str(label): 100 - label for label in range(60)}}
    (axes,) = ClassBalance(counts).draw().axes
    (line,) = axes.lines
    assert line.get_ydata().tolist() == list(range(100, 40, -1))


@pytest.mark.parametrize("values", [[1, 1, 1], [0, 1, 1], np.linspace(0, 5, 100)])
def test_histograms_have_the_same_area_for_each_split(values: list[float]) -> None:
    figure = Histograms({"x": {"train": values, "test": values[:2]}}).draw()
    heights = figure.axes[0].dataLim.y1
    assert 0 < heights <= 1
    assert to_image(Histograms({"x": {"train": values}, "y": {"train": values}}, "title")).std() > 0


def test_points_of_every_class_and_split_are_drawn() -> None:
    points, labels = np.arange(12.0).reshape(6, 2), np.array([0, 1, 0, 1, 0, 0])
    figure = LabelledPoints({"train": (points, labels), "test": (points[:1], labels[:1])}, ["cat", "dog"]).draw()
    drawn = [[len(scatter.get_offsets()) for scatter in axes.collections] for axes in figure.axes]
    assert drawn == [[4, 2], [1, 0]]
