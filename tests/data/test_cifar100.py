"""CIFAR-100: batches and an archive in the published form, read by the one unpickler, and bad ones."""

import hashlib
import io
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from dlcourse.data import cifar
from dlcourse.data.cifar import CIFAR100
from dlcourse.errors import DataError

RANDOM = np.random.default_rng(0)
PIXELS = {"train": RANDOM.integers(0, 256, (8, 3072), np.uint8), "test": RANDOM.integers(0, 256, (4, 3072), np.uint8)}
LABELS = {"train": [0, 99, 5, 5, 7, 3, 2, 1], "test": [98, 0, 1, 2]}
ARCHIVE = "cifar-100-python.tar.gz"


def batch(part: str, **changes: object) -> bytes:
    """A batch with all that the published ones hold; protocol 2 is the highest that Python 2 wrote."""
    content = {
        "filenames": ["x.png"] * len(LABELS[part]),
        "batch_label": "training batch 1 of 1",
        "fine_labels": LABELS[part],
        "coarse_labels": [0] * len(LABELS[part]),
        "data": PIXELS[part],
    }
    return pickle.dumps(content | changes, protocol=2)


def write_batches(root: Path) -> Path:
    folder = root / "cifar-100-python"
    folder.mkdir(parents=True)
    for part in ("train", "test"):
        (folder / part).write_bytes(batch(part))
    return folder


def write_archive(path: Path, names: tuple[str, ...] = ("train", "test")) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        contents = {f"cifar-100-python/{name}": batch(name) for name in names}
        for name, content in {**contents, "cifar-100-python/meta": b"x", "cifar-100-python/../../out": b"x"}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def load(root: Path, **options: bool) -> object:
    return CIFAR100(root=str(root), **({"verify": False, "download": False} | options)).load()


def assert_as_written(tables) -> None:
    assert torch.equal(tables.train_inputs, torch.from_numpy(PIXELS["train"]).view(-1, 3, 32, 32))
    assert torch.equal(tables.test_inputs, torch.from_numpy(PIXELS["test"]).view(-1, 3, 32, 32))
    assert (tables.train_targets.tolist(), tables.test_targets.tolist()) == (LABELS["train"], LABELS["test"])
    assert len(tables.class_names) == 100 and tables.class_names[99] == "worm"


def test_the_fine_labels_are_read(tmp_path: Path) -> None:
    write_batches(tmp_path)
    assert_as_written(load(tmp_path))


def test_names_of_classes_are_the_published_ones_in_their_order() -> None:
    assert len(set(CIFAR100.CLASS_NAMES)) == 100
    assert list(CIFAR100.CLASS_NAMES) == sorted(CIFAR100.CLASS_NAMES)


def test_facts_are_torchvisions() -> None:
    from torchvision.datasets import CIFAR100 as PUBLISHED

    files = [*PUBLISHED.train_list, *PUBLISHED.test_list]
    assert (PUBLISHED.base_folder, PUBLISHED.filename) == (cifar._FOLDER_100, ARCHIVE)
    assert {name: f"md5:{checksum}" for name, checksum in files} == cifar._FILES_100
    assert (PUBLISHED.url, f"md5:{PUBLISHED.tgz_md5}") == (cifar._URL + ARCHIVE, cifar._ARCHIVES[ARCHIVE])


def test_the_archive_is_downloaded_and_nothing_else_is_unpacked(tmp_path, served, monkeypatch) -> None:
    archive = write_archive(served[0] / ARCHIVE)
    monkeypatch.setattr(cifar, "_URL", served[1])
    monkeypatch.setitem(cifar._ARCHIVES, ARCHIVE, f"md5:{hashlib.md5(archive.read_bytes()).hexdigest()}")
    root = tmp_path / "deep" / "root"
    assert_as_written(load(root, download=True))
    left = {str(path.relative_to(tmp_path / "deep")) for path in (tmp_path / "deep").rglob("*") if path.is_file()}
    assert left == {f"root/{ARCHIVE}", "root/cifar-100-python/train", "root/cifar-100-python/test"}
    archive.unlink()
    assert_as_written(load(root))


def test_an_archive_of_the_users_is_unpacked_unless_it_lacks_a_file(tmp_path: Path) -> None:
    write_archive(tmp_path / ARCHIVE, names=("train",))
    with pytest.raises(DataError, match=r"cifar-100-python.tar.gz does not hold cifar-100-python/test; delete it to "):
        load(tmp_path)
    write_archive(tmp_path / ARCHIVE)
    assert_as_written(load(tmp_path))


def test_published_sums_are_checked(tmp_path: Path) -> None:
    folder = write_batches(tmp_path)
    with pytest.raises(DataError, match=r"/train: md5 differs from the published one; .* data.verify=false"):
        load(tmp_path, verify=True)
    (folder / "train").unlink()
    write_archive(tmp_path / ARCHIVE)
    with pytest.raises(DataError, match=r"cifar-100-python.tar.gz: md5 differs"):
        load(tmp_path, verify=True)


def test_nothing_there_and_no_download(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"^cifar-100-python/train is not in {tmp_path}; write data.root=FOLDER"):
        load(tmp_path)


class Attack:
    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"fine_labels": [0] * 7},
            r"train is not a CIFAR-100 batch \(its 8 pictures need as many whole numbers as labels",
        ),
        ({"fine_labels": None}, r"train is not a CIFAR-100 batch "),
        ({"data": PIXELS["train"][:, :100]}, r"train is not a CIFAR-100 batch \(its data are u1 of shape \(8, 100\), "),
        ({"fine_labels": [0, 100, 5, 5, 7, 3, 2, 1]}, r"train: label 100 at row 1 is outside 0\.\.99; "),
    ],
)
def test_a_batch_of_another_form(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    (write_batches(tmp_path) / "train").write_bytes(batch("train", **changes))
    with pytest.raises(DataError, match=message):
        load(tmp_path)


def test_a_batch_can_call_nothing(tmp_path: Path) -> None:
    (write_batches(tmp_path) / "test").write_bytes(batch("test", data=Attack(tmp_path / "done")))
    with pytest.raises(DataError, match=r"test is not a CIFAR-100 batch \(it asks for posix.mkdir\); "):
        load(tmp_path)
    assert not (tmp_path / "done").exists()


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_batches(tmp_path) / "train"
    with path.open("r+b") as file:
        file.truncate(2 * 50_000 * 3073 + 1)
    with pytest.raises(DataError, match=r"it has 307300001 bytes, at most 307300000 are expected"):
        load(tmp_path)


def test_an_archive_that_is_not_the_published_one_is_not_kept(tmp_path, served, monkeypatch) -> None:
    write_archive(served[0] / ARCHIVE)
    monkeypatch.setattr(cifar, "_URL", served[1])
    with pytest.raises(DataError, match=r"cannot download cifar-100-python.tar.gz \(127.0.0.1:\d+: wrong md5\); "):
        load(tmp_path / "root", download=True)
    assert list((tmp_path / "root").iterdir()) == []
