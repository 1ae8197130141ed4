"""IDX files, the format of MNIST and its kin: one array of unsigned bytes behind a header that tells its shape.

The format is described at http://yann.lecun.com/exdb/mnist/: two zero bytes, the type of the numbers (8 is unsigned
byte), the number of dimensions, each dimension as four bytes with the highest first, and the numbers.
"""

import gzip
import math
import zlib
from io import BufferedIOBase
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dlcourse.data.download import check_file
from dlcourse.errors import DataError

_UNSIGNED_BYTE = 8
_MAX_BYTES = 1 << 30  # more than any set of this family holds: a damaged header must not fill the memory
_REMEDY = "delete it to download it again, or write data.root=FOLDER"


def read_pictures(images: Path, labels: Path, num_classes: int, *, first: int = 0) -> tuple[Tensor, Tensor]:
    """Gray images `(N, 1, H, W)` as uint8 and their classes `(N,)` as int64; raises DataError.

    `first` is the label of the first class, which becomes 0.
    """
    pixels, classes = read_idx(images, 3), read_idx(labels, 1)
    if len(pixels) != len(classes):
        raise DataError(f"{images} has {len(pixels)} pictures but {labels} {len(classes)} labels; {_REMEDY}")
    check_labels(labels, classes, num_classes, first=first)
    return torch.from_numpy(pixels).unsqueeze(1), torch.from_numpy(classes).long() - first


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """The array of that many dimensions in an IDX file of unsigned bytes, raw or compressed (`.gz`); raises DataError."""
    check_file(path)
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            return _read_array(file, path, dimensions)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is damaged: {error}; {_REMEDY}") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; {_REMEDY}") from None


def check_labels(path: Path, labels: np.ndarray, num_classes: int, *, first: int = 0) -> None:
    """Raise DataError if a label of the file is not one of the classes, numbered from `first` on."""
    last = first + num_classes - 1
    wrong = np.flatnonzero((labels < first) | (labels > last))
    if len(wrong):
        row = int(wrong[0])
        raise DataError(f"{path}: label {labels[row]} at row {row} is outside {first}..{last}; {_REMEDY}")


def _read_array(file: BufferedIOBase, path: Path, dimensions: int) -> np.ndarray:
    magic = bytes([0, 0, _UNSIGNED_BYTE, dimensions])
    header = file.read(4 + 4 * dimensions)
    if header[:2] != magic[:2]:
        raise DataError(f"{path} is not an IDX file (it starts with {_text(header[:12])}); {_REMEDY}")
    if header[:4] != magic or len(header) < 4 + 4 * dimensions:
        raise DataError(
            f"{path} is not an IDX file of unsigned bytes in {dimensions} dimensions "
            f"(its header is {header[:4].hex(' ')}, expected {magic.hex(' ')}); {_REMEDY}"
        )
    shape = [int(size) for size in np.frombuffer(header, ">u4", offset=4)]
    promised = math.prod(shape)
    in_words = f"{' x '.join(map(str, shape))} = {promised} bytes"
    if promised == 0 or promised > _MAX_BYTES:
        raise DataError(f"{path} is damaged: its header promises {in_words}; {_REMEDY}")
    content = np.empty(promised + 1, np.uint8)  # one more, to notice a file that is too long
    held = file.readinto(content.data)
    if held != promised:
        more = "more" if held > promised else str(held)
        raise DataError(f"{path} is damaged: its header promises {in_words}, it holds {more}; {_REMEDY}")
    return content[:promised].reshape(shape)


def _text(start: bytes) -> str:
    return repr(start.decode("ascii", "replace")) if start else "nothing"
