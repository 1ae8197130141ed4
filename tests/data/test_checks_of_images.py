"""Checks of a folder of images: each kind of oddity by name, all at once, and copies that were changed a little."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageEnhance

from dlcourse.data.checks import image_files, twins
from dlcourse.data.checks.image_files import check_images, scan_images
from odd_photos import ODD, odd_photos, photo, photos


def found(folder: Path) -> list[str]:
    return [str(finding) for finding in check_images(scan_images(folder))]


def test_a_good_folder_has_nothing_odd(tmp_path: Path) -> None:
    photos(tmp_path / "a", cat=12, dog=12)
    photos(tmp_path / "b/train", cat=12, dog=12)
    photos(tmp_path / "b/test", 100, cat=4, dog=4)
    assert (found(tmp_path / "a"), found(tmp_path / "b")) == ([], [])


def test_all_that_is_odd_is_named_at_once(tmp_path: Path) -> None:
    told = "\n".join(found(odd_photos(tmp_path)))
    missing = [kind for kind, message in ODD.items() if message not in told and not message.startswith("class")]
    assert missing == []
    assert told.count("\n") == 8


def test_what_lies_at_a_wrong_depth_is_not_read_and_named(tmp_path: Path) -> None:
    photos(tmp_path, cat=12, dog=12)
    photo(1).save(tmp_path / "loose.png")
    (tmp_path / "cat/more").mkdir()
    (tmp_path / "cat/photo.heic").write_bytes(b"")
    (ignored,) = found(tmp_path)
    assert ignored.startswith("cat/more/, cat/photo.heic, loose.png: ignored")


def test_a_class_that_only_the_test_set_has_blocks(tmp_path: Path) -> None:
    photos(tmp_path / "train", cat=12, dog=12)
    photos(tmp_path / "test", 100, cat=4, dgo=4)
    (unknown,) = check_images(scan_images(tmp_path))
    assert str(unknown).startswith("test/dgo/: train/ has no class dgo") and unknown.blocks


def test_a_part_with_one_class_only_blocks(tmp_path: Path) -> None:
    photos(tmp_path / "train", cat=12, dog=12)
    photos(tmp_path / "test", 100, cat=4)
    (single,) = check_images(scan_images(tmp_path))
    assert str(single) == "test/: one class only, cat; at least two are needed" and single.blocks


def test_the_parts_with_the_same_image_are_named(tmp_path: Path) -> None:
    for part, first in (("train", 0), ("val", 100), ("test", 200)):
        photos(tmp_path / part, first, cat=5, dog=5)
    shutil.copy(tmp_path / "train/cat/00.png", tmp_path / "val/cat/copy.png")
    shutil.copy(tmp_path / "test/cat/00.png", tmp_path / "test/cat/a, b.png")
    shutil.copy(tmp_path / "test/cat/00.png", tmp_path / "test/cat/again.png")
    photo(3, 24).save(tmp_path / "val/cat/near.jpg", quality=90)
    shared, copies, near = found(tmp_path)
    assert shared.startswith(
        "train/cat/00.png and val/cat/copy.png: the same image in training and validation, which makes the val"
    )
    assert copies.startswith("test/cat/00.png and test/cat/a, b.png and test/cat/again.png: the same image 3 times")
    assert near.startswith(
        "train/cat/03.png and val/cat/near.jpg: nearly the same image in training and validation, which"
    )


def test_the_reason_why_an_image_is_damaged_is_not_a_part_of_its_name(tmp_path: Path) -> None:
    photos(tmp_path / "pets (2)", cat=5, dog=5)
    (tmp_path / "pets (2)/cat/x.png").write_bytes(b"no image")
    (damaged,) = found(tmp_path / "pets (2)")
    assert damaged.startswith("cat/x.png: cannot be read as an image (it has no known format); remove it")


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "half as large": lambda image: image.resize((24, 24)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "with less contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.6),
    "gray": lambda image: image.convert("L"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("divided", [True, False])
def test_a_changed_copy_is_found_and_a_turned_one_is_not(tmp_path: Path, change: str, divided: bool) -> None:
    train = tmp_path / "train" if divided else tmp_path
    photos(train, cat=5, dog=5)
    test = tmp_path / "test" if divided else tmp_path
    photos(test, 0 if not divided else 100, cat=5, dog=5)
    image = photo(3, 48)
    image.save(train / "cat/original.png")
    image.transpose(Image.Transpose.ROTATE_90).save(test / "cat/turned.png")
    CHANGES[change](image).save(test / "cat/z.png")
    pairs = [line for line in found(tmp_path) if "nearly the same image" in line]
    names = ("train/cat/original.png and test/cat/z.png", "cat/03.png and cat/original.png; cat/03.png and cat/z.png")
    (told,) = pairs if divided else [pairs[-1]]
    assert told.startswith(names[0 if divided else 1]) or (divided and "test/cat/z.png" in told)
    assert "turned" not in told


def test_images_without_contrast_are_not_all_the_same() -> None:
    flat = torch.stack([torch.full((256,), float(level)) for level in (0, 100, 200)])
    assert twins.near_pairs(flat, flat) == [] and twins.near_pairs_within(flat) == []
    spots = twins.thumbnails(torch.rand(300, 3, 20, 30, generator=torch.Generator().manual_seed(0)) * 255)
    assert spots.shape == (300, 256)
    assert twins.near_pairs(spots, spots[[7, 290]]) == [(7, 0), (290, 1)]
    assert twins.near_pairs_within(torch.cat([spots, spots[[299, 3]]])) == [(299, 300), (3, 301)]


def test_of_very_many_images_some_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos(tmp_path, cat=9, dog=9)
    monkeypatch.setattr(image_files, "MOST", 6)
    scan = scan_images(tmp_path)
    assert len(scan.seen) == 6 and {seen.label for seen in scan.seen} == {"cat", "dog"}
    assert scan.counts == {"train": {"cat": 9, "dog": 9}}
