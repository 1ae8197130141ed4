"""Drawings are prepared as MNIST's were: light on dark, evenly lit, in a box of 20 pixels, centered by their mass."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcourse.data import announced
from dlcourse.data.drawings import DrawingReader, find_ink, fit, is_dark_on_light, is_drawing
from dlcourse.errors import DataError
from strokes import draw, lit

MNIST = dataclasses.replace(announced.images(1, 28, classes=10), name="mnist", pixel_mean=(0.13,), pixel_std=(0.31,))


def seen(pixels: np.ndarray, folder: Path, name: str = "a.png", **options: Any) -> np.ndarray:
    Image.fromarray(pixels).save(folder / name, **options)
    (image,) = DrawingReader(1, 28)(folder / name)
    return image.numpy()


def test_which_runs_read_drawings() -> None:
    assert is_drawing(MNIST)
    assert is_drawing(
        dataclasses.replace(MNIST, input_shape=(3, 32, 32), pixel_mean=(0.1,) * 3, pixel_std=(0.3,) * 3)
    ), "gray, repeated"
    assert not is_drawing(dataclasses.replace(MNIST, pixel_mean=(0.8,))), "dark on light"
    assert not is_drawing(dataclasses.replace(MNIST, name="images")), "own pictures are read as in training"
    assert not is_drawing(dataclasses.replace(MNIST, input_shape=(1, 96, 96))), "large"
    colors = dataclasses.replace(MNIST, input_shape=(3, 32, 32), pixel_mean=(0.4, 0.3, 0.2), pixel_std=(0.2, 0.2, 0.2))
    assert not is_drawing(colors)
    assert not is_drawing(announced.numbers(4, classes=3))


@pytest.mark.parametrize("digit", range(10))
def test_a_drawing_fills_the_box_and_its_mass_is_in_the_middle(digit: int, tmp_path: Path) -> None:
    image = seen(draw(digit, digit), tmp_path)
    assert image.shape == (28, 28)
    rows, columns = (np.flatnonzero(image.any(axis)) for axis in (1, 0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    center = [float(image.sum(axis) @ np.arange(28) / image.sum()) for axis in (1, 0)]
    assert center == pytest.approx([14, 14], abs=0.55)
    assert image.max() == 1 and image[0].max() == 0
    assert 0.05 < image.mean() < 0.25, "strokes cover about as much as those of MNIST"


def test_the_aspect_ratio_stays(tmp_path: Path) -> None:
    paper = np.full((300, 400), 240, np.uint8)
    paper[100:180, 50:290] = 20
    image = seen(paper, tmp_path)
    rows, columns = (np.flatnonzero(image.any(axis)) for axis in (1, 0))
    assert np.ptp(columns) + 1 == 20 and abs(np.ptp(rows) + 1 - 20 / 3) < 1


@pytest.mark.parametrize("change", ["inverted", "lit", "photographed", "small", "faint", "noisy", "large", "turned"])
def test_the_same_drawing_however_it_comes(change: str, tmp_path: Path) -> None:
    pixels = draw(3, 1)
    expected = seen(pixels, tmp_path)
    options: dict[str, Any] = {}
    other, name = pixels, "b.png"
    if change == "inverted":
        other = 255 - pixels
    elif change == "lit":
        other = lit(pixels)
    elif change == "photographed":
        other, name, options = lit(pixels), "b.jpg", {"quality": 50}
    elif change == "small":
        other = np.asarray(Image.fromarray(pixels).resize((120, 90), Image.Resampling.BOX))
    elif change == "faint":
        other = (200 + 0.15 * pixels).astype(np.uint8)
    elif change == "noisy":
        other = (pixels + np.random.default_rng(0).normal(0, 12, pixels.shape)).clip(0, 255).astype(np.uint8)
    elif change == "large":
        other = np.asarray(Image.fromarray(pixels).resize((2000, 1500)))
    else:
        exif = Image.Exif()
        exif[0x0112] = 6  # the camera was held upright
        other, name, options = np.rot90(pixels), "b.jpg", {"exif": exif, "quality": 95}
    image = seen(other, tmp_path, name, **options)
    differences = [
        float(np.abs(np.roll(image, (down, right), (0, 1)) - expected).mean())
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
    ]
    assert min(differences) < 0.04, "but for a pixel up or down"
    assert np.abs(np.roll(image, 3, axis=1) - expected).mean() > 0.1, "so much is another drawing"


def test_light_on_dark_of_the_right_size_is_taken_as_it_is(tmp_path: Path) -> None:
    pixels = np.zeros((28, 28), np.uint8)
    pixels[5:12, 3:9] = np.arange(42).reshape(7, 6) * 6
    assert (seen(pixels, tmp_path) == pixels.astype(np.float32) / 255).all()
    assert not (seen(255 - pixels, tmp_path) == 1 - pixels.astype(np.float32) / 255).all()


def test_thin_strokes_become_as_thick_as_those_of_mnist(tmp_path: Path) -> None:
    thick, thin = (seen(draw(0, 1, width), tmp_path) for width in (18, 3))
    assert thin.sum() > 0.7 * thick.sum()


def test_specks_and_what_lies_at_the_border_are_no_strokes(tmp_path: Path) -> None:
    pixels = draw(5, 2)
    dirty = pixels.copy()
    dirty[10:14, 10:14] = 60
    dirty[:, -12:] = 20
    dirty[285:293, :150] = 20
    assert np.abs(seen(dirty, tmp_path) - seen(pixels, tmp_path)).mean() < 0.02


def test_paper_with_nothing_on_it_is_named(tmp_path: Path) -> None:
    for pixels in (np.full((90, 90), 255, np.uint8), lit(np.full((90, 90), 230, np.uint8))):
        with pytest.raises(DataError, match=r"a\.png has no strokes that stand out from the paper; write --as-is"):
            seen(pixels, tmp_path)


def test_vignettes_do_not_turn_light_into_dark() -> None:
    gray = draw(7, 3, width=6) / 255
    y, x = np.indices(gray.shape) / np.array(gray.shape)[:, None, None] - 0.5
    bright_corners = 0.3 + 1.4 * (x * x + y * y)
    assert is_dark_on_light(gray * (1.3 - bright_corners))
    assert is_dark_on_light(gray * bright_corners)
    assert not is_dark_on_light((1 - gray) * 0.5 + 0.5 * (1.3 - bright_corners))


@pytest.mark.parametrize(("name", "box"), [("mnist", 20), ("digits", 28), ("emnist", 24), ("glyphs", 20)])
def test_the_box_is_that_of_the_data_set(name: str, box: int, tmp_path: Path) -> None:
    Image.fromarray(draw(1, 1)).save(tmp_path / "a.png")
    reader = DrawingReader.of(dataclasses.replace(MNIST, name=name, input_shape=(3, 28, 28)))
    image = reader(tmp_path / "a.png").numpy()
    assert image.shape == (3, 28, 28) and (image[0] == image[2]).all()
    assert np.ptp(np.flatnonzero(image[0].any(1))) + 1 == box


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (2, 2), (3, 3), (5000, 2), (4, 300)])
def test_pictures_of_odd_shapes(size: tuple[int, int], tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    try:
        image = seen(pixels, tmp_path)
    except DataError as error:
        assert "has no strokes" in str(error)
    else:
        assert image.shape == (28, 28) and np.isfinite(image).all() and image.max() == 1


def test_a_single_pixel_of_ink_can_be_fitted() -> None:
    ink = np.zeros((9, 9))
    ink[4, 4] = 1
    assert fit(ink, 8, 6).max() == 1
    assert find_ink(np.ones((3, 3))) is None
