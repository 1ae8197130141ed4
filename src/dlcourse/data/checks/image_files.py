"""What is odd about a folder of images, a folder for each class: what is not read, damaged, mixed, or there twice."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from dlcourse.data.checks.classes import PART
from dlcourse.data.checks.finding import SHOWN, Finding, some
from dlcourse.data.checks.twins import SIDE, near_pairs, near_pairs_within
from dlcourse.data.image_decoding import opened, shrunk
from dlcourse.data.image_folder import PARTS, SUFFIXES
from dlcourse.errors import DataError

MOST = 20_000
"""Images that are decoded and compared; of more, evenly chosen ones."""
_GRAY = ("1", "L", "I;16", "I", "LA")


@dataclass(frozen=True)
class Seen:
    """An image that could be decoded: its part, class, size, whether it is gray, and what it is compared by."""

    path: Path
    part: str
    label: str
    size: tuple[int, int]
    is_gray: bool
    digest: bytes
    thumbnail: Tensor


@dataclass
class Scan:
    """What a folder holds: the image files of each class by part, what is not read, and the images that were decoded."""

    folder: Path
    files: dict[str, dict[str, list[Path]]]
    ignored: list[Path]
    seen: list[Seen] = field(default_factory=list)
    damaged: dict[Path, str] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """The number of image files of each class by part."""
        return {part: {name: len(paths) for name, paths in of.items()} for part, of in self.files.items()}

    def name(self, path: Path) -> str:
        """A file as it is called inside the folder."""
        return str(path.relative_to(self.folder))


def scan_images(folder: Path) -> Scan:
    """Look at everything in the folder; raises DataError only if the folder cannot be listed."""
    found = _listed(folder)
    paths = [(part, name, path) for part, of in found.files.items() for name, all_of in of.items() for path in all_of]
    for part, name, path in paths[:: -(-len(paths) // MOST) or 1]:
        try:
            found.seen.append(_look(path, part, name))
        except DataError as error:
            found.damaged[path] = _reason(path, error)
    return found


def _reason(path: Path, error: DataError) -> str:
    """What is wrong with a file, without its name and what to do."""
    text = str(error).removeprefix(f"{path} ")
    return text.removeprefix("cannot be read as an image (").removesuffix("); ")


def check_images(scan: Scan) -> list[Finding]:
    """All that is odd about the folder, except for the balance of its classes: see `check_classes`."""
    return [
        *_ignored(scan),
        *_empty(scan),
        *_unknown_classes(scan),
        *_single_classes(scan),
        *(
            Finding(
                scan.name(path),
                f"cannot be read as an image ({reason})",
                "remove it, or write data.unreadable=skip",
                True,
                (("unreadable", "skip"),),
            )
            for path, reason in scan.damaged.items()
        ),
        *_mixed(scan),
        *_copies(scan),
        *_near_copies(scan),
    ]


def _listed(folder: Path) -> Scan:
    """The files of the folder, laid out as `CLASS/` or as `train/CLASS/` with `test/CLASS/` and `val/CLASS/`."""
    top = _entries(folder)
    parts = {entry.name: entry for entry in top if entry.is_dir() and entry.name in PARTS}
    is_divided = "train" in parts and any(_is_class(entry) for entry in _entries(parts["train"]))
    files: dict[str, dict[str, list[Path]]] = {}
    ignored: list[Path] = []
    for part, place in parts.items() if is_divided else [("train", folder)]:
        files[part] = {}
        for entry in _entries(place):
            if not _is_class(entry):
                ignored.append(entry)
                continue
            inside = _entries(entry)
            files[part][entry.name] = [path for path in inside if _is_image(path)]
            ignored += [path for path in inside if not _is_image(path)]
    if is_divided:
        ignored += [entry for entry in top if entry not in parts.values()]
    return Scan(folder, {part: files[part] for part in PARTS if part in files}, ignored)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"cannot read {folder}: {error.strerror}") from None


def _is_class(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")


def _look(path: Path, part: str, label: str) -> Seen:
    with opened(path, "") as file:
        size, mode = file.size, file.mode
        thumbnail = shrunk(file, (SIDE, SIDE), "squash", rgb=False).flatten()
    return Seen(path, part, label, size, mode in _GRAY, hashlib.sha256(path.read_bytes()).digest(), thumbnail)


def _ignored(scan: Scan) -> Iterator[Finding]:
    if scan.ignored:
        folders = [f"{scan.name(path)}{'/' if path.is_dir() else ''}" for path in scan.ignored]
        what = f"ignored: only files inside a class folder that end in {', '.join(SUFFIXES)} are read"
        yield Finding(some(folders), what, "convert images to PNG or JPEG, and remove the rest")


def _empty(scan: Scan) -> Iterator[Finding]:
    for part, of in scan.files.items():
        for name, paths in of.items():
            if not paths:
                place = name if len(scan.files) == 1 else f"{part}/{name}"
                yield Finding(f"{place}/", "a class without images", "add some, or remove the folder", True)


def _unknown_classes(scan: Scan) -> Iterator[Finding]:
    for part in ("val", "test"):
        for name in scan.files.get(part, {}):
            if name not in scan.files["train"]:
                yield Finding(f"{part}/{name}/", f"train/ has no class {name}", "rename or remove the folder", True)


def _single_classes(scan: Scan) -> Iterator[Finding]:
    for part, of in scan.files.items():
        if len(of) == 1:
            place = f"{part}/" if len(scan.files) > 1 else "the folder"
            yield Finding(place, f"one class only, {next(iter(of))}", "at least two are needed", True)


def _mixed(scan: Scan) -> Iterator[Finding]:
    """Images of other sizes, or in color among gray ones."""
    sizes = Counter(seen.size for seen in scan.seen)
    if len(sizes) > 1:
        usual = sizes.most_common(1)[0][0]
        others = [f"{scan.name(s.path)} ({s.size[0]} x {s.size[1]})" for s in scan.seen if s.size != usual]
        what = f"another size than the usual {usual[0]} x {usual[1]} pixels"
        remedy = "all are resized to data.size; data.odd_sizes=skip leaves these out, data.resize=squash crops nothing"
        yield Finding(some(others), what, remedy)
    gray = sum(seen.is_gray for seen in scan.seen)
    if 0 < gray < len(scan.seen):
        is_odd = 2 * gray < len(scan.seen)
        odd = [scan.name(seen.path) for seen in scan.seen if seen.is_gray == is_odd]
        what = "gray among images in color" if is_odd else "in color among gray images"
        yield Finding(some(odd), what, "data.rgb=false makes all gray; check that color does not give the class away")


def _copies(scan: Scan) -> Iterator[Finding]:
    """Files with the same content: in two classes, in two parts, or in one class."""
    by_content: dict[bytes, list[Seen]] = {}
    for seen in scan.seen:
        by_content.setdefault(seen.digest, []).append(seen)
    for copies in (copies for copies in by_content.values() if len(copies) > 1):
        names = " and ".join(scan.name(seen.path) for seen in copies[:SHOWN]) + _more(len(copies) - SHOWN, "more")
        parts = list(dict.fromkeys(PART[seen.part] for seen in copies))
        if len({seen.label for seen in copies}) > 1:
            yield Finding(names, "the same image with different labels", "remove the wrong one")
        elif len(parts) > 1:
            yield Finding(names, f"the same image in {' and '.join(parts)}, {_too_easy(parts)}", "keep it in one")
        else:
            times = "twice" if len(copies) == 2 else f"{len(copies)} times"
            yield Finding(names, f"the same image {times}", "keep one")


def _near_copies(scan: Scan) -> Iterator[Finding]:
    """Nearly the same images in training and test or validation; anywhere, if the test set is drawn from all of them."""
    train = [seen for seen in scan.seen if seen.part == "train"]
    rest = [seen for seen in scan.seen if seen.part != "train"]
    if rest:
        pairs = [(train[i], rest[j]) for i, j in near_pairs(_thumbs(train), _thumbs(rest))]
    else:
        pairs = [(train[i], train[j]) for i, j in near_pairs_within(_thumbs(train))]
    pairs = [(first, second) for first, second in pairs if first.digest != second.digest]
    if not pairs:
        return
    if rest:
        parts = ["training", *dict.fromkeys(PART[second.part] for _, second in pairs)]
        what = f"nearly the same image in {' and '.join(parts)}, {_too_easy(parts)}"
    else:
        what = "nearly the same image; the test set is drawn at random, so one may be in it and one in training"
    names = [f"{scan.name(first.path)} and {scan.name(second.path)}" for first, second in pairs]
    more = _more(len(names) - SHOWN, "more pair" if len(names) == SHOWN + 1 else "more pairs")
    remedy = "remove one of each, or keep such images in one part: train/CLASS, test/CLASS"
    yield Finding("; ".join(names[:SHOWN]) + more, what, remedy)


def _too_easy(parts: Sequence[str]) -> str:
    return f"which makes the {' and '.join(part for part in parts if part != 'training')} too easy"


def _more(rest: int, noun: str) -> str:
    return f" and {rest:,} {noun}" if rest > 0 else ""


def _thumbs(seen: Sequence[Seen]) -> Tensor:
    return torch.stack([each.thumbnail for each in seen]) if seen else torch.empty(0, SIDE**2)
