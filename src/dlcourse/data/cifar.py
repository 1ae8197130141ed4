"""CIFAR-10 and CIFAR-100: 50,000 + 10,000 color pictures of 32 x 32 in ten and in a hundred classes.

All versions, and their checksums, are described at https://www.cs.toronto.edu/~kriz/cifar.html. The python versions are
pickles: they are read by an unpickler of our own that can make nothing but arrays of bytes, lists, dicts and text.
"""

import gzip
import pickle  # only for _BatchReader, which can make nothing but the two stand-ins below
import shutil
import tarfile
import zlib
from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from dlcourse.data import announced
from dlcourse.data.dataset import Tables
from dlcourse.data.download import ImageFiles, check_file, lies_there, one_line
from dlcourse.data.idx import check_labels
from dlcourse.data.transforms import Augment
from dlcourse.errors import DataError
from dlcourse.files import whole_file

_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32
_ROWS = 10_000  # pictures in each published file
_REMEDY = "delete it to download the data again, or write data.root=FOLDER"

_PYTHON_FOLDER = "cifar-10-batches-py"
_PYTHON_FILES = {
    "data_batch_1": "md5:c99cafc152244af753f735de768cd75f",
    "data_batch_2": "md5:d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "md5:54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "md5:634d18415352ddfa80567beed471001a",
    "data_batch_5": "md5:482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "md5:40351d587109b95175f43aff81a1287e",
}
_BINARY_FOLDER = "cifar-10-batches-bin"
_BINARY_FILES = tuple(f"{name}.bin" for name in _PYTHON_FILES)
_FOLDER_100 = "cifar-100-python"
_FILES_100 = {"train": "md5:16019d7e3df5f24257cddd939b257f8d", "test": "md5:f0ef6b0ae62326f3e7ffdfab6717acfc"}
_ROWS_100 = 5 * _ROWS
_URL = "https://www.cs.toronto.edu/~kriz/"
_ARCHIVES = {
    "cifar-10-binary.tar.gz": "md5:c32a1d4ab5d03f1284b67883e8d87530",
    "cifar-100-python.tar.gz": "md5:eb9058c3a382ffc7106e4002c42a8d85",
}

_Batch = tuple[np.ndarray, np.ndarray]  # pixels (N, 3072) and labels (N,)


@dataclass(frozen=True, kw_only=True)
class _Cifar(ImageFiles):
    """What both have in common.

    Training pictures are shifted and mirrored, unless `augment` says otherwise, as is usual since He et al. 2016, section
    4.2.
    """

    TITLE: ClassVar[str]
    ARCHIVE: ClassVar[str]
    FILES: ClassVar[tuple[tuple[str, tuple[str, ...]], ...]]
    """The versions that are read: each a folder and the names of its files."""
    CLASS_NAMES: ClassVar[tuple[str, ...]]

    augment: Augment = field(default_factory=lambda: Augment(crop=4, flip=True))

    @property
    def is_here(self) -> bool:
        unpacked = any(not _missing(self.root_folder / folder, names) for folder, names in self.FILES)
        return unpacked or lies_there(self.root_folder / self.ARCHIVE)

    def load(self) -> Tables:
        *train, test = self._batches()
        return Tables(*_joined(train), *_joined([test]), class_names=self.CLASS_NAMES)

    @abstractmethod
    def _batches(self) -> list[_Batch]:
        """The batches of training and, last, the one for testing; raises DataError."""

    def _archive(self, name: str, missing: str) -> Path:
        """An archive that holds the missing file, downloaded if it is not there. It is kept: its host is slow."""
        return self.ready(self.root_folder / name, [f"{_URL}{name}"], _ARCHIVES[name], missing)

    def _read_python(self, path: Path, checksum: str, key: str = "labels", rows: int = _ROWS) -> _Batch:
        """A pickled batch of at most `rows` pictures, with the labels that it holds under `key`."""
        check_file(path, checksum if self.verify else None)
        try:
            pixels, labels = _unpickled(path, key, rows)
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}; write data.root=FOLDER") from None
        except Exception as error:  # unpickling junk may raise anything, as the documentation of pickle says
            raise DataError(f"{path} is not a {self.TITLE} batch ({one_line(error)}); {_REMEDY}") from None
        check_labels(path, labels, len(self.CLASS_NAMES))
        return pixels, labels


