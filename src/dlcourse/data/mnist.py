"""MNIST, Fashion-MNIST and Kuzushiji-MNIST: 60,000 + 10,000 gray pictures of 28 x 28 in ten classes, as IDX files.

Folders and checksums are those of torchvision, so what it has downloaded is read as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from dlcourse.data import announced
from dlcourse.data.dataset import Tables
from dlcourse.data.download import ImageFiles, check_file, fetch, lies_there
from dlcourse.data.idx import read_pictures
from dlcourse.errors import DataError

TRAIN_IMAGES = "train-images-idx3-ubyte"
TRAIN_LABELS = "train-labels-idx1-ubyte"
TEST_IMAGES = "t10k-images-idx3-ubyte"
TEST_LABELS = "t10k-labels-idx1-ubyte"
_NAMES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)


@dataclass(frozen=True, kw_only=True)
class _IdxPictures(ImageFiles):
    """Four IDX files, raw or compressed, in `root/FOLDER/raw` or in `root` itself."""

    SPECS = (announced.images(1, 28, classes=10),)

    FOLDER: ClassVar[str]
    MIRRORS: ClassVar[tuple[str, ...]]
    CHECKSUMS: ClassVar[Mapping[str, str]]
    """Of the compressed files, which are what the mirrors hold, and of the raw ones if known."""
    CLASS_NAMES: ClassVar[tuple[str, ...]]

    def load(self) -> Tables:
        folder = self._place()
        train = self._read(folder, TRAIN_IMAGES, TRAIN_LABELS)
        test = self._read(folder, TEST_IMAGES, TEST_LABELS)
        if train[0].shape[1:] != test[0].shape[1:]:
            sizes = [f"{height} x {width}" for images, _ in (train, test) for height, width in [images.shape[2:]]]
            raise DataError(f"{folder}: training pictures are {sizes[0]} but test pictures {sizes[1]}")
        return Tables(*train, *test, class_names=self.CLASS_NAMES)

    @property
    def is_here(self) -> bool:
        folder = self._place()
        return all(_find(folder, name) for name in _NAMES)

    def _place(self) -> Path:
        nested = self.root_folder / self.FOLDER / "raw"
        candidates = [nested, self.root_folder]
        return next((folder for folder in candidates if any(_find(folder, name) for name in _NAMES)), nested)

    def _read(self, folder: Path, images: str, labels: str) -> tuple[Tensor, Tensor]:
        return read_pictures(self._file(folder, images), self._file(folder, labels), len(self.CLASS_NAMES))

    def _file(self, folder: Path, name: str) -> Path:
        """The file, downloaded if it is missing, and verified."""
        path = _find(folder, name)
        if path is None:
            self.require_download(name, folder)
            path = folder / f"{name}.gz"
            fetch([mirror + path.name for mirror in self.MIRRORS], path, self.CHECKSUMS[path.name])
        elif self.verify:
            check_file(path, self.CHECKSUMS.get(path.name))
        return path


def _find(folder: Path, name: str) -> Path | None:
    """The raw file if there is one, or else the compressed one."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if lies_there(path)), None)


@dataclass(frozen=True, kw_only=True)
class MNIST(_IdxPictures):
    """Handwritten digits (LeCun, Cortes and Burges, http://yann.lecun.com/exdb/mnist/)."""

    FOLDER = "MNIST"
    MIRRORS = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
    )
    CHECKSUMS: ClassVar[Mapping[str, str]] = {
        f"{TRAIN_IMAGES}.gz": "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
        f"{TRAIN_LABELS}.gz": "md5:d53e105ee54ea40749a09fcbcd1e9432",
        f"{TEST_IMAGES}.gz": "md5:9fb629c4189551a2d022fa330f9573f3",
        f"{TEST_LABELS}.gz": "md5:ec29112dd5afa0611ce80d1b7f02629c",
        TRAIN_IMAGES: "sha256:ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        TRAIN_LABELS: "sha256:65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        TEST_IMAGES: "sha256:0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        TEST_LABELS: "sha256:ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    }
    CLASS_NAMES = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")


@dataclass(frozen=True, kw_only=True)
class FashionMNIST(_IdxPictures):
    """Articles of clothing (Xiao, Rasul and Vollgraf 2017, https://github.com/zalandoresearch/fashion-mnist)."""

    FOLDER = "FashionMNIST"
    MIRRORS = (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    )
    CHECKSUMS: ClassVar[Mapping[str, str]] = {
        f"{TRAIN_IMAGES}.gz": "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        f"{TRAIN_LABELS}.gz": "md5:25c81989df183df01b3e8a0aad5dffbe",
        f"{TEST_IMAGES}.gz": "md5:bef4ecab320f06d8554ea6380940ec79",
        f"{TEST_LABELS}.gz": "md5:bb300cfdad3c16e7a12a480ee83cd310",
    }
    CLASS_NAMES = (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class KMNIST(_IdxPictures):
    """Cursive Japanese characters (Clanuwat et al. 2018, https://github.com/rois-codh/kmnist); classes in romaji."""

    FOLDER = "KMNIST"
    MIRRORS = ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",)
    CHECKSUMS: ClassVar[Mapping[str, str]] = {
        f"{TRAIN_IMAGES}.gz": "md5:bdb82020997e1d708af4cf47b453dcf7",
        f"{TRAIN_LABELS}.gz": "md5:e144d726b3acfaa3e44228e80efcd344",
        f"{TEST_IMAGES}.gz": "md5:5c965bf0a639b31b8f53240b1b52f4d7",
        f"{TEST_LABELS}.gz": "md5:7320c461ea6c1c855c0b718fb2a4b134",
    }
    CLASS_NAMES = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
