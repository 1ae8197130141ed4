"""Glyphs and shapes: same options, same images; balanced classes that can be told apart, by form and not by color."""

import math

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from dlcourse.data.glyphs import Glyphs
from dlcourse.data.shapes import FIGURES, Shapes

SHAPE = {Glyphs: (1, 28, 28), Shapes: (3, 32, 32)}


@pytest.mark.parametrize("make", [Glyphs, Shapes])
def test_images_are_balanced_bytes(make):
    tables = make(train_size=103, test_size=50).load()
    assert tables.train_inputs.shape == (103, *SHAPE[make]) and tables.test_inputs.shape == (50, *SHAPE[make])
    assert tables.train_inputs.dtype == torch.uint8 and tables.train_targets.dtype == torch.int64
    assert sorted(tables.train_targets.bincount().tolist()) == [10] * 7 + [11] * 3
    assert tables.test_targets.bincount().tolist() == [5] * 10
    assert len(tables.class_names) == 10


@pytest.mark.parametrize("make", [Glyphs, Shapes])
def test_the_draw_depends_on_the_seed_alone(make):
    tables, again, other = (make(train_size=60, test_size=60, seed=seed).load() for seed in (3, 3, 4))
    assert torch.equal(tables.train_inputs, again.train_inputs) and torch.equal(tables.test_inputs, again.test_inputs)
    assert torch.equal(tables.train_targets, again.train_targets)
    assert not torch.equal(tables.train_inputs, other.train_inputs)
    assert not torch.equal(tables.train_inputs, tables.test_inputs)


@pytest.mark.parametrize("make", [Glyphs, Shapes])
def test_more_test_images_leave_the_training_images_alone(make):
    few, many = (make(train_size=40, test_size=size).load() for size in (20, 60))
    assert torch.equal(few.train_inputs, many.train_inputs)


@pytest.mark.parametrize("make", [Glyphs, Shapes])
def test_they_build_into_splits(make):
    data = make(train_size=100, test_size=20).build(name="drawn", seed=0)
    assert data.spec.input_shape == SHAPE[make] and data.spec.num_outputs == 10
    assert (len(data.train), len(data.val), len(data.test)) == (90, 10, 20)


def test_glyphs_are_white_on_black_in_the_middle():
    images = Glyphs(train_size=200, test_size=20).load().train_inputs.float()
    assert images.amax(dim=(1, 2, 3)).min() > 180
    assert images.median() < 20
    assert images[..., [0, -1], :].mean() < 10 and images[..., [0, -1]].mean() < 10


def test_glyphs_are_neither_trivial_nor_hopeless():
    tables = Glyphs(train_size=1500, test_size=500).load()
    train, test = tables.train_inputs.flatten(1) / 255, tables.test_inputs.flatten(1) / 255
    linear = LogisticRegression(C=0.01, max_iter=500).fit(train, tables.train_targets).score(test, tables.test_targets)
    assert 0.6 < linear < 0.95
    assert KNeighborsClassifier(3).fit(train, tables.train_targets).score(test, tables.test_targets) > 0.8


def test_shapes_are_told_apart_by_form():
    tables = Shapes(train_size=2000, test_size=300).load()

    def outline(images):
        """Where the image differs from its ground, which is the color of the pixels along the edge."""
        border = torch.cat([images[:, :, 0], images[:, :, -1], images[:, :, :, 0], images[:, :, :, -1]], dim=2)
        ground = border.float().median(dim=2).values[:, :, None, None]
        return ((images - ground).abs().mean(dim=1) > 40).float()

    def centered(masks):
        """The masks with their center of mass moved to the middle, to the pixel."""
        steps = torch.arange(32.0)
        total = masks.sum(dim=(1, 2))
        down = (16 - (masks.sum(dim=2) * steps).sum(dim=1) / total).round().int().tolist()
        right = (16 - (masks.sum(dim=1) * steps).sum(dim=1) / total).round().int().tolist()
        return torch.stack(
            [mask.roll(shift, (0, 1)) for mask, shift in zip(masks, zip(down, right, strict=True), strict=True)]
        )

    train, test = (centered(outline(images)).flatten(1) for images in (tables.train_inputs, tables.test_inputs))
    assert KNeighborsClassifier(3).fit(train, tables.train_targets).score(test, tables.test_targets) > 0.85


def test_the_colors_of_shapes_say_nothing_about_the_class():
    tables = Shapes(train_size=3000, test_size=1000).load()
    corners = [
        images[:, :, [0, 0, -1, -1], [0, -1, 0, -1]].flatten(1) / 255
        for images in (tables.train_inputs, tables.test_inputs)
    ]
    center = [images[:, :, 16, 16] / 255 for images in (tables.train_inputs, tables.test_inputs)]
    for train, test in (corners, center):
        model = KNeighborsClassifier(25).fit(train, tables.train_targets)
        assert model.score(test, tables.test_targets) < 0.14


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_fits_the_unit_circle_and_fills_some_of_it(name):
    steps = torch.linspace(-1.5, 1.5, 301)
    points = torch.cartesian_prod(steps, steps).unsqueeze(0)
    inside = FIGURES[name](points) < 0
    assert points[inside].norm(dim=-1).max() <= 1.001
    assert inside.sum() * 0.01**2 > 0.6


@pytest.mark.parametrize(
    ("name", "area"),
    [
        ("circle", math.pi * 0.85**2),
        ("square", 1.4**2),
        ("triangle", 3 / 2 * math.sin(math.tau / 3)),
        ("star", 10 / 2 * 0.42 * math.sin(math.tau / 10)),
        ("cross", 4 * 0.6 * 0.95 - 0.6**2),
        ("ring", math.pi * (0.9**2 - 0.5**2)),
        ("diamond", 2 * 0.55),
        ("pentagon", 5 / 2 * math.sin(math.tau / 5)),
        ("heart", 2 * 0.78**2 + math.pi * (0.78**2 / 2)),
    ],
)
def test_the_area_of_a_figure(name, area):
    steps = torch.linspace(-1, 1, 401)
    inside = FIGURES[name](torch.cartesian_prod(steps, steps).unsqueeze(0)) < 0
    assert inside.float().mean().item() * (2 + 2 / 400) ** 2 == pytest.approx(area, rel=0.02)


def test_distance_to_a_square_is_exact():
    points = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [0.0, -1.7], [1.0, 1.1]]])
    expected = torch.tensor([[-0.7, 0.3, 1.0, 0.5]])
    torch.testing.assert_close(FIGURES["square"](points), expected)
