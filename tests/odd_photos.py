"""A folder of small photographs with thirteen things wrong with it, for tests of what looks for those."""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 24


def photo(number: int, side: int = SIDE) -> Image.Image:
    """A picture of soft spots, another one for each number."""
    spots = np.random.default_rng(number).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(spots).resize((side, side), Image.Resampling.BICUBIC)


def photos(folder: Path, first: int = 0, **classes: int) -> None:
    """So many photos of each class, numbered on from `first`."""
    for name, count in classes.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            photo(first).save(folder / name / f"{index:02d}.png")
            first += 1


ODD = {
    "an ignored note": "cat/notes.txt",
    "an ignored thumbnail file": "dog/Thumbs.db",
    "an ignored hidden file": ".DS_Store",
    "a damaged image": "train/cat/broken.png: cannot be read as an image",
    "an empty class": "train/bird/: a class without images",
    "an image of another size": "train/cat/large.png (36 x 36): another size than the usual 24 x 24 pixels",
    "a gray image": "train/cat/gray.png: gray among images in color",
    "an image with two labels": "train/cat/07.png and train/dog/copy.png: the same image with different labels",
    "an image twice": "train/cat/08.png and train/cat/again.png: the same image twice",
    "an image in training and test": "train/dog/03.png and test/dog/leak.png: the same image in training and test",
    "nearly the same image in training and test": "train/cat/05.png and test/cat/nearly.jpg: nearly the same image",
    "a class without test examples": "class owl: no test examples",
    "a class with few examples": "class fox (3): fewer than 10 training examples",
    "classes of different sizes": "classes: sizes from 3 training examples (fox) to 34 (cat)",
}
"""What is wrong with `odd_photos`, and how it is told."""


def odd_photos(folder: Path) -> Path:
    """The folder, with `train` and `test` in it."""
    train, test = folder / "train", folder / "test"
    photos(train, 0, cat=30, dog=20, fox=3, owl=12)
    photos(test, 1000, cat=8, dog=8, fox=4)
    (folder / ".DS_Store").write_bytes(b"Bud1")
    (train / "cat/notes.txt").write_text("all in the garden")
    (train / "dog/Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (train / "cat/broken.png").write_bytes(b"\x89PNG\r\n\x1a\nand no more")
    (train / "bird").mkdir()
    photo(2000, 36).save(train / "cat/large.png")
    photo(2001).convert("L").save(train / "cat/gray.png")
    shutil.copy(train / "cat/07.png", train / "dog/copy.png")
    shutil.copy(train / "cat/08.png", train / "cat/again.png")
    shutil.copy(train / "dog/03.png", test / "dog/leak.png")
    photo(5).save(test / "cat/nearly.jpg", quality=85)
    return folder
