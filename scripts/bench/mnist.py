"""MNIST as NumPy arrays, read by hand from the files that dlcourse reads; and such files with random images."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.contests import NETS, Work

MEAN, STD = 0.1307, 0.3081


def read(work: Work, *, resize: bool = True) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The first images `(N, H, W)` of the training set, in the size that the network reads, and their labels `(N,)`."""
    folder = Path(work.root or os.environ.get("DLCOURSE_DATA", "~/.cache/dlcourse")).expanduser() / "MNIST" / "raw"
    images = np.frombuffer((folder / "train-images-idx3-ubyte").read_bytes(), np.uint8, offset=16).reshape(-1, 28, 28)
    labels = np.frombuffer((folder / "train-labels-idx1-ubyte").read_bytes(), np.uint8, offset=8)
    images, labels = images[: work.size], labels[: work.size]
    side = NETS[work.net].side
    return _resized(images, side) if resize and side != 28 else images.copy(), labels.astype(np.int64)


def _resized(images: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    from PIL import Image

    return np.stack([np.asarray(Image.fromarray(image).resize((side, side))) for image in images])


def normalized(images: NDArray[np.uint8], net: str) -> NDArray[np.float32]:
    """What a library's `fit` takes, `(N, C, H, W)`: normalized pixels, for the vae pixels in [0, 1]."""
    pixels = images[:, None].astype(np.float32)
    pixels /= 255
    if net != "vae":
        pixels -= MEAN
        pixels /= STD
    return pixels.repeat(NETS[net].channels, axis=1)


def write_random(folder: Path, train: int = 1000, test: int = 100) -> None:
    """Files in the form of MNIST's with so many random images and labels; each class is equally frequent."""
    generator = np.random.default_rng(0)
    (folder / "MNIST" / "raw").mkdir(parents=True)
    for part, count in (("train", train), ("t10k", test)):
        images = generator.integers(256, size=(count, 28, 28), dtype=np.uint8)
        labels = generator.permutation(np.arange(count, dtype=np.uint8) % 10)
        for name, array in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
            head = np.array([0x800 + array.ndim, *array.shape], dtype=">i4").tobytes()
            (folder / "MNIST" / "raw" / name).write_bytes(head + array.tobytes())
