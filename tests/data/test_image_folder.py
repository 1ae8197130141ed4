"""Folders of image files: the layouts, the sizes, the order of an epoch, and an error for every file that is bad."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dlcourse.data import image_folder
from dlcourse.data.image_decoding import Decoder
from dlcourse.data.image_folder import FileSplit, ImageFolder
from dlcourse.data.split import TensorSplit
from dlcourse.errors import UserError
from dlcourse.spec import Data
from lab import Lab


def save(path: Path, color: object = (200, 0, 0), size: tuple[int, int] = (8, 8), mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, color).save(path)
    return path


def make(folder: Path, per_class: int = 10, classes: tuple[str, ...] = ("cat", "dog")) -> Path:
    """Images of one gray level each, all different, so that they can be recognized."""
    for label, name in enumerate(classes):
        for index in range(per_class):
            save(folder / name / f"{index:02}.png", (100 * label + index,) * 3)
    return folder


def build(folder: Path, seed: int = 0, **options: object) -> Data:
    return ImageFolder(folder=str(folder), **({"size": 4, "val_fraction": 0.25} | options)).build(
        name="images", seed=seed
    )


def levels(split: FileSplit) -> list[int]:
    """The gray level of each image of a split."""
    return (split.pictures(torch.arange(len(split)))[:, 0, 0, 0] * 255).round().int().tolist()


def test_a_folder_for_each_class(tmp_path: Path) -> None:
    data = build(make(tmp_path))
    assert (len(data.train), len(data.val), len(data.test)) == (12, 4, 4)
    everything = [level for split in (data.train, data.val, data.test) for level in levels(split)]
    assert sorted(everything) == [*range(10), *range(100, 110)]
    for split in (data.train, data.val, data.test):
        assert [int(level >= 100) for level in levels(split)] == split.targets.tolist()
        assert split.targets.sum() * 2 == len(split)
    assert data.spec.class_names == ("cat", "dog")
    assert data.spec.input_shape == (3, 4, 4)
    assert build(tmp_path, rgb=False, size=5).spec.input_shape == (1, 5, 5)


@pytest.mark.parametrize("parts", [("train",), ("train", "test"), ("train", "val"), ("train", "val", "test")])
def test_folders_for_training_validation_and_test(tmp_path: Path, parts: tuple[str, ...]) -> None:
    for offset, part in enumerate(parts):
        for name in ("cat", "dog"):
            for index in range(10):
                save(tmp_path / part / name / f"{index}.png", (50 * offset + index,) * 3)
    data = build(tmp_path)
    own = {part: range(50 * offset, 50 * offset + 10) for offset, part in enumerate(parts)}
    for part, split in (("train", data.train), ("val", data.val), ("test", data.test)):
        assert set(levels(split)) <= set(own.get(part, own["train"]))
    assert len(data.val) == (20 if "val" in parts else 4 if "test" not in parts else 5)
    assert len(data.train) + len(data.val) + len(data.test) == 20 * len(parts)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    assert build(make(tmp_path, classes=("bus", "train"))).spec.class_names == ("bus", "train")


def test_the_shared_options_hold(tmp_path: Path) -> None:
    data = build(make(tmp_path, classes=("cat", "dog", "owl")), classes=("owl", "cat"), subset=8)
    assert data.spec.class_names == ("owl", "cat")
    assert (len(data.train), len(data.val), len(data.test)) == (6, 2, 4)
    assert [int(level < 200) for level in levels(data.test)] == data.test.targets.tolist()


def test_hidden_and_other_files_are_left_alone(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "labels.txt").write_text("x")
    (tmp_path / "cat" / "Thumbs.db").write_text("x")
    (tmp_path / "cat" / "._00.png").write_text("x")
    (tmp_path / ".git").mkdir()
    assert sum(map(len, (lambda data: (data.train, data.val, data.test))(build(tmp_path)))) == 20


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_are_those_of_the_same_images_in_memory(tmp_path: Path, workers: int) -> None:
    from dlcourse.data.augment_policy import PolicyAugment

    data = build(make(tmp_path), workers=workers, augment=PolicyAugment(flip=True, brightness=0.5), seed=3)
    split = data.train
    pixels = (split.pictures(torch.arange(len(split))) * 255).round().to(torch.uint8)
    in_memory = TensorSplit(pixels, split.targets, 3, split.transform)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    for epoch in (None, 1, 2):
        for got, expected in zip(split.batches(5, epoch=epoch), in_memory.batches(5, epoch=epoch), strict=True):
            torch.testing.assert_close(got.inputs, expected.inputs)
            assert got.targets.equal(expected.targets)
    assert torch.get_rng_state().equal(before)
    plain = torch.cat([batch.inputs for batch in split.batches(5)])
    assert plain.mean().item() == pytest.approx(0, abs=1e-5)
    assert plain.std(correction=0).item() == pytest.approx(1, abs=1e-5)


def test_crop_takes_the_middle_and_squash_takes_all(tmp_path: Path) -> None:
    stripes = np.repeat(np.array([0, 80, 160, 240], np.uint8), 8)[None, :, None].repeat(16, 0).repeat(3, 2)
    Image.fromarray(stripes).save(tmp_path / "stripes.png")  # (16, 32, 3), four stripes of 8
    assert Decoder(2, "crop", True)(tmp_path / "stripes.png")[:, 0].tolist() == [[80, 160]] * 3
    assert Decoder(4, "squash", False)(tmp_path / "stripes.png").shape == (1, 4, 4)
    squashed = Decoder(4, "squash", False)(tmp_path / "stripes.png")[0, 0]
    assert squashed.tolist() == pytest.approx([0, 80, 160, 240], abs=15)


@pytest.mark.parametrize(
    ("name", "mode", "color", "expected"),
    [
        ("a.png", "RGBA", (10, 20, 30, 255), [10, 20, 30]),
        ("a.png", "RGBA", (10, 20, 30, 0), [255, 255, 255]),
        ("a.webp", "RGBA", (0, 0, 0, 0), [255, 255, 255]),
        ("a.png", "LA", (40, 255), [40, 40, 40]),
        ("a.png", "L", 40, [40, 40, 40]),
        ("a.png", "1", 1, [255, 255, 255]),
        ("a.png", "I;16", 40 * 256 + 9, [40, 40, 40]),
        ("a.gif", "L", 40, [40, 40, 40]),
        ("a.bmp", "RGB", (10, 20, 30), [10, 20, 30]),
        ("a.JPEG", "CMYK", (0, 0, 0, 255), [0, 0, 0]),
        ("a.jpg", "L", 40, [40, 40, 40]),
    ],
)
def test_modes_and_formats(tmp_path: Path, name: str, mode: str, color: object, expected: list[int]) -> None:
    path = save(tmp_path / name, color, mode=mode)
    assert Decoder(2, "crop", True)(path)[:, 1, 1].tolist() == pytest.approx(expected, abs=1)


def test_palettes_with_transparency_and_turned_photographs(tmp_path: Path) -> None:
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    palette.save(tmp_path / "p.png", transparency=b"\x00\xff")
    assert Decoder(2, "crop", True)(tmp_path / "p.png")[:, 0, 0].tolist() == [10, 20, 30]
    halves = np.zeros((16, 16, 3), np.uint8)
    halves[:8] = 255  # the upper half is white
    exif = Image.Exif()
    exif[0x0112] = 6  # taken with the camera turned: to be shown turned to the right by 90 degrees
    Image.fromarray(halves).save(tmp_path / "turned.jpg", exif=exif, quality=100)
    turned = Decoder(4, "crop", False)(tmp_path / "turned.jpg")[0]
    assert turned[:, 3].min() > 230
    assert turned[:, 0].max() < 25


def cut(path: Path) -> Path:
    """The file without its second half."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def noise(path: Path) -> Path:
    Image.fromarray(np.random.RandomState(0).randint(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    return path


def test_a_file_that_is_no_image_stops_the_run_or_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path)
    (tmp_path / "cat" / "text.jpg").write_text("no image")
    with pytest.raises(UserError) as caught:
        build(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/cat/text.jpg cannot be read as an image (it has no known format); remove it, or write "
        "data.unreadable=skip"
    )
    cut(noise(tmp_path / "dog" / "cut.png"))
    (tmp_path / "dog" / "empty.gif").touch()
    save(tmp_path / "dog" / "bomb.png", size=(100, 100))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4999)
    data = build(tmp_path, unreadable="skip")
    assert len(data.train) + len(data.val) + len(data.test) == 20
    assert data.notes == ("4 unreadable images left out: cat/text.jpg, dog/bomb.png, dog/cut.png, dog/empty.gif",)
    (tmp_path / "cat" / "text.jpg").unlink()
    with pytest.raises(UserError, match=r"bomb\.png cannot be read as an image \(Image size \(10000 pixels\) exceeds"):
        build(tmp_path)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_cut_short_stops_training_with_its_name(tmp_path: Path, workers: int) -> None:
    data = build(make(tmp_path), workers=workers)
    noise(tmp_path / "cat" / "00.png")
    for path in tmp_path.glob("*/*.png"):
        cut(noise(path))
    with pytest.raises(UserError) as caught:
        list(data.train.batches(4, epoch=1))
    assert ".png cannot be read as an image (" in str(caught.value)
    assert str(caught.value).endswith("); remove it, or write data.unreadable=skip")
    assert "\n" not in str(caught.value)


