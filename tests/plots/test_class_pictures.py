"""ROC, calibration, filters and Grad-CAM: the numbers given, drawn where they belong, with their names."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from dlcourse.plots.calibration import ReliabilityDiagram
from dlcourse.plots.filters import ActivationMaps, FirstFilters
from dlcourse.plots.ranking import RankedClass, RankingCurves


def ranked(name: str, area: float = 0.875) -> RankedClass:
    return RankedClass(name, ([0, 0, 0.5, 1], [0, 0.5, 1, 1]), ([0, 0.5, 1], [1, 1, 0.75]), area, 0.9)


def test_two_classes_have_one_curve_in_each_panel_and_both_areas_are_told() -> None:
    figure = RankingCurves([ranked("ill")]).draw()
    left, right = figure.axes
    chance, curve = left.lines
    assert np.array_equal(chance.get_xydata(), [[0, 0], [1, 1]])
    assert np.array_equal(curve.get_xydata(), [[0, 0], [0, 0.5], [0.5, 1], [1, 1]])
    (steps,) = right.lines
    assert steps.get_drawstyle() == "steps-pre" and np.array_equal(steps.get_xydata(), [[0, 1], [0.5, 1], [1, 0.75]])
    assert left.get_title(loc="left") == "ROC, 'ill'"
    (text,) = figure.legends[0].get_texts()
    assert text.get_text() == "ill: 0.8750, 0.9000"
    assert left.get_xlabel() == "false positive rate" and right.get_xlabel() == "recall"


@pytest.mark.parametrize(("classes", "named"), [(3, 4), (10, 11), (11, 1)])
def test_up_to_ten_classes_are_named_and_the_mean_always(classes: int, named: int) -> None:
    curves = [ranked(f"class {index}") for index in range(classes)]
    figure = RankingCurves(curves, ranked("mean of the classes", 0.7)).draw()
    assert len(figure.axes[0].lines) == classes + 2
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(texts) == named and texts[0] == "mean of the classes: 0.7000, 0.9000"
    colors = {to_hex(line.get_color()) for line in figure.axes[1].lines[:-1]}
    assert len(colors) == (classes if named > 1 else 1)


def test_a_reliability_diagram_has_accuracy_over_confidence_and_the_share_of_each_bin() -> None:
    upper, lower = ReliabilityDiagram([0, 30, 10], [0, 0.5, 0.9], [0, 0.4, 0.8], 0.123).draw().axes
    assert upper.get_title(loc="left") == "Reliability diagram: expected calibration error 12.30 %"
    diagonal, points = upper.lines
    assert np.array_equal(diagonal.get_xydata(), [[0, 0], [1, 1]])
    assert np.allclose(points.get_xydata(), [[0.5, 0.4], [0.9, 0.8]])
    assert [bar.get_height() for bar in upper.patches] == [0.4, 0.8]
    assert [bar.get_height() for bar in lower.patches] == [0, 0.75, 0.25]
    assert [bar.get_x() + bar.get_width() / 2 for bar in lower.patches] == pytest.approx([1 / 6, 0.5, 5 / 6])


def test_filters_of_three_channels_are_colors_and_others_are_signed() -> None:
    weights = np.random.default_rng(0).normal(size=(70, 3, 5, 5))
    (axes,) = FirstFilters(weights).draw().axes
    assert len(axes.images) == 64
    limit = np.abs(weights[:64]).max()
    assert np.allclose(axes.images[7].get_array(), (0.5 + weights[7] / (2 * limit)).transpose(1, 2, 0))
    figure = FirstFilters(weights[:6, :1]).draw()
    axes, bar = figure.axes
    limit = np.abs(weights[:6, 0]).max()
    assert [image.get_clim() for image in axes.images] == [(-limit, limit)] * 6 and bar.get_ylabel() == "weight"
    assert figure.get_suptitle() == "First convolution: 6 filters of 5x5 pixels"


def test_a_map_lies_over_its_image_and_leaves_what_is_cold_as_it_was() -> None:
    images = np.full((2, 1, 4, 4), 0.25)
    hot = np.zeros((2, 4, 4))
    hot[:, 0, 0] = 1.0
    (axes,) = ActivationMaps(images, hot, np.zeros((2, 4, 4)), ["9", "7"], ["4", "1"]).draw().axes
    plain, predicted, true, *others = (np.asarray(image.get_array()) for image in axes.images)
    assert len(others) == 3 and plain.shape == (4, 4, 3) and (plain == 0.25).all() and (true == 0.25).all()
    assert predicted[0, 0, 0] > predicted[0, 0, 2] and (predicted[1:] == 0.25).all()  # red
    captions = [text.get_text() for text in axes.texts]
    assert captions[:3] == ["4 as 9", "for 9\n(predicted)", "for 4\n(true)"]
