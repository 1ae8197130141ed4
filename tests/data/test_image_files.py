"""MNIST and its kin, and CIFAR-10: files written here in every published form, damaged in every way, and real ones."""

import functools
import gzip
import hashlib
import io
import os
import pickle
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from dlcourse.data import cifar, mnist
from dlcourse.data.cifar import CIFAR10
from dlcourse.data.idx import read_idx
from dlcourse.data.mnist import KMNIST, MNIST, FashionMNIST
from dlcourse.data.transforms import ImageTransform
from dlcourse.errors import DataError

RANDOM = np.random.default_rng(0)
PIXELS = {"train": RANDOM.integers(0, 256, (20, 4, 5), np.uint8), "t10k": RANDOM.integers(0, 256, (7, 4, 5), np.uint8)}
LABELS = {"train": np.arange(20, dtype=np.uint8) % 10, "t10k": np.arange(7, dtype=np.uint8)}


def idx_bytes(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(np.uint8).tobytes()


def write_idx_files(folder: Path, *, compress: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "t10k"):
        for name, array in {"images-idx3": PIXELS[part], "labels-idx1": LABELS[part]}.items():
            content = idx_bytes(array)
            path = folder / f"{part}-{name}-ubyte{'.gz' if compress else ''}"
            path.write_bytes(gzip.compress(content) if compress else content)
    return folder


def assert_written_tables(source: mnist.MNIST) -> None:
    tables = source.load()
    assert tables.train_inputs.dtype == torch.uint8
    assert tables.train_targets.dtype == torch.int64
    assert np.array_equal(tables.train_inputs[:, 0], PIXELS["train"])
    assert np.array_equal(tables.test_inputs[:, 0], PIXELS["t10k"])
    assert tables.train_targets.tolist() == LABELS["train"].tolist()
    assert tables.test_targets.tolist() == LABELS["t10k"].tolist()


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("nested", [False, True])
def test_idx_files_are_read_from_either_folder(tmp_path, compress: bool, nested: bool) -> None:
    write_idx_files(tmp_path / "KMNIST" / "raw" if nested else tmp_path, compress=compress)
    assert_written_tables(KMNIST(root=str(tmp_path), download=False, verify=False))


def test_raw_files_come_before_compressed_ones(tmp_path) -> None:
    write_idx_files(tmp_path)
    for path in list(tmp_path.iterdir()):
        path.with_name(f"{path.name}.gz").write_text("junk")
    assert_written_tables(FashionMNIST(root=str(tmp_path)))


def test_root_may_be_the_home_folder_or_the_default(tmp_path, monkeypatch) -> None:
    write_idx_files(tmp_path / "sets")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DLCOURSE_DATA", str(tmp_path / "sets"))
    assert_written_tables(FashionMNIST(root="~/sets"))
    assert_written_tables(FashionMNIST())


@pytest.mark.parametrize("compress", [False, True])
def test_checksums_are_verified(tmp_path, compress: bool) -> None:
    write_idx_files(tmp_path, compress=compress)
    algorithm = "md5" if compress else "sha256"
    with pytest.raises(DataError, match=rf"train-images-idx3-ubyte.*: {algorithm} differs .* data.verify=false"):
        MNIST(root=str(tmp_path)).load()
    assert_written_tables(MNIST(root=str(tmp_path), verify=False))


def test_missing_file_without_download(tmp_path) -> None:
    write_idx_files(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError) as caught:
        FashionMNIST(root=str(tmp_path), download=False).load()
    assert str(caught.value) == (
        f"t10k-labels-idx1-ubyte is not in {tmp_path}; write data.root=FOLDER for the folder that holds it, "
        "or data.download=true"
    )


def test_nothing_there_names_torchvisions_folder(tmp_path) -> None:
    with pytest.raises(DataError, match=rf"is not in {tmp_path}/KMNIST/raw; "):
        KMNIST(root=str(tmp_path), download=False).load()


def test_pictures_of_two_sizes_are_refused(tmp_path) -> None:
    write_idx_files(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx_bytes(PIXELS["t10k"][:, :, :3]))
    with pytest.raises(DataError, match="training pictures are 4 x 5 but test pictures 4 x 3"):
        KMNIST(root=str(tmp_path)).load()


DAMAGES: dict[str, tuple[bytes, str]] = {
    "truncated": (
        idx_bytes(PIXELS["train"])[:-10],
        "is damaged: its header promises 20 x 4 x 5 = 400 bytes, it holds 390;",
    ),
    "too long": (idx_bytes(PIXELS["train"]) + b"x", "promises 20 x 4 x 5 = 400 bytes, it holds more;"),
    "web page": (b"<html><body>Sign in", "is not an IDX file (it starts with '<html><body>')"),
    "empty": (b"", "is not an IDX file (it starts with nothing)"),
    "header only": (bytes([0, 0, 8, 3, 0]), "is not an IDX file of unsigned bytes in 3 dimensions"),
    "labels": (idx_bytes(LABELS["train"]), "(its header is 00 00 08 01, expected 00 00 08 03)"),
    "numbers of four bytes": (b"\0\0\x0c\3" + bytes(12), "(its header is 00 00 0c 03, expected 00 00 08 03)"),
    "no pictures": (idx_bytes(PIXELS["train"][:0]), "its header promises 0 x 4 x 5 = 0 bytes;"),
    "promise too much": (
        bytes([0, 0, 8, 3]) + struct.pack(">3I", 2_000_000_000, 28, 28) + bytes(1000),
        "its header promises 2000000000 x 28 x 28 = 1568000000000 bytes;",
    ),
    "promise too much to hold": (
        bytes([0, 0, 8, 3]) + struct.pack(">3I", 1_000_000, 28, 28) + bytes(1000),
        "promises 1000000 x 28 x 28 = 784000000 bytes, it holds 1000;",
    ),
}


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_idx_file(tmp_path, damage: str, compress: bool) -> None:
    content, message = DAMAGES[damage]
    path = tmp_path / ("file.gz" if compress else "file")
    path.write_bytes(gzip.compress(content) if compress else content)
    with pytest.raises(DataError) as caught:
        read_idx(path, 3)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)
    assert str(caught.value).endswith("; delete it to download it again, or write data.root=FOLDER")


