"""The smallest useful form of every data set, with files written for those that read files."""

import pickle
import struct
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

_RANDOM = np.random.default_rng(0)
_IDX = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}
_TEXT = "It was the best of times, it was the worst of times, it was the age of wisdom.\n" * 40


def tiny_data(name: str, folder: Path) -> list[str]:
    """The words of a command line that choose the data set `name` with few examples; its files lie in `folder`."""
    return [f"data={name}", *_OPTIONS.get(name, lambda folder: ["data.subset=60"])(folder)]


def _idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def _write_idx(folder: Path, name: str) -> list[str]:
    raw = folder / name / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", 60), ("t10k", 20)):
        images = _RANDOM.integers(0, 256, (count, 28, 28), np.uint8)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(_idx(images))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(_idx(np.arange(count, dtype=np.uint8) % 10))
    return [f"data.root={folder}", "data.verify=false", "data.download=false"]


def _write_cifar(folder: Path) -> list[str]:
    place = folder / "cifar-10-batches-py"
    place.mkdir(parents=True, exist_ok=True)
    for part in ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"):
        batch = {
            "data": _RANDOM.integers(0, 256, (20, 3072), np.uint8),
            "labels": [index % 10 for index in range(20)],
        }
        (place / part).write_bytes(pickle.dumps(batch))
    return [f"data.root={folder}", "data.verify=false", "data.download=false"]


def _write_cifar100(folder: Path) -> list[str]:
    place = folder / "cifar-100-python"
    place.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", 200), ("test", 100)):
        labels = [index % 100 for index in range(count)]
        batch = {"data": _RANDOM.integers(0, 256, (count, 3072), np.uint8), "fine_labels": labels}
        (place / part).write_bytes(pickle.dumps(batch))
    return [f"data.root={folder}", "data.verify=false", "data.download=false"]


def _write_emnist(folder: Path) -> list[str]:
    raw = folder / "EMNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", 141), ("test", 47)):
        images = _RANDOM.integers(0, 256, (count, 28, 28), np.uint8)
        (raw / f"emnist-balanced-{part}-images-idx3-ubyte").write_bytes(_idx(images))
        (raw / f"emnist-balanced-{part}-labels-idx1-ubyte").write_bytes(_idx(np.arange(count, dtype=np.uint8) % 47))
    return [f"data.root={folder}", "data.download=false"]


def _write_svhn(folder: Path) -> list[str]:
    for part, count in (("train", 60), ("test", 20)):
        images = _RANDOM.integers(0, 256, (32, 32, 3, count), np.uint8)
        labels = (np.arange(count, dtype=np.uint8) % 10 + 1)[:, None]
        savemat(folder / f"{part}_32x32.mat", {"X": images, "y": labels}, do_compression=True)
    return [f"data.root={folder}", "data.verify=false", "data.download=false"]


def _write_text(folder: Path, option: str, name: str) -> list[str]:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_TEXT, encoding="utf-8")
    given = path if option == "file" else folder
    return [f"data.{option}={given}", "data.context=8", "data.windows=40"]


def _write_csv(folder: Path) -> list[str]:
    path = folder / "table.csv"
    rows = [f"{row % 4},{row % 3},{'yes' if row % 2 else 'no'}" for row in range(60)]
    path.write_text("\n".join(["a,b,answer", *rows]) + "\n", encoding="utf-8")
    return [f"data.file={path}", "data.target=answer"]


def _write_npz(folder: Path) -> list[str]:
    path = folder / "images.npz"
    images, labels = _RANDOM.integers(0, 256, (60, 8, 8), np.uint8), np.arange(60) % 3
    np.savez(path, x_train=images[:40], y_train=labels[:40], x_test=images[40:], y_test=labels[40:])
    return [f"data.file={path}"]


def _write_images(folder: Path) -> list[str]:
    for label in ("cat", "dog"):
        (folder / "pictures" / label).mkdir(parents=True, exist_ok=True)
        for index in range(20):
            pixels = _RANDOM.integers(0, 256, (16, 16, 3), np.uint8)
            Image.fromarray(pixels).save(folder / "pictures" / label / f"{index}.png")
    return [f"data.folder={folder / 'pictures'}", "data.size=16"]


_OPTIONS = {
    **{name: lambda folder, place=place: _write_idx(folder, place) for name, place in _IDX.items()},
    "cifar10": _write_cifar,
    "cifar100": _write_cifar100,
    "emnist": _write_emnist,
    "svhn": _write_svhn,
    **{name: lambda folder: ["data.train_size=60", "data.test_size=20"] for name in ("glyphs", "shapes")},
    **{
        name: lambda folder: ["data.size=120"]
        for name in (
            *("line", "curve", "blobs", "moons", "circles", "spirals", "xor", "ring", "grid"),
            *("adding", "parity", "sine", "copy", "reverse", "sort"),
        )
    },
    "cartpole": lambda folder: ["data.size=40", "data.held_out=4"],
    "grid_world": lambda folder: ["data.size=20", "data.held_out=2"],
    **{name: lambda folder: ["data.size=20"] for name in ("cliff", "tic_tac_toe")},
    "text": lambda folder: _write_text(folder, "file", "own.txt"),
    "tinyshakespeare": lambda folder: [
        *_write_text(folder, "root", "text/tinyshakespeare.txt"),
        *("data.verify=false", "data.download=false"),
    ],
    "grammar": lambda folder: ["data.sentences=200", "data.windows=40"],
    "in_context": lambda folder: ["data.size=60"],
    "preferences": lambda folder: [
        *_write_text(folder, "root", "text/tinyshakespeare.txt")[:1],
        *("data.size=40", "data.verify=false", "data.download=false"),
    ],
    "pydoc": lambda folder: [
        "data.context=8",
        "data.windows=20",
        "data.val_fraction=0.0005",
        "data.test_fraction=0.0005",
    ],
    "csv": _write_csv,
    "npz": _write_npz,
    "images": _write_images,
}
