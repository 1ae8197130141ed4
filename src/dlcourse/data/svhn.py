"""SVHN: house numbers from street photographs, 73,257 + 26,032 color pictures of 32 x 32 in ten classes, as .mat files.

Names and checksums are those of torchvision, so what it has downloaded is read as it is. The files are of MATLAB's version
5, which `scipy.io.loadmat` parses into arrays: it has no way to run anything, functions and objects in a file stay the bytes
they are, and of a file only the arrays `X` and `y` are read at all, once their shapes are seen to be right.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from dlcourse.data import announced
from dlcourse.data.dataset import Tables
from dlcourse.data.download import ImageFiles, lies_there, one_line
from dlcourse.data.idx import check_labels
from dlcourse.errors import DataError

_SHAPE = (32, 32, 3)
_MOST_ROWS = 1_000_000
_REMEDY = "delete it to download it again, or write data.root=FOLDER"


@dataclass(frozen=True, kw_only=True)
class SVHN(ImageFiles):
    """Digits of house numbers, cropped (Netzer et al. 2011, Reading digits in natural images, NIPS workshop).

    Two files in `root`: `train_32x32.mat` and `test_32x32.mat`. They number the digit 0 as class 10, here it is class 0.
    """

    SPECS = (announced.images(3, 32, classes=10),)

    URL: ClassVar[str] = "http://ufldl.stanford.edu/housenumbers/"
    CHECKSUMS: ClassVar[Mapping[str, str]] = {
        "train_32x32.mat": "md5:e26dedcc434d2e4c54c9b2d4a06d8373",
        "test_32x32.mat": "md5:eb5a983be6a315427106f1b164d9cef3",
    }
    CLASS_NAMES: ClassVar[tuple[str, ...]] = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")

    @property
    def is_here(self) -> bool:
        return all(lies_there(self.root_folder / name) for name in self.CHECKSUMS)

    def load(self) -> Tables:
        train, test = (
            self._read(self.ready(self.root_folder / name, [self.URL + name], checksum))
            for name, checksum in self.CHECKSUMS.items()
        )
        return Tables(*train, *test, class_names=self.CLASS_NAMES)

    def _read(self, path: Path) -> tuple[Tensor, Tensor]:
        """Images `(N, 3, 32, 32)` uint8 and classes `(N,)` int64."""
        try:
            pixels, labels = _read_arrays(path)
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror or one_line(error)}; {_REMEDY}") from None
        except Exception as error:  # what scipy raises for damaged files goes from KeyError to zlib.error
            raise DataError(f"{path} is not a file of SVHN ({one_line(error)}); {_REMEDY}") from None
        check_labels(path, labels, len(self.CLASS_NAMES), first=1)
        images = np.ascontiguousarray(pixels.transpose(3, 2, 0, 1))  # (32, 32, 3, N) -> (N, 3, 32, 32)
        return torch.from_numpy(images), torch.from_numpy(labels) % len(self.CLASS_NAMES)


def _read_arrays(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """`X` `(32, 32, 3, N)` uint8 and `y` `(N,)` int64; raises ValueError for other arrays, and whatever scipy does."""
    from scipy import io

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of variables that are no arrays, which are not read
        shapes = {name: (shape, kind) for name, shape, kind in io.whosmat(str(path))}
        (shape, kind), (shape_of_labels, _) = (shapes.get(name, ((), "missing")) for name in ("X", "y"))
        count = shape[-1] if shape[:-1] == _SHAPE else 0
        if kind != "uint8" or not 0 < count <= _MOST_ROWS or shape_of_labels != (count, 1):
            raise ValueError(
                f"X is {kind} of shape {shape} and y of {shape_of_labels}, expected uint8 of (32, 32, 3, N) and (N, 1)"
            )
        arrays: Any = io.loadmat(str(path), variable_names=("X", "y"))
    return arrays["X"], arrays["y"].ravel().astype(np.int64)
