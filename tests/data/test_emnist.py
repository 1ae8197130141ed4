"""EMNIST: files and an archive in the published form, upright pictures, and bad archives."""

import gzip
import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from dlcourse.data.emnist import ARCHIVE, EMNIST
from dlcourse.errors import DataError
from tiny_data import _idx

RANDOM = np.random.default_rng(0)
PIXELS = {part: RANDOM.integers(0, 256, (count, 4, 4), np.uint8) for part, count in (("train", 6), ("test", 3))}
LABELS = {"train": np.array([1, 26, 3, 3, 2, 9], np.uint8), "test": np.array([1, 2, 26], np.uint8)}


def files(split: str = "letters") -> dict[str, bytes]:
    """The files of a split by their names, less the ending `.gz`; pictures lie with rows and columns exchanged."""
    contents = {}
    for part in ("train", "test"):
        contents[f"emnist-{split}-{part}-images-idx3-ubyte"] = _idx(PIXELS[part].transpose(0, 2, 1).copy())
        contents[f"emnist-{split}-{part}-labels-idx1-ubyte"] = _idx(LABELS[part])
    return contents


def write_archive(path: Path, contents: dict[str, bytes] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (files() if contents is None else contents).items():
            archive.writestr(f"gzip/{name}.gz", gzip.compress(content))
        archive.writestr("../../escaped", b"x")
        archive.writestr("gzip/emnist-digits-train-images-idx3-ubyte.gz", b"of another split")
    return path


def source(root: Path, split: str = "letters", **options: bool) -> EMNIST:
    return EMNIST(root=str(root), split=split, **({"verify": False, "download": False} | options))


def assert_upright_letters(tables) -> None:
    assert torch.equal(tables.train_inputs, torch.from_numpy(PIXELS["train"])[:, None])
    assert torch.equal(tables.test_inputs, torch.from_numpy(PIXELS["test"])[:, None])
    assert tables.train_inputs.is_contiguous()
    assert tables.train_targets.tolist() == [0, 25, 2, 2, 1, 8]
    assert [tables.class_names[label] for label in tables.test_targets] == ["a", "b", "z"]


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("folder", ["EMNIST/raw", "."])
def test_files_that_are_there_are_read_upright(tmp_path: Path, folder: str, compress: bool) -> None:
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    for name, content in files().items():
        path = tmp_path / folder / (f"{name}.gz" if compress else name)
        path.write_bytes(gzip.compress(content) if compress else content)
    assert_upright_letters(source(tmp_path).load())


def test_labels_of_letters_start_at_1_and_others_at_0(tmp_path: Path) -> None:
    for split in ("letters", "mnist"):
        for name, content in files(split).items():
            (tmp_path / name).write_bytes(content)
    path = tmp_path / "emnist-letters-train-labels-idx1-ubyte"
    path.write_bytes(_idx(np.array([1, 2, 0, 4, 5, 6], np.uint8)))
    with pytest.raises(DataError, match=r"labels-idx1-ubyte: label 0 at row 2 is outside 1\.\.26; "):
        source(tmp_path).load()
    with pytest.raises(DataError, match=r"labels-idx1-ubyte: label 26 at row 1 is outside 0\.\.9; "):
        source(tmp_path, "mnist").load()


def test_the_archive_is_downloaded_and_gives_the_files_of_the_split_alone(
    tmp_path, served, monkeypatch, capsys
) -> None:
    archive = write_archive(served[0] / ARCHIVE)
    monkeypatch.setattr(EMNIST, "URL", f"{served[1]}{ARCHIVE}")
    monkeypatch.setattr(EMNIST, "CHECKSUM", f"md5:{hashlib.md5(archive.read_bytes()).hexdigest()}")
    root = tmp_path / "deep" / "root"
    assert_upright_letters(source(root, download=True, verify=True).load())
    assert capsys.readouterr().err.count("downloading gzip.zip from 127.0.0.1") == 1
    left = {str(path.relative_to(tmp_path / "deep")) for path in (tmp_path / "deep").rglob("*") if path.is_file()}
    assert left == {f"root/EMNIST/raw/{name}" for name in (ARCHIVE, *(f"{name}.gz" for name in files()))}
    archive.unlink()
    assert_upright_letters(source(root).load())


@pytest.mark.parametrize("folder", ["EMNIST/raw", "."])
def test_an_archive_that_is_there_is_checked_and_unpacked(tmp_path: Path, folder: str) -> None:
    write_archive(tmp_path / folder / ARCHIVE)
    with pytest.raises(DataError, match=r"gzip.zip: md5 differs from the published one; .*data.verify=false"):
        source(tmp_path, verify=True).load()
    assert_upright_letters(source(tmp_path).load())


def test_nothing_there_and_no_download(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        source(tmp_path, "balanced").load()
    assert str(caught.value) == (
        f"emnist-balanced-train-images-idx3-ubyte is not in {tmp_path}/EMNIST/raw; write data.root=FOLDER for the folder "
        "that holds it, or data.download=true"
    )


def test_bad_archives(tmp_path: Path) -> None:
    path = write_archive(tmp_path / ARCHIVE)
    whole = path.read_bytes()
    middle = whole.index(b"letters-train-images") + 60
    for content in (b"<html>", whole[:200], whole[:middle] + b"\xff\xfe\xfd" + whole[middle + 3 :]):
        path.write_bytes(content)
        with pytest.raises(
            DataError, match=r"gzip.zip is damaged \(.*; delete gzip.zip to download it again, or write data.r"
        ):
            source(tmp_path).load()
        assert not list(tmp_path.rglob("emnist-*"))
    write_archive(path, {})
    with pytest.raises(
        DataError, match=r"gzip.zip does not hold gzip/emnist-letters-train-images-idx3-ubyte.gz; delete"
    ):
        source(tmp_path).load()


def test_a_file_of_the_archive_that_is_too_large_is_not_unpacked(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("dlcourse.data.emnist._MOST_BYTES", 10)
    write_archive(tmp_path / ARCHIVE)
    with pytest.raises(DataError, match=r"gzip/emnist-letters-train-images-idx3-ubyte.gz is larger than 10 bytes"):
        source(tmp_path).load()


def test_facts_are_torchvisions() -> None:
    from torchvision.datasets import EMNIST as PUBLISHED

    assert (PUBLISHED.url, f"md5:{PUBLISHED.md5}") == (EMNIST.URL, EMNIST.CHECKSUM)
    assert set(PUBLISHED.splits) == set(EMNIST.CLASS_NAMES)
    for split, names in EMNIST.CLASS_NAMES.items():
        assert [name for name in PUBLISHED.classes_split_dict[split] if name != "N/A"] == list(names)
