"""Pictures that the lectures' figures are made of: collages, listings, graphs, networks, answers, shifted images."""

import numpy as np
import pytest

from dlcourse.plots.answers import AnsweredImages
from dlcourse.plots.collage import Collage
from dlcourse.plots.graph import ComputationGraph, Listing, Node
from dlcourse.plots.lines import LineChart
from dlcourse.plots.network import NetworkDiagram, Stage
from dlcourse.plots.picture import Captioned, to_image
from dlcourse.plots.shifts import ShiftedAnswers


def test_pictures_of_a_collage_are_pixel_for_pixel_those_alone():
    first, second = Listing([("1", "one", "main")], "First"), Listing([("", "a longer line", "note")])
    alone, beside = to_image(first), to_image(second)
    together = to_image(Collage([[first, second], [second]], margin=10))
    height, width = alone.shape[:2]
    assert np.array_equal(together[:height, :width], alone)
    tall = max(height, beside.shape[0])
    assert np.array_equal(together[tall + 14 : tall + 14 + beside.shape[0], : beside.shape[1]], beside)
    assert together.shape[0] == tall + 14 + beside.shape[0] + 10


def test_a_collage_takes_a_caption_and_other_collages():
    line = Listing([("", "text", "head")])
    inner = Collage([[line]], margin=0)
    assert np.array_equal(to_image(inner), to_image(line))
    plain, captioned = to_image(Collage([[inner]])), to_image(Captioned(Collage([[inner]]), "A1  a caption"))
    above = to_image(line).shape[0]
    assert np.array_equal(plain[:above], captioned[:above]) and not np.array_equal(plain, captioned)


def test_a_listing_has_its_lines_in_order():
    (axes,) = Listing([("1", "x = 1", "main"), ("", "y = 2", "idle")], "Lines").draw().axes
    assert [text.get_text() for text in axes.texts] == ["1", "x = 1", "", "y = 2"]
    assert axes.texts[1].get_color() == "black" and axes.texts[3].get_color() != "black"


def test_a_graph_has_each_value_gradient_and_derivative():
    nodes = {"a": Node((0, 0), 2.0, 3.0, "leaf"), "c": Node((1, 0), 6.0, 1.0)}
    (axes,) = ComputationGraph(nodes, {("a", "c"): "times 3"}, "c = 3 a").draw().axes
    found = {text.get_text() for text in axes.texts}
    assert {"a = 2\nleaf", "c = 6", "gradient 3", "gradient 1", "times 3"} <= found


def test_a_network_names_shapes_and_parameters():
    stages = [Stage("input", (1, 8, 8)), Stage("conv1", (4, 8, 8), 40), Stage("fc1", (10,), 2570)]
    figure = NetworkDiagram(stages, "A network").draw()
    (axes,) = figure.axes
    found = [text.get_text() for text in axes.texts]
    assert {"1x8x8", "4x8x8", "10", "conv1", "40", "2,570"} <= set(found) and "0" not in found
    assert figure.get_suptitle() == "A network: 2,610 parameters (red)"


def test_answers_are_bars_from_the_likeliest_down_in_blue_if_true():
    probabilities = [[0.2, 0.7, 0.1], [0.05, 0.05, 0.9]]
    figure = AnsweredImages(np.zeros((2, 3, 4, 4)), probabilities, [1, 0], ["cat", "dog", "cow"], columns=2).draw()
    first, second = [axes for axes in figure.axes if axes.patches]
    assert [bar.get_width() for bar in first.patches] == pytest.approx([0.7, 0.2, 0.1])
    assert [label.get_text() for label in first.get_yticklabels()] == ["dog", "cat", "cow"]
    colors = [bar.get_facecolor() for bar in first.patches]
    assert colors[0] != colors[1] == colors[2], "the true class is another color"
    assert second.patches[0].get_facecolor() == colors[1], "the likeliest is wrong"


def test_shifted_answers_share_a_scale():
    image = np.zeros((4, 4))
    figure = ShiftedAnswers(image, image, {"layer": (image - 1, image + 3)}).draw()
    assert {axes.images[0].get_clim() for axes in figure.axes if axes.images[0].get_cmap().name == "RdBu_r"} == {
        (-3, 3)
    }


def test_a_logarithmic_axis_across_has_plain_numbers():
    figure = LineChart({"a": ([2, 5, 50], [1, 2, 3])}, "steps", "y", log_x=True).draw()
    figure.canvas.draw()
    shown = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert "10" in shown and not any("$" in label for label in shown)


def test_whole_numbers_across_have_whole_ticks():
    for places, whole in (([1, 2, 3], True), ([0.1, 0.2, 0.3], False)):
        (axes,) = LineChart({"a": (places, [1, 2, 3])}, "epoch", "y").draw().axes
        assert all(tick % 1 == 0 for tick in axes.get_xticks()) == whole