@pytest.mark.parametrize("cut", [5, 20, -4])
def test_damaged_compression(tmp_path, cut: int) -> None:
    (tmp_path / "file.gz").write_bytes(gzip.compress(idx_bytes(PIXELS["train"]))[:cut])
    with pytest.raises(DataError, match="is damaged: "):
        read_idx(tmp_path / "file.gz", 3)


def test_junk_is_no_compressed_file(tmp_path) -> None:
    (tmp_path / "file.gz").write_text("<html>")
    with pytest.raises(DataError, match="is damaged: Not a gzipped file"):
        read_idx(tmp_path / "file.gz", 3)


def test_labels_must_match_the_pictures(tmp_path) -> None:
    write_idx_files(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(LABELS["train"][:15]))
    with pytest.raises(DataError, match=r"train-images\S* has 20 pictures but \S*train-labels\S* 15 labels"):
        KMNIST(root=str(tmp_path)).load()


def test_labels_must_be_classes(tmp_path) -> None:
    write_idx_files(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(np.array([0, 1, 77, 3, 4, 5, 6])))
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte: label 77 at row 2 is outside 0\.\.9"):
        KMNIST(root=str(tmp_path)).load()


@pytest.mark.parametrize("replace", [os.mkfifo, lambda path: path.symlink_to(path), Path.mkdir])
def test_only_regular_files_are_read(tmp_path, replace: Callable[[Path], None]) -> None:
    write_idx_files(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    replace(tmp_path / "t10k-labels-idx1-ubyte")
    with pytest.raises(DataError, match=r"not a regular file|Too many levels of symbolic links"):
        KMNIST(root=str(tmp_path), verify=False).load()


@pytest.mark.parametrize("source", [MNIST, FashionMNIST, KMNIST])
def test_known_facts_are_torchvisions(source) -> None:
    import torchvision.datasets

    published = getattr(torchvision.datasets, source.__name__)
    assert published.__name__ == source.FOLDER
    assert set(published.mirrors) <= set(source.MIRRORS)
    assert {name: f"md5:{md5}" for name, md5 in published.resources}.items() <= source.CHECKSUMS.items()
    assert [name.split(" - ")[0] for name in published.classes] == list(source.CLASS_NAMES)


def md5(path: Path) -> str:
    return f"md5:{hashlib.md5(path.read_bytes()).hexdigest()}"


def test_only_missing_files_are_downloaded(tmp_path, served, monkeypatch, capsys) -> None:
    folder, address = served
    write_idx_files(folder, compress=True)
    place = write_idx_files(tmp_path / "root" / "KMNIST" / "raw")
    (place / "train-labels-idx1-ubyte").unlink()
    monkeypatch.setattr(KMNIST, "MIRRORS", (address,))
    monkeypatch.setattr(KMNIST, "CHECKSUMS", {path.name: md5(path) for path in folder.iterdir()})

    assert_written_tables(KMNIST(root=str(tmp_path / "root")))
    assert capsys.readouterr().err.startswith("downloading train-labels-idx1-ubyte.gz from 127.0.0.1")
    assert_written_tables(KMNIST(root=str(tmp_path / "root"), download=False))


def test_real_mnist(real_data) -> None:
    tables = MNIST(root=str(real_data), download=False).load()
    assert tables.train_inputs.shape == (60000, 1, 28, 28)
    assert tables.test_inputs.shape == (10000, 1, 28, 28)
    assert tables.train_targets[:8].tolist() == [5, 0, 4, 1, 9, 2, 1, 3]
    assert tables.test_targets.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


CIFAR_PIXELS = RANDOM.integers(0, 256, (6, 3, 3072), np.uint8)
CIFAR_LABELS = RANDOM.integers(0, 10, (6, 3))


def write_batches(root: Path, dump: Callable[[dict[str, object]], bytes] = pickle.dumps) -> Path:
    folder = root / "cifar-10-batches-py"
    folder.mkdir()
    for name, pixels, labels in zip(cifar._PYTHON_FILES, CIFAR_PIXELS, CIFAR_LABELS, strict=True):
        batch = {"batch_label": name, "labels": labels.tolist(), "data": pixels, "filenames": ["x.png"] * 3}
        (folder / name).write_bytes(dump(batch))
    return folder


def write_archive(path: Path, *, less: str = "", links: bool = False) -> None:
    """A tarball of the binary version, with entries that must not be written."""
    with tarfile.open(path, "w:gz") as tar:
        rows = [np.column_stack([labels, pixels]) for labels, pixels in zip(CIFAR_LABELS, CIFAR_PIXELS, strict=True)]
        contents = dict(zip(cifar._BINARY_FILES, (array.astype(np.uint8).tobytes() for array in rows), strict=True))
        for name, content in {**contents, "readme.html": b"x", "../../escaped": b"x"}.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            if links and name == "test_batch.bin":
                member.type, member.linkname, member.size = tarfile.SYMTYPE, "/etc/hostname", 0
            if name != less:
                tar.addfile(member, io.BytesIO(content))


def assert_written_cifar(source: CIFAR10) -> None:
    tables = source.load()
    assert tables.train_inputs.dtype == torch.uint8
    assert tables.train_targets.dtype == torch.int64
    assert np.array_equal(tables.train_inputs, CIFAR_PIXELS[:5].reshape(15, 3, 32, 32))
    assert np.array_equal(tables.test_inputs, CIFAR_PIXELS[5].reshape(3, 3, 32, 32))
    assert tables.train_targets.tolist() == CIFAR_LABELS[:5].ravel().tolist()
    assert tables.test_targets.tolist() == CIFAR_LABELS[5].tolist()
    assert tables.train_inputs.is_contiguous()


def as_published(batch: dict[str, object]) -> bytes:
    """The batch as Python 2 wrote it: numpy's old name, and byte strings instead of text."""
    pixels = batch["data"].tobytes()
    string = lambda text: b"U" + bytes([len(text)]) + text  # noqa: E731 - SHORT_BINSTRING
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85" + string(b"b") + b"tR"
        b"(K\x01K\x03M\x00\x0c\x86cnumpy\ndtype\n(" + string(b"u1") + b"K\x00K\x01tR"
        b"(K\x03" + string(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        b"T" + struct.pack("<I", len(pixels)) + pixels + b"tb"
    )
    labels = b"](" + b"".join(b"K" + bytes([label]) for label in batch["labels"]) + b"e"
    return b"\x80\x02}(" + string(b"data") + array + string(b"labels") + labels + b"u."


@pytest.mark.parametrize(
    "dump",
    [as_published, *(functools.partial(pickle.dumps, protocol=protocol) for protocol in (2, 3, 4))],
    ids=["as_published", "protocol_2", "protocol_3", "protocol_4"],
)
def test_cifar_python_version(tmp_path, dump) -> None:
    write_batches(tmp_path, dump)
    assert_written_cifar(CIFAR10(root=str(tmp_path), download=False, verify=False))


def test_published_form_is_what_pickle_reads() -> None:
    """The hand-written bytes above stand for the real files only if Python reads them alike."""
    batch = {"labels": [3, 1, 2], "data": CIFAR_PIXELS[0]}
    content = as_published(batch).replace(b"numpy.core", b"numpy._core")  # the old name warns
    read = pickle.loads(content, encoding="latin1")
    assert read["labels"] == batch["labels"]
    assert np.array_equal(read["data"], batch["data"])


def test_cifar_python_version_is_verified(tmp_path) -> None:
    write_batches(tmp_path)
    with pytest.raises(DataError, match=r"data_batch_1: md5 differs .* data.verify=false for a repacked copy"):
        CIFAR10(root=str(tmp_path)).load()


class Attack:
    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.reduced = (function, arguments)

    def __reduce__(self) -> tuple[object, ...]:
        return self.reduced


@pytest.mark.parametrize(
    ("function", "name"),
    [(os.mkdir, "posix.mkdir"), (eval, "builtins.eval"), (np.load, "numpy.load"), (np.zeros, "numpy.zeros")],
)
def test_cifar_batch_cannot_call_anything(tmp_path, function, name: str) -> None:
    folder = write_batches(tmp_path)
    (folder / "data_batch_2").write_bytes(pickle.dumps(Attack(function, str(tmp_path / "done"))))
    with pytest.raises(DataError, match=rf"data_batch_2 is not a CIFAR-10 batch \(it asks for {name}\)"):
        CIFAR10(root=str(tmp_path), verify=False).load()
    assert not (tmp_path / "done").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda batch: {},
        lambda batch: [],
        lambda batch: batch | {"data": [1, 2]},
        lambda batch: batch | {"data": batch["data"][:2]},
        lambda batch: batch | {"data": batch["data"][:, :3000]},
        lambda batch: batch | {"data": batch["data"][:0], "labels": []},
        lambda batch: batch | {"data": np.asfortranarray(batch["data"])},
        lambda batch: batch | {"data": batch["data"].astype(np.int8)},
        lambda batch: batch | {"data": batch["data"].astype(object)},
        lambda batch: batch | {"labels": None},
        lambda batch: batch | {"labels": ["1", "2", "3"]},
        lambda batch: batch | {"labels": [[1], [2], [3]]},
    ],
)
def test_cifar_batch_of_another_form(tmp_path, change) -> None:
    write_batches(tmp_path, lambda batch: pickle.dumps(change(batch)))
    with pytest.raises(DataError, match="data_batch_1 is not a CIFAR-10 batch"):
        CIFAR10(root=str(tmp_path), verify=False).load()


