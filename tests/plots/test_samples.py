"""Clouds of points: real beside generated ones, and those on their way between data and noise."""

import numpy as np

from dlcourse.plots.diffusion import PointStrip
from dlcourse.plots.samples import SampledPoints


def test_samples_far_from_all_real_points_are_marked_at_the_frame_and_counted():
    real = np.array([[0.0, 0.0], [1.0, 1.0]])
    made = np.array([[0.5, 0.5], [100.0, 0.5], [0.5, -1e6], [np.nan, 0.0]])
    _, axes = SampledPoints(real, made).draw().axes
    assert axes.get_title(loc="left") == "4 generated points, 2 outside the frame, 1 not finite"
    _, inside, outside = axes.collections  # the modes come first
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert inside.get_offsets().tolist() == [[0.5, 0.5]]
    assert outside.get_offsets().tolist() == [[right, 0.5], [0.5, bottom]]
    assert left < 0 and top > 1


def test_points_that_are_all_inside_are_drawn_without_a_word():
    _, axes = SampledPoints(np.eye(2), np.eye(2)).draw().axes
    assert axes.get_title(loc="left") == "2 generated points" and len(axes.collections) == 2


def test_points_that_are_not_finite_draw_and_are_told():
    nowhere = np.full((3, 2), np.nan)
    (alone,) = SampledPoints(np.empty((0, 2)), nowhere).draw().axes
    assert alone.get_title(loc="left") == "3 generated points, 3 not finite"
    first, second = PointStrip([np.eye(2), nowhere], ["step 0", "step 9"]).draw().axes
    assert first.get_title(loc="left") == "step 0" and second.get_title(loc="left") == "step 9, 3 not finite"


def test_clouds_of_a_strip_share_axes_that_hold_them_all():
    clouds = [np.array([[0.0, 1.0], [2.0, 3.0]]), np.array([[-7.0, 5.0]])]
    figure = PointStrip(clouds, ["t = 0", "t = 9"], "From data to noise").draw()
    for axes, cloud in zip(figure.axes, clouds, strict=True):
        assert np.array_equal(axes.collections[0].get_offsets(), cloud)
        low, high = axes.get_xlim()
        assert axes.get_ylim() == (low, high) and -8 < low < -7 and 5 < high < 6
    assert figure.get_suptitle() == "From data to noise"


def test_modes_are_marked_in_both_panels():
    centers = [(0.0, 0.5), (2.0, 1.0)]
    for axes in SampledPoints(np.eye(2), np.eye(2), centers).draw().axes:
        assert axes.collections[0].get_offsets().tolist() == [list(center) for center in centers]
        assert axes.get_xlim()[1] > 2


def test_without_real_points_a_few_far_away_do_not_squash_the_others():
    random = np.random.default_rng(0)
    made = np.concatenate([random.normal(size=(500, 2)), [[1e6, 0.0], [0.0, -1e6]]])
    (axes,) = SampledPoints(np.empty((0, 2)), made).draw().axes
    assert axes.get_title(loc="left") == "502 generated points, 2 outside the frame"
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert -6 < left < -2 and 2 < right < 6 and -6 < bottom < -2 and 2 < top < 6
    (axes,) = SampledPoints(np.empty((0, 2)), np.array([[0.0, 0.0], [1.0, 5.0], [2.0, 1.0]])).draw().axes
    assert axes.get_title(loc="left") == "3 generated points"
