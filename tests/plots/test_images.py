"""Images and weights side by side: each pixel as it was given, each image over its caption."""

import numpy as np
import pytest
import torch

from dlcourse.plots.images import ImageGrid, WeightImages
from dlcourse.plots.latent import ImageSheet


def test_image_grid_shows_every_image_over_its_caption():
    gray = torch.rand(7, 1, 4, 6)
    (axes,) = ImageGrid(gray, [f"{n} as 9" for n in range(7)], "Mistakes", columns=3).draw().axes
    assert len(axes.images) == 7
    for image, expected, caption in zip(axes.images, gray, axes.texts, strict=True):
        assert np.array_equal(image.get_array(), expected[0])
        assert image.get_clim() == (0, 1) and image.get_interpolation() == "nearest"
        left, right, bottom, _ = image.get_extent()
        assert (right - left) / abs(image.get_extent()[3] - bottom) == pytest.approx(6 / 4)
        assert left < caption.get_position()[0] < right
        assert caption.get_position()[1] > bottom  # y grows downwards
    assert [caption.get_text() for caption in axes.texts] == [f"{n} as 9" for n in range(7)]
    assert sorted({image.get_extent()[0] for image in axes.images}) == pytest.approx([0, 1.06, 2.12])


def test_image_grid_shows_color_and_no_captions_where_there_are_none():
    color = np.random.default_rng(0).random((2, 3, 5, 5))
    (axes,) = ImageGrid(color, title="Samples").draw().axes
    assert np.allclose(axes.images[1].get_array(), color[1].transpose(1, 2, 0))
    assert len(axes.texts) == 0


def test_an_empty_image_grid_says_so():
    assert ImageGrid(np.empty((0, 3, 4, 4)), title="Mistakes").draw().get_suptitle() == "Mistakes: none"


def test_weight_images_share_one_scale_that_is_symmetric_around_zero():
    weights = np.random.default_rng(0).normal(size=(4, 3, 5, 5))
    axes, bar = WeightImages(weights, list("abcd")).draw().axes
    limit = np.abs(weights.mean(1)).max()
    assert [image.get_clim() for image in axes.images] == [(-limit, limit)] * 4
    assert np.allclose(axes.images[2].get_array(), weights[2].mean(0))
    assert [text.get_text() for text in axes.texts] == list("abcd")
    assert bar.get_ylabel() == "weight"


def test_weights_that_are_all_zero_can_be_drawn():
    axes, _ = WeightImages(np.zeros((2, 1, 3, 3)), ["a", "b"]).draw().axes
    assert axes.images[0].get_clim() == (-1, 1)


def test_pixels_that_are_not_finite_draw_and_are_told():
    images = np.zeros((2, 1, 3, 3))
    images[1, 0, 0, 0] = np.nan
    assert ImageGrid(images, title="Samples").draw().get_suptitle() == "Samples (1 with pixels that are not finite)"
    (sheet,) = ImageSheet(images[None], "Samples").draw().axes
    assert sheet.get_title(loc="left") == "Samples (1 with pixels that are not finite)"
    assert np.isfinite(np.asarray(sheet.images[0].get_array())).all()