@dataclass(frozen=True, kw_only=True)
class CIFAR10(_Cifar):
    """Small color photographs of animals and vehicles (Krizhevsky 2009, Learning multiple layers of features).

    Read from the python or the binary version, whichever is complete; the binary one is downloaded.
    """

    SPECS = (announced.images(3, 32, classes=10),)

    TITLE = "CIFAR-10"
    ARCHIVE = "cifar-10-binary.tar.gz"
    FILES: ClassVar[tuple[tuple[str, tuple[str, ...]], ...]] = (
        (_PYTHON_FOLDER, tuple(_PYTHON_FILES)),
        (_BINARY_FOLDER, _BINARY_FILES),
    )
    CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

    def _batches(self) -> list[_Batch]:
        python, binary = self.root_folder / _PYTHON_FOLDER, self.root_folder / _BINARY_FOLDER
        missing = _missing(python, _PYTHON_FILES)
        if not missing:
            return [self._read_python(python / name, checksum) for name, checksum in _PYTHON_FILES.items()]
        if _missing(binary, _BINARY_FILES):
            folder, missing = (binary, _missing(binary, _BINARY_FILES)) if binary.is_dir() else (python, missing)
            archive = self._archive(self.ARCHIVE, f"{folder.name}/{missing[0]}")
            _unpack(archive, binary, _BINARY_FILES, _ROWS * (1 + _PIXELS))
        return [self._read_binary(binary / name) for name in _BINARY_FILES]

    def _read_binary(self, path: Path) -> _Batch:
        """Rows of one byte for the label and 3072 for the pixels; fewer than published only if not verified."""
        check_file(path)
        row, size = 1 + _PIXELS, path.stat().st_size
        published = _ROWS * row
        if size != published and (self.verify or size % row or not 0 < size < published):
            raise DataError(f"{path} is damaged: {size} bytes, expected {published}; {_REMEDY}")
        try:
            rows = np.fromfile(path, np.uint8).reshape(-1, row)
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}; write data.root=FOLDER") from None
        check_labels(path, rows[:, 0], len(self.CLASS_NAMES))
        return rows[:, 1:], rows[:, 0]


@dataclass(frozen=True, kw_only=True)
class CIFAR100(_Cifar):
    """The same kind of photographs in a hundred classes of 500 + 100 each (Krizhevsky 2009); the fine labels."""

    SPECS = (announced.images(3, 32, classes=100),)

    TITLE = "CIFAR-100"
    ARCHIVE = "cifar-100-python.tar.gz"
    FILES: ClassVar[tuple[tuple[str, tuple[str, ...]], ...]] = ((_FOLDER_100, tuple(_FILES_100)),)
    CLASS_NAMES = (
        "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl",
        "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee",
        "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant",
        "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower",
        "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom",
        "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate",
        "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark",
        "shrew", "skunk", "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar", "sunflower",
        "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor", "train", "trout", "tulip",
        "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
    )  # fmt: skip

    def _batches(self) -> list[_Batch]:
        folder = self.root_folder / _FOLDER_100
        if missing := _missing(folder, _FILES_100):
            archive = self._archive(self.ARCHIVE, f"{_FOLDER_100}/{missing[0]}")
            _unpack(archive, folder, missing, _most_bytes(_ROWS_100))
        return [
            self._read_python(folder / name, checksum, "fine_labels", _ROWS_100)
            for name, checksum in _FILES_100.items()
        ]