def test_odd_sizes(tmp_path: Path) -> None:
    make(tmp_path)
    save(tmp_path / "cat" / "odd.png", size=(9, 7))
    data = build(tmp_path)
    assert len(data.train) + len(data.val) + len(data.test) == 21
    with pytest.raises(UserError) as caught:
        build(tmp_path, odd_sizes="stop")
    assert str(caught.value) == (
        f"{tmp_path}/cat/odd.png has 9 x 7 pixels, but {tmp_path}/cat/00.png 8 x 8; write data.odd_sizes=resize to "
        "resize all alike, or data.odd_sizes=skip"
    )
    data = build(tmp_path, odd_sizes="skip")
    assert len(data.train) + len(data.val) + len(data.test) == 20
    assert data.notes == ("1 odd-sized image left out: cat/odd.png",)


def test_what_is_not_read_is_said(tmp_path: Path) -> None:
    for part in ("train", "test"):
        make(tmp_path / part)
    assert build(tmp_path).notes == ()
    (tmp_path / "train" / "cat" / ".hidden").touch()
    (tmp_path / "train" / "cat" / "nested").mkdir()
    for place in ("train/cat/a.HEIC", "train/dog/b.heic", "train/dog/c.txt", "train/loose.png", "LICENSE"):
        (tmp_path / place).touch()
    assert build(tmp_path).notes == (
        f"left out of {tmp_path}: 2 .heic, 1 .png, 1 .txt, 1 folder, 1 without an ending; only files that end in .png, "
        ".jpg, .jpeg, .bmp, .webp, .gif are read",
    )
    for path in (tmp_path / "test" / "cat").iterdir():
        path.rename(path.with_suffix(".HEIC"))
    with pytest.raises(UserError, match=r"/test/cat holds no images \(\d+ \.heic\); put files there that end in"):
        build(tmp_path)


