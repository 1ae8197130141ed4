"""EMNIST: handwritten letters and digits as gray pictures of 28 x 28, in six divisions into classes, as IDX files.

Folder, archive and checksum are those of torchvision, so what it has downloaded is read as it is.
"""

import shutil
import string
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from torch import Tensor

from dlcourse.data import announced
from dlcourse.data.dataset import Tables
from dlcourse.data.download import ImageFiles, lies_there, one_line
from dlcourse.data.idx import read_pictures
from dlcourse.errors import DataError
from dlcourse.files import whole_file

ARCHIVE = "gzip.zip"

_DIGITS = tuple(string.digits)
_MERGED = (*_DIGITS, *string.ascii_uppercase, *"abdefghnqrt")  # without small letters that look like large ones
_MOST_BYTES = 1 << 30  # of a compressed file in the archive, the largest of which has 190 MB


@dataclass(frozen=True, kw_only=True)
class EMNIST(ImageFiles):
    """NIST's letters and digits in the form of MNIST (Cohen, Afshar, Tapson and van Schaik 2017, arXiv:1702.05373).

    `split` is one of the six of the paper: `byclass` tells all 62 letters and digits apart, `bymerge` and `balanced` 47 of
    them, `letters` 26 whether small or large, `digits` and `mnist` ten digits. The files hold each picture with rows and
    columns exchanged, and number the `letters` from 1 on; here pictures are upright, and the first class is 0.
    """

    SPECS = (announced.images(1, 28, classes=47),)

    URL: ClassVar[str] = "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip"
    CHECKSUM: ClassVar[str] = "md5:58c8d27c78d21e728a6bc7b3cc06412e"
    CLASS_NAMES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "balanced": _MERGED,
        "letters": tuple(string.ascii_lowercase),
        "digits": _DIGITS,
        "byclass": (*_DIGITS, *string.ascii_uppercase, *string.ascii_lowercase),
        "bymerge": _MERGED,
        "mnist": _DIGITS,
    }

    split: Literal["balanced", "letters", "digits", "byclass", "bymerge", "mnist"] = "balanced"

    @property
    def is_here(self) -> bool:
        parts = [f"emnist-{self.split}-{part}" for part in ("train", "test")]
        stems = [f"{part}-{kind}" for part in parts for kind in ("images-idx3", "labels-idx1")]
        return lies_there(self._archive_path) or all(any(map(lies_there, self._places(stem))) for stem in stems)

    def load(self) -> Tables:
        train, test = (self._read(part) for part in ("train", "test"))
        return Tables(*train, *test, class_names=self.CLASS_NAMES[self.split])

    def _read(self, part: str) -> tuple[Tensor, Tensor]:
        """Pictures `(N, 1, 28, 28)` and classes `(N,)` of a part, train or test."""
        images, labels = (self._file(f"emnist-{self.split}-{part}-{kind}") for kind in ("images-idx3", "labels-idx1"))
        first = 1 if self.split == "letters" else 0
        pictures, classes = read_pictures(images, labels, len(self.CLASS_NAMES[self.split]), first=first)
        return pictures.transpose(2, 3).contiguous(), classes

    def _file(self, stem: str) -> Path:
        """The file, raw or compressed, in torchvision's folder or the root; taken out of the archive if it is missing."""
        places = self._places(stem)
        for path in places:
            if lies_there(path):
                return path
        raw, packed, *_ = places
        _unpack(self._archive(raw.name), packed)
        return packed

    def _places(self, stem: str) -> list[Path]:
        """Where the file may be, raw and then compressed: in torchvision's folder, or in the root."""
        folders = (self.root_folder / "EMNIST" / "raw", self.root_folder)
        return [folder / name for folder in folders for name in (f"{stem}-ubyte", f"{stem}-ubyte.gz")]

    def _archive(self, missing: str) -> Path:
        """The archive of all files, downloaded if it is not there. It is kept for the other splits."""
        return self.ready(self._archive_path, [self.URL], self.CHECKSUM, missing)

    @property
    def _archive_path(self) -> Path:
        ours, beside = self.root_folder / "EMNIST" / "raw" / ARCHIVE, self.root_folder / ARCHIVE
        return beside if lies_there(beside) and not lies_there(ours) else ours


def _unpack(archive: Path, target: Path) -> None:
    """Write the one file of that name from the archive, still compressed; raises DataError."""
    member = f"gzip/{target.name}"
    try:
        with zipfile.ZipFile(archive) as content:
            if content.getinfo(member).file_size > _MOST_BYTES:
                raise DataError(f"{archive}: {member} is larger than {_MOST_BYTES} bytes; {_remedy(archive)}")
            target.parent.mkdir(parents=True, exist_ok=True)
            with content.open(member) as packed, whole_file(target) as unfinished, unfinished.open("wb") as file:
                shutil.copyfileobj(packed, file)
    except KeyError:
        raise DataError(f"{archive} does not hold {member}; {_remedy(archive)}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise DataError(f"{archive} is damaged ({one_line(error)}); {_remedy(archive)}") from None
    except OSError as error:
        raise DataError(f"cannot unpack {archive} to {target}: {error.strerror}; write data.root=FOLDER") from None


def _remedy(archive: Path) -> str:
    return f"delete {archive.name} to download it again, or write data.root=FOLDER"