class _Array:
    """Stands in for a pickled numpy array: keeps its shape and bytes, and never calls numpy."""

    def __init__(self, *_: object) -> None:
        """Take whatever numpy's own constructor is given: all that matters follows in the state."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, self.shape, self.dtype, self.by_columns, self.content = state

    def pixels(self) -> np.ndarray:
        """The array `(N, 3072)`; raises ValueError for another shape or type."""
        size = len(self.content)
        if self.dtype.code != "u1" or self.by_columns or self.shape != (size // _PIXELS, _PIXELS) or size == 0:
            raise ValueError(f"its data are {self.dtype.code} of shape {self.shape}, expected u1 of (N, {_PIXELS})")
        # The published files were written by Python 2, whose strings of bytes arrive as text in Latin-1.
        content = self.content.encode("latin1") if isinstance(self.content, str) else self.content
        return np.frombuffer(content, np.uint8).reshape(self.shape)


class _Dtype:
    """Stands in for a pickled numpy type: keeps its code, `u1` for unsigned bytes."""

    def __init__(self, code: str, *_: object) -> None:
        self.code = code

    def __setstate__(self, state: object) -> None:
        """Ignore byte order and fields, which single bytes do not have."""


def _encode(text: str, _: str) -> bytes:
    return text.encode("latin1")


class _BatchReader(pickle.Unpickler):
    """Reads the pickles of CIFAR and no others: every name but those of an array of bytes is refused."""

    ADMITTED: ClassVar[dict[tuple[str, str], Callable[..., object]]] = {
        ("numpy.core.multiarray", "_reconstruct"): _Array,
        ("numpy._core.multiarray", "_reconstruct"): _Array,
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Dtype,
        ("_codecs", "encode"): _encode,
    }

    def find_class(self, module: str, name: str) -> Callable[..., object]:
        if (module, name) not in self.ADMITTED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return self.ADMITTED[module, name]


def _unpickled(path: Path, key: str = "labels", rows: int = _ROWS) -> _Batch:
    size = path.stat().st_size
    if size > _most_bytes(rows):
        raise ValueError(f"it has {size} bytes, at most {_most_bytes(rows)} are expected")
    with path.open("rb") as file:
        batch = _BatchReader(file, encoding="latin1").load()
    pixels, labels = batch["data"].pixels(), batch[key]
    if not all(type(label) is int for label in labels) or len(labels) != len(pixels):
        raise ValueError(f"its {len(pixels)} pictures need as many whole numbers as labels, it has {len(labels)}")
    return pixels, np.array(labels)


def _most_bytes(rows: int) -> int:
    """What a pickled batch may have: names of files and the like take less than the pictures."""
    return 2 * rows * (1 + _PIXELS)


def _unpack(archive: Path, folder: Path, names: Iterable[str], most_bytes: int) -> None:
    """Write these files from the archive's folder of the same name into the folder, and nothing else."""
    wanted = {f"{folder.name}/{name}": folder / name for name in names}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isreg() and member.name in wanted else None
                if content is not None and member.size <= most_bytes:
                    folder.mkdir(parents=True, exist_ok=True)
                    with whole_file(wanted[member.name]) as unfinished, unfinished.open("wb") as file:
                        shutil.copyfileobj(content, file)
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{archive} is damaged ({one_line(error)}); {_REMEDY}") from None
    except OSError as error:
        raise DataError(f"cannot unpack {archive} into {folder}: {error.strerror}; write data.root=FOLDER") from None
    if missing := _missing(folder, names):
        raise DataError(f"{archive} does not hold {folder.name}/{missing[0]}; {_REMEDY}")


def _missing(folder: Path, names: Iterable[str]) -> list[str]:
    return [name for name in names if not lies_there(folder / name)]


def _joined(batches: list[_Batch]) -> tuple[Tensor, Tensor]:
    """Images `(N, 3, 32, 32)` uint8 and classes `(N,)` int64."""
    pixels, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return torch.from_numpy(pixels).view(-1, *_SHAPE), torch.from_numpy(labels).long()