def test_folders_that_hold_no_data_set(tmp_path: Path) -> None:
    def message(folder: Path | None, **options: object) -> str:
        with pytest.raises(UserError) as caught:
            ImageFolder(folder=None if folder is None else str(folder), **options).load()
        assert "\n" not in str(caught.value)
        return str(caught.value).replace(str(tmp_path), "TMP")

    assert (
        message(None) == "data.folder is missing; write data=images data.folder=FOLDER, with one folder per class in it"
    )
    assert message(tmp_path / "gone").startswith(
        "cannot read TMP/gone: No such file or directory; write data.folder=FOLDER"
    )
    assert message(save(tmp_path / "x.png")).startswith("TMP/x.png is not a folder; write data.folder=FOLDER, with one")
    assert message(tmp_path) == (
        "TMP holds images but no folders; put the images of each class into a folder of their own, TMP/CLASS"
    )
    empty = tmp_path / "empty"
    (empty / "cat").mkdir(parents=True)
    assert message(empty) == "TMP/empty holds one class only, 'cat'; at least two are needed: TMP/empty/CLASS"
    (empty / "dog").mkdir()
    assert message(empty).startswith(
        "TMP/empty has no images in its folders cat, dog; put files there that end in .png, .jp"
    )
    bad = save(empty / "dog" / "a.png")
    assert message(empty).startswith(
        "TMP/empty/cat holds no images; put files there that end in .png, .jpg, .jpeg, .bmp,"
    )
    assert message(empty).endswith("or remove the folder")
    save(empty / "cat" / "a.png")
    bad.write_text("x")
    assert message(empty, unreadable="skip") == (
        "every image in TMP/empty/dog had to be left out; add images or remove the folder"
    )
    parts = tmp_path / "parts"
    make(parts / "train")
    (parts / "test").mkdir()
    assert message(parts).startswith("TMP/parts/test holds no folders; put the images of each class")
    make(parts / "test", classes=("cat", "dogs"))
    assert (
        message(parts)
        == "TMP/parts/test has the class 'dogs', which TMP/parts/train does not have; did you mean 'dog'?"
    )


