"""Codes in the plane, their divergence, and what the decoder makes of them."""

import numpy as np

from dlcourse.plots.latent import ImageSheet, KLPerDimension, LatentScatter
from pictures import codes_picture, tick_names


def test_many_classes_of_codes_have_their_names_where_they_lie():
    picture = codes_picture(10)
    (axes,) = picture.draw().axes
    assert [text.get_text() for text in axes.texts] == list(picture.class_names)
    assert np.allclose([text.get_position() for text in axes.texts], picture.codes)
    assert len(codes_picture(7).draw().axes[0].texts) == 0


def test_the_pixel_of_each_image_of_a_sheet_is_in_its_place():
    images = np.linspace(0, 1, 36).reshape(2, 3, 1, 2, 3)
    (axes,) = ImageSheet(images, "Sheet", ["a", "b"]).draw().axes
    assert np.array_equal(axes.images[0].get_array(), np.block([[image[0] for image in row] for row in images]))
    assert tick_names(axes.yaxis) == ["a", "b"] and axes.get_yticks().tolist() == [0.5, 2.5]


def test_dimensions_stand_by_their_divergence():
    bars = KLPerDimension([0.1, 3.0, 0.5], [False, True, True]).draw().axes[0]
    assert tick_names(bars.xaxis) == ["2", "3", "1"]
    assert [bar.get_height() for bar in bars.patches] == [3.0, 0.5, 0.1]


def test_codes_are_named_by_class_or_else_colored_by_number():
    scatter = LatentScatter(np.eye(2), [0, 1], ["cat", "dog"]).draw()
    assert [text.get_text() for text in scatter.legends[0].get_texts()] == ["cat", "dog"]
    points, bar = LatentScatter(np.eye(2), [0.5, 1.5]).draw().axes
    assert points.collections[0].get_array().tolist() == [0.5, 1.5] and bar.get_ylabel() == "target"
