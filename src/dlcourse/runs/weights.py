"""Tensors as safetensors that carry their own checksum: weights written whole, read back with everything checked."""

import hashlib
import json
import stat
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from dlcourse.errors import DataError, first_line
from dlcourse.files import write_durably

_CHECKSUM = "sha256"


def save_weights(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write a model's `state_dict()`, durably, and whole or not at all."""
    write_durably(path, to_bytes(tensors))


def load_weights(model: nn.Module, path: Path, checksum: str | None = None) -> None:
    """Read parameters and buffers back into a model of the same architecture; raises DataError."""
    tensors = read_tensors(path, checksum)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        reason = str(error).splitlines()[:2][-1].strip()  # torch names what does not fit in the second line
        raise DataError(f"cannot read weights from {path}: {reason}") from error


def read_tensors(path: Path, checksum: str | None = None) -> dict[str, Tensor]:
    """The tensors of a file by name; raises DataError for one that is missing, damaged, not ours or has another checksum."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DataError(f"cannot read weights from {path}: not a regular file")
        return from_bytes(path.read_bytes(), checksum)
    except (OSError, ValueError) as error:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        raise DataError(f"cannot read weights from {path}: {reason}") from error


def to_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """The tensors in the safetensors format, with a checksum over all of them in its metadata."""
    flat = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return safetensors.torch.save(flat, {_CHECKSUM: _checksum(flat)})


def from_bytes(content: bytes, checksum: str | None = None) -> dict[str, Tensor]:
    """The tensors that `to_bytes` put there; raises ValueError if anything is damaged, or the checksum is not this one."""
    try:
        tensors = safetensors.torch.load(content)
        stated = _stated_checksum(content)
    except (SafetensorError, RuntimeError, KeyError, TypeError) as error:
        raise ValueError(f"damaged: {first_line(error)}") from error
    if stated is None:
        raise ValueError("no checksum in it, so dlcourse has not written it or it is damaged")
    if stated != _checksum(tensors):
        raise ValueError("damaged: checksum mismatch")
    if checksum not in (None, stated):
        raise ValueError("of another run: its checksum is not that in run.json")
    return tensors


def _stated_checksum(content: bytes) -> str | None:
    """The checksum in the metadata of a file that safetensors has accepted."""
    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + length]).get("__metadata__") or {}
    stated = metadata.get(_CHECKSUM)
    return None if stated is None else str(stated)


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    """sha256 over names, types, shapes and bytes, in order of name."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
