"""Pictures of networks: surfaces, rows of images, paths of descent, a network with its numbers."""

import numpy as np

from dlcourse.plots.descent import Descent
from dlcourse.plots.image_rows import ImageRow, ImageRows
from dlcourse.plots.lines import LineChart
from dlcourse.plots.picture import to_image
from dlcourse.plots.small_network import SmallNetwork
from dlcourse.plots.surfaces import Surface, Surfaces


def test_a_surface_is_drawn_up_to_its_cut_with_its_minima():
    places = np.linspace(-1, 1, 9)
    heights = places[:, None] ** 2 + places[None] ** 2
    whole = Surface(places, heights, "bowl", minima=[(0.0, 0.0)])
    figure = Surfaces([whole, Surface(places, heights, "cut", cut=0.5)], ("a", "b", "height")).draw()
    first, second = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["bowl", "cut"]
    assert first.get_zlim()[1] == 2 and second.get_zlim()[1] == 0.5
    assert [list(values) for values in first.lines[0].get_data_3d()][:2] == [[0], [0]]


def test_rows_of_images_of_several_sizes_have_one_width():
    rows = ImageRows(
        [
            ImageRow("small", np.zeros((3, 1, 2, 2)), ["a", "b", "c"]),
            ImageRow("signed", np.ones((1, 1, 4, 4)), (), True),
        ]
    )
    (axes,) = rows.draw().axes
    widths = [image.get_extent()[1] - image.get_extent()[0] for image in axes.images]
    assert np.allclose(widths, 1)
    assert [text.get_text() for text in axes.texts] == ["small", "a", "b", "c", "signed"]
    assert axes.images[3].get_clim() == (-1, 1) and axes.images[0].get_clim() == (0, 1)


def test_paths_of_descent_have_the_colors_of_their_curves():
    chart = LineChart({"sgd": ([0, 1], [2.0, 1.0]), "adam": ([0, 1], [2.0, 0.5])}, "step", "loss")
    grid = np.linspace(-1, 1, 5)
    paths = {"sgd": np.zeros((4, 3)), "adam": np.ones((4, 3))}
    figure = Descent(
        chart, grid, grid, grid[:, None] ** 2 - grid[None] ** 2, paths, "Saddle", {"here": (0, 0, 0)}
    ).draw()
    curves, surface = (axes for part in figure.subfigs for axes in part.axes)
    assert [line.get_color() for line in curves.lines] == [line.get_color() for line in surface.lines]
    assert "here" in [text.get_text() for text in surface.texts]


def test_a_small_network_says_every_number_once():
    weights = [np.array([[1.0, -1.0]]), np.array([[2.0], [0.5]])]
    words = [[["w1", "w2"]], [["w3"], ["w4"]]]
    picture = SmallNetwork(weights, words, [["b1"], ["b2", "b3"]], [["x1", "x2"], ["h1"], ["y1", "y2"]], "A network")
    (axes,) = picture.draw().axes
    shown = sorted(text.get_text() for text in axes.texts)
    assert shown == sorted(["w1", "w2", "w3", "w4", "b1", "b2", "b3", "x1", "x2", "h1", "y1", "y2"])
    assert len(axes.lines) == 4 and axes.lines[0].get_color() != axes.lines[1].get_color()
    assert to_image(picture).ndim == 3