@pytest.mark.parametrize("wrong", [10, -1, 2**70])
def test_cifar_label_out_of_range(tmp_path, wrong: int) -> None:
    write_batches(tmp_path, lambda batch: pickle.dumps(batch | {"labels": [1, wrong, 3]}))
    with pytest.raises(DataError, match=rf"data_batch_1: label {wrong} at row 1 is outside 0\.\.9"):
        CIFAR10(root=str(tmp_path), verify=False).load()


def test_cifar_batch_cut_anywhere(tmp_path) -> None:
    path = write_batches(tmp_path, as_published) / "data_batch_1"
    content = path.read_bytes()
    for length in [*range(40), *range(40, len(content), 997)]:
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match="data_batch_1 is not a CIFAR-10 batch"):
            CIFAR10(root=str(tmp_path), verify=False).load()


def test_cifar_archive_in_the_root_is_unpacked(tmp_path) -> None:
    root = tmp_path / "deep" / "root"
    root.mkdir(parents=True)
    write_archive(root / "cifar-10-binary.tar.gz")

    assert_written_cifar(CIFAR10(root=str(root), download=False, verify=False))

    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    folder = "deep/root/cifar-10-batches-bin"
    assert written == {"deep/root/cifar-10-binary.tar.gz", *(f"{folder}/{name}" for name in cifar._BINARY_FILES)}