@pytest.mark.parametrize(
    "gone", [ConnectionResetError(104, "Connection reset by peer"), EOFError(), FileNotFoundError()]
)
def test_a_worker_that_dies_while_it_sends_is_no_error_of_the_disk(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, gone: Exception
) -> None:
    class Dying:
        """What torch's loader does if a worker is killed in the middle of a batch."""

        def __init__(self, *_: object, **__: object) -> None: ...

        def __iter__(self) -> "Dying":
            return self

        def __next__(self) -> torch.Tensor:
            raise gone

    make(lab.folder / "photos")
    words = ["data=images", "data.folder=photos", "data.size=4", "model=softmax", "trainer.epochs=1"]
    data_of = image_folder.ImageFolder.load

    def load(*arguments: object) -> object:  # the images are measured before any worker dies
        found = data_of(*arguments)
        monkeypatch.setattr(image_folder, "DataLoader", Dying)
        return found

    monkeypatch.setattr(image_folder.ImageFolder, "load", load)
    lab.train(*words, "data.workers=1", code=3)
    assert "a process that reads images was killed" in lab.err and lab.err.count("\n") == 1


@pytest.mark.parametrize("workers", [0, 1])
def test_training_on_a_folder(lab: Lab, workers: int) -> None:
    make(lab.folder / "pets")
    words = [
        "data=images",
        "data.folder=pets",
        "data.size=8",
        "model=cnn",
        "model.channels=[4]",
        "trainer.batch_size=8",
    ]
    lab.train(*words, "trainer.epochs=2", f"data.workers={workers}", "trainer.log_graph=false")
    assert "14 train / 2 val / 4 test   3x8x8   2 classes" in lab.out
    assert lab.err == ""


def test_features_name_the_shape_of_an_image_as_plain_numbers(lab: Lab) -> None:
    make(lab.folder / "pets")
    words = ["data=images", "data.folder=pets", "data.size=8"]
    lab.train(*words, "features=polynomial", code=2)
    assert "an example of data 'images' has shape (3, 8, 8); write features=none" in lab.err
