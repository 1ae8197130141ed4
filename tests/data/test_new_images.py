"""New pictures: the same pixels as training has decoded, for shapes that are not square too."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dlcourse.data.image_decoding import Decoder
from dlcourse.data.new_images import PictureReader, picture_files, thumbnail
from dlcourse.errors import ConfigError, DataError


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((700, 900)).save(tmp_path / "photo.jpg")
    return tmp_path / "photo.jpg"


@pytest.mark.parametrize("rgb", [True, False])
@pytest.mark.parametrize("resize", ["crop", "squash"])
def test_a_picture_is_read_as_in_training(photo: Path, resize: str, rgb: bool) -> None:
    pixels = PictureReader((3 if rgb else 1, 32, 32), resize)(photo)  # type: ignore[arg-type]
    assert pixels.equal(Decoder(32, resize, rgb)(photo).float() / 255)  # type: ignore[arg-type]


def test_shapes_that_are_not_square(tmp_path: Path) -> None:
    pixels = np.zeros((40, 40), np.uint8)
    pixels[10:30] = 255
    Image.fromarray(pixels).save(tmp_path / "bar.png")
    seen = PictureReader((1, 10, 20))(tmp_path / "bar.png")
    assert seen.shape == (1, 10, 20)
    assert seen[:, 1:-1].min() == 1  # the middle, twice as wide as it is high; its edges are smoothed
    assert PictureReader((1, 10, 20), "squash")(tmp_path / "bar.png").min() == 0


def test_channels_that_no_picture_has() -> None:
    with pytest.raises(ConfigError, match="this run reads images of 2 channels"):
        PictureReader((2, 8, 8))


def test_a_thumbnail_stands_in_the_middle_of_white(tmp_path: Path) -> None:
    Image.new("RGB", (50, 100), "red").save(tmp_path / "red.png")
    seen = thumbnail(tmp_path / "red.png", 20)
    assert seen.shape == (3, 20, 20)
    assert seen[:, 10, 5:15].equal(torch.tensor([1.0, 0.0, 0.0])[:, None].expand(3, 10))
    assert seen[:, :, :5].min() == 1 and seen[:, :, 15:].min() == 1


def test_a_thumbnail_of_a_line(tmp_path: Path) -> None:
    Image.new("L", (1, 3000)).save(tmp_path / "line.png")
    assert thumbnail(tmp_path / "line.png", 20).min() == 0


def test_the_files_of_a_folder(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpeg", ".hidden.png", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in picture_files(tmp_path)] == ["a.jpeg", "b.PNG"]
    assert picture_files(tmp_path / "b.PNG") == [tmp_path / "b.PNG"]


def test_a_heic_photo_needs_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(DataError, match=r"photo\.heic is a HEIC photo; to read those: pip install pillow-heif, or"):
        thumbnail(tmp_path / "photo.heic", 20)


def test_a_heic_photo_with_its_package(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    Image.new("RGB", (64, 48), (200, 30, 30)).save(tmp_path / "photo.heic")
    pixels = thumbnail(tmp_path / "photo.heic", 20)
    assert pixels[:, 10, 10].tolist() == pytest.approx([200 / 255, 30 / 255, 30 / 255], abs=0.03)