def test_cifar_archive_is_downloaded_and_verified(tmp_path, served, monkeypatch) -> None:
    folder, address = served
    write_archive(folder / "cifar-10-binary.tar.gz")
    monkeypatch.setattr(cifar, "_URL", address)
    monkeypatch.setitem(cifar._ARCHIVES, "cifar-10-binary.tar.gz", md5(folder / "cifar-10-binary.tar.gz"))
    assert_written_cifar(CIFAR10(root=str(tmp_path / "root"), verify=False))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "cifar-10-binary.tar.gz").write_text("junk")
    with pytest.raises(DataError, match=r"cifar-10-binary.tar.gz: md5 differs"):
        CIFAR10(root=str(tmp_path / "other")).load()


@pytest.mark.parametrize("changes", [{"less": "test_batch.bin"}, {"links": True}])
def test_cifar_archive_that_lacks_a_file(tmp_path, changes) -> None:
    write_archive(tmp_path / "cifar-10-binary.tar.gz", **changes)
    with pytest.raises(DataError, match=r"does not hold cifar-10-batches-bin/test_batch.bin"):
        CIFAR10(root=str(tmp_path), verify=False).load()
    assert not (tmp_path / "cifar-10-batches-bin" / "test_batch.bin").is_symlink()


def test_cifar_archive_that_is_damaged(tmp_path) -> None:
    path = tmp_path / "cifar-10-binary.tar.gz"
    write_archive(path)
    content = path.read_bytes()
    for damaged in (b"<html>", content[:1000], content[: len(content) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"cifar-10-binary.tar.gz is damaged"):
            CIFAR10(root=str(tmp_path), verify=False).load()
    left = tmp_path / "cifar-10-batches-bin"
    assert all(path.name in cifar._BINARY_FILES for path in left.iterdir())


def test_cifar_binary_size(tmp_path) -> None:
    write_archive(tmp_path / "cifar-10-binary.tar.gz")
    source = CIFAR10(root=str(tmp_path), verify=False)
    source.load()
    with pytest.raises(DataError, match=r"data_batch_1.bin is damaged: 9219 bytes, expected 30730000"):
        CIFAR10(root=str(tmp_path)).load()
    path = tmp_path / "cifar-10-batches-bin" / "test_batch.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"test_batch.bin is damaged: 9218 bytes"):
        source.load()


def test_cifar_missing_files_without_download(tmp_path) -> None:
    source = CIFAR10(root=str(tmp_path), download=False)
    with pytest.raises(DataError, match=rf"^cifar-10-batches-py/data_batch_1 is not in {tmp_path}; write data.root="):
        source.load()
    (write_batches(tmp_path) / "data_batch_4").unlink()
    with pytest.raises(DataError, match=r"^cifar-10-batches-py/data_batch_4 is not in "):
        source.load()


def test_cifar_facts_are_torchvisions() -> None:
    from torchvision.datasets import CIFAR10 as PUBLISHED

    files = [*PUBLISHED.train_list, *PUBLISHED.test_list]
    assert PUBLISHED.base_folder == cifar._PYTHON_FOLDER
    assert {name: f"md5:{checksum}" for name, checksum in files} == cifar._PYTHON_FILES


def test_real_cifar(real_data) -> None:
    tables = CIFAR10(root=str(real_data), download=False, verify=False).load()
    assert tables.train_inputs.shape == (50000, 3, 32, 32)
    assert tables.test_inputs.shape == (10000, 3, 32, 32)
    assert tables.train_targets[:8].tolist() == [6, 9, 9, 4, 1, 1, 2, 7]  # frog, truck, truck, deer, ...
    assert tables.train_targets.bincount().tolist() == [5000] * 10
    assert tables.test_targets.bincount().tolist() == [1000] * 10
    fitted = ImageTransform.fit(tables.train_inputs)
    means = -fitted.shift / fitted.scale / 255  # the published ones are usually given to four digits
    torch.testing.assert_close(means.flatten(), torch.tensor([0.4914, 0.4822, 0.4465]), rtol=0, atol=1e-4)
