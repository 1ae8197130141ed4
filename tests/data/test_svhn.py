"""SVHN: .mat files in the published form, the download of one, and files that hold something else."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat

from dlcourse.data import svhn
from dlcourse.data.svhn import SVHN
from dlcourse.errors import DataError

RANDOM = np.random.default_rng(0)
IMAGES = {part: RANDOM.integers(0, 256, (count, 3, 32, 32), np.uint8) for part, count in (("train", 5), ("test", 3))}
LABELS = {"train": [1, 0, 9, 0, 2], "test": [0, 3, 4]}


def arrays(part: str) -> dict[str, np.ndarray]:
    """As they were published: an axis of rows, of columns, of colors, of pictures; and 10 for the digit 0."""
    labels = np.array([label or 10 for label in LABELS[part]], np.uint8)
    return {"X": IMAGES[part].transpose(2, 3, 1, 0), "y": labels[:, None]}


def write(folder: Path, **changes: object) -> Path:
    folder.mkdir(exist_ok=True)
    for part in ("train", "test"):
        savemat(folder / f"{part}_32x32.mat", arrays(part) | changes, do_compression=True)
    return folder


def load(root: Path, **options: bool) -> object:
    return SVHN(root=str(root), **({"verify": False, "download": False} | options)).load()


def assert_as_written(tables) -> None:
    assert torch.equal(tables.train_inputs, torch.from_numpy(IMAGES["train"]))
    assert torch.equal(tables.test_inputs, torch.from_numpy(IMAGES["test"]))
    assert tables.train_inputs.is_contiguous() and tables.train_targets.dtype == torch.int64
    assert (tables.train_targets.tolist(), tables.test_targets.tolist()) == (LABELS["train"], LABELS["test"])


def test_images_and_digits_are_read(tmp_path: Path) -> None:
    assert_as_written(load(write(tmp_path)))


def test_missing_files_are_downloaded(tmp_path, served, monkeypatch, capsys) -> None:
    write(served[0])
    sums = {path.name: f"md5:{hashlib.md5(path.read_bytes()).hexdigest()}" for path in served[0].iterdir()}
    monkeypatch.setattr(SVHN, "URL", served[1])
    monkeypatch.setattr(SVHN, "CHECKSUMS", {name: sums[name] for name in SVHN.CHECKSUMS})
    root = write(tmp_path / "root")
    (root / "test_32x32.mat").unlink()
    assert_as_written(load(root, download=True))
    assert capsys.readouterr().err.startswith("downloading test_32x32.mat from 127.0.0.1")
    assert_as_written(load(root, verify=True))


def test_published_sums_are_checked(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train_32x32.mat: md5 differs from the published one; .*data.verify=false"):
        load(write(tmp_path), verify=True)


def test_nothing_there_and_no_download(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"^train_32x32.mat is not in {tmp_path}; write data.root=FOLDER"):
        load(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"X": np.zeros((32, 32, 3, 4), np.uint8)},
        {"X": np.zeros((31, 32, 3, 5), np.uint8)},
        {"X": np.zeros((32, 32, 3, 5))},
        {"X": "text"},
        {"X": {"field": np.zeros(3)}},
        {"y": np.zeros((5, 2))},
        {"y": np.ones((1, 5))},
    ],
)
def test_other_arrays_are_refused_before_they_are_read(tmp_path: Path, changes, monkeypatch) -> None:
    write(tmp_path, **changes)
    monkeypatch.setattr("scipy.io.loadmat", lambda *_, **__: pytest.fail("read"))
    with pytest.raises(
        DataError, match=r"_32x32.mat is not a file of SVHN \(X is \w+ of shape .* \(N, 1\)\); delete it to"
    ):
        load(tmp_path)


def test_labels_must_be_digits(tmp_path: Path) -> None:
    for wrong in (0, 11):
        write(tmp_path, y=np.array([[1], [2], [wrong], [4], [5]], np.uint8))
        with pytest.raises(DataError, match=rf"train_32x32.mat: label {wrong} at row 2 is outside 1\.\.10; "):
            load(tmp_path)


def test_too_many_pictures_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(svhn, "_MOST_ROWS", 4)
    with pytest.raises(DataError, match="is not a file of SVHN"):
        load(write(tmp_path))


def test_damaged_files(tmp_path: Path) -> None:
    path = write(tmp_path) / "train_32x32.mat"
    whole = path.read_bytes()
    hdf5 = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(500)
    for content in (b"", b"<html>" * 40, whole[:100], whole[:150], whole[: len(whole) // 2], hdf5):
        path.write_bytes(content)
        with pytest.raises(DataError) as caught:
            load(tmp_path)
        assert str(caught.value).startswith((f"{path} is not a file of SVHN (", f"cannot read {path}: "))
        assert "\n" not in str(caught.value) and str(caught.value).endswith("or write data.root=FOLDER")


def test_facts_are_torchvisions() -> None:
    from torchvision.datasets import SVHN as PUBLISHED

    published = {
        name: (url, f"md5:{md5}") for url, name, md5 in (PUBLISHED.split_list[part] for part in ("train", "test"))
    }
    assert published == {name: (SVHN.URL + name, checksum) for name, checksum in SVHN.CHECKSUMS.items()}
