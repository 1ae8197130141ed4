"""Confusion matrices and decision boundaries: each count in its cell, each region in the color of its class."""

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.contour import ContourSet

from dlcourse.plots.classes import ConfusionMatrix
from pictures import CONFUSION, GRID_X, GRID_Y, boundary, tick_names


def cell_texts(axes) -> list[list[str]]:
    grid = {(round(text.get_position()[1]), round(text.get_position()[0])): text.get_text() for text in axes.texts}
    side = round(len(grid) ** 0.5)
    return [[grid[row, column] for column in range(side)] for row in range(side)]


def luminance(color) -> float:
    """Relative luminance of an sRGB color, after WCAG 2."""
    color = np.array(color)
    linear = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_counts_that_do_not_fit_the_class_names_are_our_mistake():
    with pytest.raises(AssertionError, match="2 classes"):
        ConfusionMatrix(CONFUSION.counts, ["a", "b"]).draw()


def test_confusion_matrix_writes_each_count_in_its_cell():
    axes, *_ = CONFUSION.draw().axes
    assert cell_texts(axes) == [["90", "8", "2"], ["0", "50", "0"], ["0", "0", "0"]]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("true", "predicted")
    assert tick_names(axes.yaxis) == tick_names(axes.xaxis) == ["cat", "dog", "bird"]
    assert axes.get_title(loc="left") == "Accuracy 93.33 %: 140 of 150 examples"


def test_confusion_matrix_colors_by_share_of_the_row_and_gives_the_recall():
    axes, *_ = CONFUSION.draw().axes
    (image,) = axes.images
    assert np.allclose(image.get_array(), [[0.9, 0.08, 0.02], [0, 1, 0], [0, 0, 0]])
    (right,) = axes.child_axes
    assert tick_names(right.yaxis) == ["90.0 %", "100.0 %", "undefined"]


def test_confusion_matrix_shows_small_errors_and_every_count_stands_out():
    num_classes = 20
    counts = np.zeros((num_classes, num_classes), dtype=int)
    for row, right in enumerate(np.linspace(499, 990, num_classes, dtype=int)):  # with the rest, shares from 1 to 99 %
        counts[row, row], counts[row, row - 1] = right, 1000 - right
    axes, *_ = ConfusionMatrix(counts, [f"{index}" for index in range(num_classes)]).draw().axes
    (image,) = axes.images
    cells = image.to_rgba(image.get_array())
    written = [text for text in axes.texts if text.get_text() != "0"]  # zeros are quiet on purpose
    assert len(written) == 2 * num_classes
    for text in written:
        column, row = text.get_position()
        bright, dark = sorted([luminance(cells[row, column, :3]), luminance(to_rgb(text.get_color()))], reverse=True)
        assert (bright + 0.05) / (dark + 0.05) > 4.5, f"WCAG contrast of {text.get_text()} of 1000"
    zero, one_percent = (image.to_rgba(share)[:3] for share in (0.0, 0.01))
    assert np.abs(np.subtract(zero, one_percent)).max() > 0.05


def test_confusion_matrix_of_many_classes_has_colors_only_and_thinned_names():
    counts = np.eye(100, dtype=int) * 7
    figure = ConfusionMatrix(counts, [f"class {index}" for index in range(100)]).draw()
    axes = figure.axes[0]
    assert len(axes.texts) == 0
    assert tick_names(axes.yaxis)[:3] == ["class 0", "class 3", "class 6"]
    assert max(figure.get_size_inches() * figure.dpi) < 2000


def test_ten_classes_make_a_picture_of_about_1000_by_900_pixels():
    figure = ConfusionMatrix(np.eye(10, dtype=int), [f"class {i}" for i in range(10)]).draw()
    width, height = figure.get_size_inches() * figure.dpi
    assert 900 <= width <= 1150 and 800 <= height <= 950


def test_decision_boundary_lies_where_the_classes_are_equally_likely():
    (axes,) = boundary().draw().axes
    lines = [collection for collection in axes.collections if isinstance(collection, ContourSet)]
    vertices = np.concatenate([path.vertices for line in lines for path in line.get_paths()])
    assert np.allclose(vertices[:, 0], 0.5, atol=1e-6)
    assert vertices[:, 1].min() == -1 and vertices[:, 1].max() == 1


def test_decision_boundary_shades_regions_by_confidence_in_the_colors_of_the_points():
    (axes,) = boundary().draw().axes
    (image,) = axes.images
    shade = np.asarray(image.get_array())
    assert image.origin == "lower" and image.get_extent() == [-2, 2, -1, 1]
    first, second = (to_hex(points.get_facecolor()[0]) for points in axes.collections[-2:])
    assert first != second
    assert shade[0, 0, 2] > shade[0, 0, 0]  # blue on the left
    assert shade[0, -1, 0] > shade[0, -1, 2]  # orange on the right
    assert (np.diff(shade[0, :26, 0]) > 0).all()  # paler towards the boundary


def test_decision_boundary_puts_each_point_in_its_class_with_its_own_marker():
    picture = boundary()
    (axes,) = picture.draw().axes
    left, right = axes.collections[-2:]
    assert np.array_equal(left.get_offsets(), picture.points[:1])
    assert np.array_equal(right.get_offsets(), picture.points[1:])
    assert len(left.get_paths()[0].vertices) != len(right.get_paths()[0].vertices)


def test_decision_boundary_takes_rows_for_y():
    share = np.tile((GRID_Y > 0)[:, None].astype(float), (1, len(GRID_X)))
    (axes,) = boundary(probabilities=np.stack([1 - share, share], axis=-1)).draw().axes
    shade = np.asarray(axes.images[0].get_array())
    assert np.array_equal(shade[0, 0], shade[0, -1]) and not np.array_equal(shade[0, 0], shade[-1, 0])


def test_decision_boundary_draws_when_one_class_wins_everywhere_or_has_no_point():
    probabilities = np.tile([0.7, 0.2, 0.1], (len(GRID_Y), len(GRID_X), 1))
    names = ["a", "b", "c"]
    (axes,) = boundary(probabilities=probabilities, class_names=names).draw().axes
    assert len(axes.collections) == 3  # the points of each class, and no boundary
