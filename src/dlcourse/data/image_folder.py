"""The user's own image files, one folder for each class, decoded while training, so that they need not fit in memory.

The listing is here; reading a single file is in image_decoding.py. B is a batch size.
"""

import dataclasses
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dlcourse.config.options import Count, NonNegativeInt, suggestion
from dlcourse.config.paths import path_to_read
from dlcourse.data import announced
from dlcourse.data.augment_policy import DrawnPolicy, Policy, PolicyAugment, drawn
from dlcourse.data.dataset import ClassSource, Tables, TableSource
from dlcourse.data.image_decoding import Decoder, read_size
from dlcourse.data.split import checksum, chunks, order_of_epoch, seeded_generator
from dlcourse.data.transforms import WHITE, ImageTransform
from dlcourse.device import sent
from dlcourse.errors import ConfigError, DataError
from dlcourse.signals import making_processes
from dlcourse.spec import Batch, DataSpec

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif")
PARTS = ("train", "val", "test")
_MEASURED = 1000  # training images whose moments stand for all, or fewer if they have more pixels than
_MEASURED_PIXELS = 1 << 26
_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class ImageFolder(TableSource, ClassSource):
    """Images in `folder/CLASS`, or in `folder/train/CLASS`, `folder/test/CLASS` and, if it is there, `folder/val/CLASS`.

    Every image is brought to `size` x `size` pixels: shrunk and cut to its middle (`crop`), or distorted (`squash`).
    What is transparent becomes white. Normalization is measured on up to 1,000 of the training images. `workers` are
    processes that decode ahead; with 0 the training process does it. A test set that is not there is set aside by
    `test_fraction`, validation by `val_fraction`.
    """

    SPECS = (announced.images(3, 64, classes=2),)

    folder: str | None = None
    size: Count = 64
    resize: Literal["crop", "squash"] = "crop"
    rgb: bool = True
    augment: PolicyAugment = field(default_factory=PolicyAugment)
    workers: NonNegativeInt = 0
    unreadable: Literal["stop", "skip"] = "stop"
    odd_sizes: Literal["resize", "skip", "stop"] = "resize"

    def load(self) -> Tables:
        parts = {part: self._indices(part) for part in PARTS if part in self._listing.parts}
        names = self._listing.class_names
        if "test" in parts:
            tables = Tables(*parts["train"], *parts["test"], class_names=names)
        else:
            tables = self.divide(*parts["train"], class_names=names)
        if "val" in parts:
            tables.val_inputs, tables.val_targets = parts["val"]
        tables.notes = self._listing.notes
        return tables

    def _indices(self, part: str) -> tuple[Tensor, Tensor]:
        """The numbers of a part's files in the listing `(N,)`, which stand for the images, and their classes `(N,)`."""
        files = self._listing.files
        chosen = [index for index, file in enumerate(files) if file.part == part]
        return torch.tensor(chosen), torch.tensor([files[index].label for index in chosen])

    @cached_property
    def _listing(self) -> "_Listing":
        if self.folder is None:
            raise ConfigError(
                "data.folder is missing; write data=images data.folder=FOLDER, with one folder per class in it"
            )
        return _check_files(self, _list_folder(path_to_read(self.folder, "data.folder")))

    @property
    def decoder(self) -> Decoder:
        """What reads one file as these options ask for it."""
        return Decoder(self.size, self.resize, self.rgb)

    def _transform(self, train_inputs: Tensor) -> ImageTransform:
        count = min(_MEASURED, _MEASURED_PIXELS // self.size**2 + 1)
        chosen = torch.randperm(len(train_inputs), generator=seeded_generator("moments"))[:count]
        batches = _DecodedBatches(self._paths, list(torch.split(train_inputs[chosen], 100)), self.decoder)
        images = torch.cat([_require(batch) for batch in _loader(batches, self.workers)])
        return ImageTransform.fit(images, augment=self.augment)

    def _split(self, inputs: Tensor, targets: Tensor, seed: int, transform: ImageTransform | None) -> "FileSplit":
        assert transform is not None
        parts = (self._paths, inputs, targets, self.decoder, transform, seed, self.workers)
        return FileSplit(*parts, policy=self.augment.policy)

    @cached_property
    def _paths(self) -> tuple[Path, ...]:
        return tuple(file.path for file in self._listing.files)

    def _spec(self, name: str, tables: Tables, shape: torch.Size, transform: ImageTransform | None) -> DataSpec:
        return super()._spec(name, tables, torch.Size((3 if self.rgb else 1, self.size, self.size)), transform)


@dataclass(frozen=True)
class FileSplit:
    """Files, by their numbers in `paths`, with classes `(N,)`; batches are decoded when they are asked for.

    The order and augmentation of an epoch are those of a TensorSplit: pure functions of `(seed, epoch)`. Before that a
    `policy`, if any, changes each image on its own where it is decoded.
    """

    paths: tuple[Path, ...]
    files: Tensor
    targets: Tensor
    decoder: Decoder
    transform: ImageTransform
    seed: int = 0
    workers: int = 0
    policy: Policy | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def __len__(self) -> int:
        return len(self.files)

    def batches(self, batch_size: int, *, epoch: int | None = None, start: int = 0) -> Iterator[Batch]:
        """Every example once; shuffled and augmented if an epoch is given. Raises DataError for damaged files."""
        if epoch is None:
            pieces = list(torch.split(torch.arange(len(self)), batch_size))
        else:
            pieces = chunks(order_of_epoch(len(self), self.seed, epoch), batch_size)
        wanted = pieces[start:]
        if not wanted:
            return
        policy = drawn(self.policy, self.seed, epoch) if self.policy and epoch is not None else None
        decoded = _DecodedBatches(self.paths, [self.files[piece] for piece in wanted], self.decoder, policy)
        for step, (piece, images) in enumerate(zip(wanted, _loader(decoded, self.workers), strict=True), start):
            augments = epoch is not None and self.transform.augments
            generator = seeded_generator("augment", self.seed, epoch or 0, step) if augments else None
            inputs = self.transform(sent(_require(images), self.device), generator)
            yield Batch(inputs, sent(self.targets[piece], self.device))

    def fingerprint(self) -> str:
        """A checksum over the classes, and over the names and sizes of the files, which are too many to read."""
        files = [self.paths[number] for number in self.files.tolist()]
        return checksum(self.targets, text="\n".join(f"{file.name} {file.stat().st_size}" for file in files))

    def to(self, device: torch.device) -> "FileSplit":
        return dataclasses.replace(self, device=device, transform=self.transform.to(device))

    def pictures(self, indices: Tensor) -> Tensor:
        """The chosen images as `(n, channels, size, size)` in [0, 1], on the CPU."""
        chosen = self.files[indices.cpu()]
        if len(chosen) == 0:
            return torch.zeros(0, 3 if self.decoder.rgb else 1, self.decoder.size, self.decoder.size)
        return _require(_DecodedBatches(self.paths, [chosen], self.decoder)[0]).float() / WHITE


@dataclass(frozen=True)
class _DecodedBatches(Dataset[Tensor | str]):
    """Item i is batch i, uint8 `(B, C, size, size)`, changed by the policy if there is one, or what was wrong with a file.

    Errors are values: an exception from a worker process would arrive with its traceback in the message.
    """

    paths: tuple[Path, ...]
    batches: list[Tensor]
    decoder: Decoder
    policy: DrawnPolicy | None = None

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Tensor | str:
        try:
            return torch.stack([self._image(number) for number in self.batches[index].tolist()])
        except DataError as error:
            return str(error)

    def _image(self, number: int) -> Tensor:
        image = self.decoder(self.paths[number])
        return image if self.policy is None else self.policy(image, number)


def _loader(batches: _DecodedBatches, workers: int) -> Iterator[Tensor | str]:
    """The batches in order; its own generator keeps it from drawing on the global random state."""
    with warnings.catch_warnings(), making_processes():
        warnings.filterwarnings("ignore", message="This DataLoader will create")  # more workers than processors
        count = min(workers, len(batches))
        loader = iter(DataLoader(batches, batch_size=None, num_workers=count, generator=torch.Generator()))
    return _received(loader) if count else loader


def _received(loader: Iterator[Tensor | str]) -> Iterator[Tensor | str]:
    """What the worker processes send. One that dies while it sends is no error of a disk, but what torch calls it else."""
    while True:
        try:
            batch = next(loader)
        except StopIteration:
            return
        except (ConnectionError, EOFError, FileNotFoundError) as error:  # the last: the socket of one that is gone
            raise RuntimeError(f"DataLoader worker has gone: {error}") from error
        yield batch


def _require(images: Tensor | str) -> Tensor:
    if isinstance(images, str):
        raise DataError(images)
    return images


@dataclass(frozen=True)
class _File:
    path: Path
    part: str
    label: int


@dataclass(frozen=True)
class _Listing:
    """The files in order of part, class and name, the names of the classes, and what to say of files left out."""

    folder: Path
    files: tuple[_File, ...]
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> set[str]:
        return {file.part for file in self.files}


def _list_folder(folder: Path) -> _Listing:
    """All image files of the classes; raises DataError if the folder is not laid out as expected."""
    entries = _visible(folder)
    folders = {entry.name: entry for entry in entries if entry.is_dir()}
    is_divided = "train" in folders and any(entry.is_dir() for entry in _visible(folders["train"]))
    if not is_divided:
        files = _list_classes(folder)
        names = tuple(files)
        return _Listing(folder, _numbered(files, names, "train"), names)
    parts = {part: _list_classes(folders[part]) for part in PARTS if part in folders}
    names = tuple(parts["train"])
    for part, files in parts.items():
        for name in files:
            if name not in names:
                raise DataError(
                    f"{folders[part]} has the class '{name}', which {folders['train']} does not have"
                    f"{suggestion(name, names)}"
                )
    return _Listing(folder, tuple(file for part in parts for file in _numbered(parts[part], names, part)), names)


def _list_classes(folder: Path) -> dict[str, list[Path]]:
    """The image files in each folder of a class, by name."""
    entries = _visible(folder)
    classes = [entry for entry in entries if entry.is_dir()]
    if not classes:
        loose = any(_is_image(entry) for entry in entries)
        found = "images but no folders" if loose else "no folders"
        raise DataError(
            f"{folder} holds {found}; put the images of each class into a folder of their own, {folder}/CLASS"
        )
    if len(classes) == 1:
        raise DataError(f"{folder} holds one class only, '{classes[0].name}'; at least two are needed: {folder}/CLASS")
    found_files = {entry.name: [file for file in _visible(entry) if _is_image(file)] for entry in classes}
    if not any(found_files.values()):
        raise DataError(f"{folder} has no images in its folders {_some(list(found_files))}; {_expected()}")
    for name, files in found_files.items():
        if not files:
            others = _visible(folder / name)
            held = f" ({_kinds(others)})" if others else ""
            raise DataError(f"{folder / name} holds no images{held}; {_expected()}, or remove the folder")
    return found_files


def _numbered(files: dict[str, list[Path]], names: Sequence[str], part: str) -> tuple[_File, ...]:
    return tuple(_File(path, part, names.index(name)) for name, paths in files.items() for path in paths)


def _visible(folder: Path) -> list[Path]:
    """What is in the folder, sorted by name, less what is hidden."""
    try:
        if folder.exists() and not folder.is_dir():
            raise DataError(f"{folder} is not a folder; write data.folder=FOLDER, with one folder per class in it")
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise DataError(f"cannot read {folder}: {error.strerror}; write data.folder=FOLDER for another one") from None


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.is_dir()


def _check_files(source: ImageFolder, listing: _Listing) -> _Listing:
    """The listing less what is to be left out; raises DataError for what is not."""
    kept: list[_File] = []
    unreadable: list[Path] = []
    odd: list[Path] = []
    first: tuple[Path, tuple[int, int]] | None = None
    for file in listing.files:
        try:
            size = read_size(file.path)
            if source.unreadable == "skip":
                source.decoder(file.path)
        except DataError:
            if source.unreadable == "stop":
                raise
            unreadable.append(file.path)
            continue
        first = first or (file.path, size)
        if size == first[1] or source.odd_sizes == "resize":
            kept.append(file)
        elif source.odd_sizes == "skip":
            odd.append(file.path)
        else:
            raise DataError(
                f"{file.path} has {size[0]} x {size[1]} pixels, but {first[0]} {first[1][0]} x {first[1][1]}; "
                "write data.odd_sizes=resize to resize all alike, or data.odd_sizes=skip"
            )
    _require_classes(listing, kept)
    notes = (
        *_note_others(listing),
        *_note("unreadable", unreadable, listing.folder),
        *_note("odd-sized", odd, listing.folder),
    )
    return dataclasses.replace(listing, files=tuple(kept), notes=notes)


def _require_classes(listing: _Listing, kept: Sequence[_File]) -> None:
    """Raise DataError if a class of a part has lost all of its images."""
    left = {(file.part, file.label) for file in kept}
    for file in listing.files:
        if (file.part, file.label) not in left:
            raise DataError(f"every image in {file.path.parent} had to be left out; add images or remove the folder")


def _note(kind: str, left_out: Sequence[Path], folder: Path) -> Iterator[str]:
    """A line on images that were left out, if there are any."""
    if left_out:
        noun = "image" if len(left_out) == 1 else "images"
        yield f"{len(left_out):,} {kind} {noun} left out: {_some([str(path.relative_to(folder)) for path in left_out])}"


def _note_others(listing: _Listing) -> Iterator[str]:
    """A line on what lies among the images, and beside the folders of the classes, and is not read."""
    classes = {file.path.parent for file in listing.files}
    parts = {folder.parent for folder in classes}
    others = [entry for folder in classes for entry in _visible(folder) if not _is_image(entry)]
    others += [
        entry for folder in parts | {listing.folder} for entry in _visible(folder) if entry not in classes | parts
    ]
    if others:
        yield f"left out of {listing.folder}: {_kinds(others)}; only files that end in {', '.join(SUFFIXES)} are read"


def _kinds(entries: Sequence[Path]) -> str:
    """How many there are of each ending, the most frequent first: `12 .heic, 1 folder`."""
    counts = Counter("folder" if entry.is_dir() else entry.suffix.lower() or "without an ending" for entry in entries)
    return _some([f"{count:,} {kind}" for kind, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))])


def _some(names: Sequence[str]) -> str:
    return ", ".join([*names[:_SHOWN], *(["..."] if len(names) > _SHOWN else [])])


def _expected() -> str:
    return f"put files there that end in {', '.join(SUFFIXES)}"
