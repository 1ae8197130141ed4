"""The user's own arrays in an .npz file: images, features or sequences, named as the data sets of Keras name them.

N is a number of examples, H and W height and width, C channels, T steps of a sequence, F features, O values to predict.
"""

import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dlcourse.config.paths import path_to_read
from dlcourse.data import announced
from dlcourse.data.dataset import ImageSource, Tables, TableSource
from dlcourse.data.float_precision import as_floats
from dlcourse.data.transforms import Augment, ImageTransform
from dlcourse.errors import ConfigError, DataError, first_line

MAX_BYTES = 4 << 30
"""Of all arrays together, unpacked: a small damaged or malicious file must not fill the memory."""

_DIVIDED = ("x_train", "y_train", "x_test", "y_test")
_WHOLE = ("x", "y")
_CHANNELS = (1, 3)
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError),
    *(ValueError, TypeError, KeyError, OverflowError, MemoryError, SyntaxError, tokenize.TokenError),
)

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class NpzFile(TableSource, ImageSource):
    """Arrays `x_train`, `y_train`, `x_test` and `y_test`, or `x` and `y` to be divided by `test_fraction`.

    uint8 arrays `(N, H, W)`, `(N, H, W, C)` and `(N, C, H, W)` with C = 1 or 3 are images; any other numbers are
    features `(N, F)` or sequences `(N, T, F)`. Whole numbers or text `(N,)` for targets are classes, floats `(N,)` or
    `(N, O)` values; `kind` overrules that. The options `resize`, `rgb` and `augment` are for images.
    """

    SPECS = (
        *(announced.images(1, 28, classes=classes) for classes in (2, 0)),
        *(announced.numbers(*shape, classes=classes) for shape in ((1,), (2,), (10,), (20, 3)) for classes in (2, 0)),
    )

    file: str | None = None
    kind: Literal["auto", "class", "value"] = "auto"

    def load(self) -> Tables:
        if self.file is None:
            raise ConfigError("data.file is missing; write data=npz data.file=FILE")
        path = path_to_read(self.file, "data.file")
        arrays = read_arrays(path)
        inputs = _as_floats({name: _inputs(path, name, array) for name, array in arrays.items() if name[0] == "x"})
        targets = {name: array for name, array in arrays.items() if name.startswith("y")}
        for x, y in zip(inputs, targets, strict=True):
            if len(inputs[x]) != len(targets[y]):
                raise DataError(f"{path}: {x} has {len(inputs[x]):,} examples, but {y} {len(targets[y]):,}")
        self._check_inputs(path, inputs)
        encoded, class_names = self._targets(path, targets)
        if "x" in inputs:
            return self.divide(inputs["x"], encoded["y"], class_names)
        return Tables(inputs["x_train"], encoded["y_train"], inputs["x_test"], encoded["y_test"], class_names)

    def _check_inputs(self, path: Path, inputs: Mapping[str, Tensor]) -> None:
        first, *others = inputs.items()
        for name, tensor in others:
            if tensor.shape[1:] != first[1].shape[1:] or tensor.dtype != first[1].dtype:
                raise DataError(f"{path}: examples of {first[0]} are {_kind(first[1])}, but of {name} {_kind(tensor)}")
        if not _is_images(first[1]):
            asked = {"resize": self.resize is not None, "rgb": self.rgb, "augment": self.augment != Augment()}
            for option in (option for option, is_set in asked.items() if is_set):
                raise ConfigError(f"data.{option} is for images, and {first[0]} of {path} holds {_kind(first[1])}")

    def _finish(self, inputs: Tensor) -> Tensor:
        return super()._finish(inputs) if _is_images(inputs) else inputs

    def _transform(self, train_inputs: Tensor) -> ImageTransform | None:
        return super()._transform(train_inputs) if _is_images(train_inputs) else None

    def _targets(self, path: Path, arrays: Mapping[str, Array]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
        """Classes `(N,)` with their names, or values `(N, O)` and no names, by the name of the array."""
        flat = {name: _column(path, name, array) for name, array in arrays.items()}
        first = next(iter(flat.values()))
        if self.kind == "value" or (self.kind == "auto" and first.dtype.kind == "f"):
            if self.kind == "auto" and _is_one_hot(first):
                name = next(iter(flat))
                raise DataError(
                    f"{path}: {name} of shape {first.shape} is one-hot rows, and classes have shape (N,); save "
                    f"{name}.argmax(1), or write data.kind=value to predict its numbers"
                )
            return _as_floats({name: _values(path, name, array) for name, array in flat.items()}), ()
        return _classes(path, flat)


def read_arrays(path: Path) -> dict[str, Array]:
    """The arrays of an .npz file in the order x, y of training, then of testing; raises DataError."""
    if path.exists() and not path.is_file():
        raise DataError(f"data.file={path} is not a file; write data.file=FILE for an .npz file")
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {info.filename.removesuffix(".npy"): info.file_size for info in archive.infolist()}
        names = _wanted(path, sizes)
        if sum(sizes[name] for name in names) > MAX_BYTES:
            raise DataError(
                f"{path}: its arrays unpack to {sum(sizes[name] for name in names) / 2**30:,.1f} GiB, and at most "
                f"{MAX_BYTES / 2**30:.0f} GiB are read; keep fewer examples"
            )
        with np.load(path, allow_pickle=False) as arrays:
            return {name: _read_array(arrays, path, name) for name in names}
    except OSError as error:
        raise DataError(
            f"cannot read {path}: {error.strerror or error}; write data.file=FILE for an .npz file"
        ) from None
    except zipfile.BadZipFile:
        raise DataError(f"{path} is not a whole .npz file, as numpy.savez writes it; write data.file=FILE") from None


def _wanted(path: Path, held: Mapping[str, int]) -> tuple[str, ...]:
    for names in (_DIVIDED, _WHOLE):
        if set(names) <= set(held):
            return names
    expected = _WHOLE if set(held) & set(_WHOLE) and not set(held) & set(_DIVIDED) else _DIVIDED
    missing = ", ".join(name for name in expected if name not in held)
    there = ", ".join(sorted(held)[:20]) or "nothing"
    raise DataError(f"{path} has no {missing}; it holds {there}; expected {', '.join(_DIVIDED)}, or x and y")


def _read_array(arrays: Mapping[str, Array], path: Path, name: str) -> Array:
    try:
        array = arrays[name]
    except _DAMAGE as error:
        if "allow_pickle" in str(error):
            raise DataError(
                f"{path}: {name} holds Python objects, which could run code when read; save it as an array of numbers, "
                f"such as {name}.astype('float32')"
            ) from None
        raise DataError(f"{path} is damaged: {name} cannot be read ({first_line(error)})") from None
    if not isinstance(array, np.ndarray):  # what numpy gives for a member that does not begin as an array
        raise DataError(f"{path} is damaged: {name} cannot be read (it is not an array)")
    if array.ndim == 0 or array.size == 0:
        raise DataError(f"{path}: {name} is empty (its shape is {array.shape})")
    return array


def _inputs(path: Path, name: str, array: Array) -> Tensor:
    """Images as uint8 `(N, C, H, W)`, features `(N, F)` and sequences `(N, T, F)` as floats."""
    if array.dtype.kind not in "biuf":
        raise DataError(f"{path}: {name} is an array of {array.dtype}; it must be one of numbers")
    if array.dtype == np.uint8 and array.ndim in (3, 4):
        return torch.from_numpy(np.ascontiguousarray(_channels_first(path, name, array)))
    if array.ndim == 4:
        raise DataError(
            f"{path}: {name} has shape {array.shape} but is {array.dtype}; images must be uint8 from 0 to 255; for values "
            f"in [0, 1] save (255 * {name}).round().astype('uint8')"
        )
    if array.ndim > 4:
        raise DataError(f"{path}: {name} has shape {array.shape}; at most 4 axes have a meaning")
    return _rows_of_numbers(path, name, array)


def _channels_first(path: Path, name: str, array: Array) -> Array:
    """Images `(N, C, H, W)` from `(N, H, W)`, `(N, H, W, C)` or `(N, C, H, W)`."""
    if array.ndim == 3:
        return array[:, None]
    first, last = array.shape[1] in _CHANNELS, array.shape[3] in _CHANNELS
    if first and last:
        raise DataError(
            f"{path}: {name} has shape {array.shape}, whose channels could be axis 1 or axis 3; make the images wider"
        )
    if not first and not last:
        raise DataError(
            f"{path}: {name} has shape {array.shape}; images need 1 or 3 channels, at axis 1 or axis 3, as in "
            "(N, height, width, 3)"
        )
    return array if first else array.transpose(0, 3, 1, 2)


def _rows_of_numbers(path: Path, name: str, array: Array) -> Tensor:
    """The array as float32 if that holds its type, else as float64, and `(N, 1)` if it is `(N,)`.

    Raises DataError if a number is not finite in float32.
    """
    numbers = np.ascontiguousarray(array, dtype=np.float32 if np.can_cast(array.dtype, np.float32) else np.float64)
    with np.errstate(over="ignore"):
        is_finite = np.isfinite(numbers.astype(np.float32))
    if not is_finite.all():
        place = tuple(int(index[0]) for index in np.nonzero(~is_finite))
        raise DataError(
            f"{path}: {name}[{', '.join(map(str, place))}] is {array[place]}, which is not a finite 32-bit number; "
            "replace it or remove the example"
        )
    return torch.from_numpy(numbers[:, None] if numbers.ndim == 1 else numbers)


def _column(path: Path, name: str, array: Array) -> Array:
    """Targets `(N,)` or `(N, O)`, those of shape `(N, 1)` as `(N,)`; raises DataError."""
    if array.dtype.kind not in "biufU":
        raise DataError(f"{path}: {name} is an array of {array.dtype}; it must be one of numbers or text")
    if array.ndim > 2:
        raise DataError(f"{path}: {name} has shape {array.shape}; targets have shape (N,) or (N, O)")
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def _values(path: Path, name: str, array: Array) -> Tensor:
    if array.dtype.kind == "U":
        raise DataError(f"{path}: {name} holds text, and data.kind=value needs numbers; write data.kind=class")
    return _rows_of_numbers(path, name, array)


def _classes(path: Path, arrays: Mapping[str, Array]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Class numbers by the name of the array, and the sorted labels of training as names of the classes."""
    for name, array in arrays.items():
        if array.ndim == 2:
            raise DataError(
                f"{path}: {name} has shape {array.shape}, and classes have shape (N,); for one-hot rows save "
                f"{name}.argmax(1), for values {name}.astype('float32')"
            )
        if array.dtype.kind == "f":
            for index in np.flatnonzero(array != np.floor(array)):
                raise DataError(
                    f"{path}: {name}[{index}] is {array[index]}, and classes are whole numbers or text; write "
                    "data.kind=value"
                )
    train_name, train = next(iter(arrays.items()))
    known = np.unique(train)
    names = tuple(f"{label:.0f}" if isinstance(label, float) else str(label) for label in known.tolist())
    if len(known) == 1:
        raise DataError(f"{path}: every label of {train_name} is {names[0]}; at least two classes are needed")
    if len(known) > max(2, len(train) / 2):
        raise DataError(
            f"{path}: {train_name} has {len(known):,} different labels for {len(train):,} examples, too many for classes; "
            "for numbers to predict write data.kind=value"
        )
    encoded = {}
    for name, array in arrays.items():
        for label in array[~np.isin(array, known)]:
            raise DataError(
                f"{path}: {name} has the label {label}, which {train_name} does not have; add training examples"
            )
        encoded[name] = torch.from_numpy(np.searchsorted(known, array))
    return encoded, names


def _is_one_hot(array: Array) -> bool:
    return array.ndim == 2 and bool(np.isin(array, (0, 1)).all() and (array.sum(1) == 1).all())


def _as_floats(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of numbers in float32, all of them in float64 if that would blur them; images as they are."""
    if any(_is_images(tensor) for tensor in tensors.values()) or len({t.shape[-1] for t in tensors.values()}) > 1:
        return dict(tensors)
    return dict(zip(tensors, as_floats(*tensors.values()), strict=True))


def _is_images(tensor: Tensor) -> bool:
    return tensor.dtype == torch.uint8


def _kind(tensor: Tensor) -> str:
    shape = " x ".join(map(str, tensor.shape[1:]))
    return f"{'images' if _is_images(tensor) else 'numbers'} of shape {shape}"
