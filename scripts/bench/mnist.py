"""MNIST as NumPy arrays, read by hand from the files that dlcourse reads."""

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
