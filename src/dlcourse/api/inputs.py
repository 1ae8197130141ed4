"""What `Run.predict` is given: files, texts, or examples as arrays, which are checked against what the run reads.

B is a number of examples.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcourse.errors import ConfigError, first_line

if TYPE_CHECKING:
    from torch import Tensor

    from dlcourse.spec import DataSpec


def as_names(inputs: Any) -> list[str | Path] | None:
    """The files or texts among which each is a `str` or a path; None for anything else, such as an array."""
    several = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
    if not several or not all(isinstance(each, str | os.PathLike) for each in several):
        return None
    return [each if isinstance(each, str) else Path(each) for each in several]


def as_tensor(inputs: Any, spec: "DataSpec") -> "Tensor":
    """Examples `(B, *input_shape)` as a tensor on the CPU, or where it is if it is one; raises ConfigError.

    Tokens are whole numbers, everything else numbers as the data give them. Of a text to continue, `(B, T)` for any T.
    """
    tensor = _numbers(inputs, spec)
    _check_shape(tuple(tensor.shape), spec)
    if spec.is_tokens:
        return _checked_tokens(tensor, spec)
    return _checked_numbers(tensor, spec)


def _numbers(inputs: Any, spec: "DataSpec") -> "Tensor":
    import numpy as np
    import torch

    if isinstance(inputs, torch.Tensor):
        return inputs.detach()
    try:
        return torch.from_numpy(np.array(inputs))
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"inputs are no array of numbers ({first_line(error)}); expected examples of shape {_expected(spec)}, "
            "or names of files"
        ) from None


def _check_shape(shape: tuple[int, ...], spec: "DataSpec") -> None:
    wanted = spec.input_shape
    if shape[1:] == wanted or (spec.target == "next" and len(shape) == 2 and shape[1] > 0):
        return
    one = "; write inputs[None] for one example" if shape == wanted else ""
    raise ConfigError(f"inputs have shape {_written(shape)}, and this run reads {_expected(spec)}{one}")


def _expected(spec: "DataSpec") -> str:
    """`(B, 1, 28, 28)`, or `(B, T)` for a text to continue."""
    return "(B, T)" if spec.target == "next" else f"(B, {', '.join(map(str, spec.input_shape))})"


def _written(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))})"


def _checked_tokens(tensor: "Tensor", spec: "DataSpec") -> "Tensor":
    size = len(spec.vocabulary)
    if tensor.is_floating_point() or tensor.is_complex():
        raise ConfigError(f"inputs are {_kind(tensor)}, and this run reads tokens: whole numbers from 0 to {size - 1}")
    tokens = tensor.long()
    outside = (tokens < 0) | (tokens >= size)
    if outside.any():
        raise ConfigError(
            f"inputs hold the token {int(tokens[outside][0])}, and this run reads whole numbers from 0 to {size - 1}"
        )
    return tokens


def _checked_numbers(tensor: "Tensor", spec: "DataSpec") -> "Tensor":
    import torch

    if tensor.dtype == torch.uint8 and spec.is_image:
        raise ConfigError(
            "inputs are uint8 pixels, and this run reads images as its data give them; write "
            "run.spec.from_pixels(torch.as_tensor(pixels) / 255)"
        )
    if tensor.dtype == torch.bool or tensor.is_complex():
        raise ConfigError(f"inputs are {_kind(tensor)}, and this run reads numbers of the kind float32")
    numbers = tensor if tensor.dtype == torch.float64 else tensor.float()
    broken = (~numbers.isfinite()).flatten(1).any(1).nonzero().flatten().tolist()
    if broken:
        raise ConfigError(f"inputs[{broken[0]}] holds NaN or infinity; leave it out, or fill it in")
    return numbers


def _kind(tensor: "Tensor") -> str:
    return str(tensor.dtype).removeprefix("torch.")
