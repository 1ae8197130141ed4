"""The best weights of a run: kept as safetensors, written whole, read back with names and shapes checked."""

from pathlib import Path

import safetensors.torch
from torch import nn

from dlcourse.errors import DataError


def save_weights(model: nn.Module, path: Path) -> None:
    """Write all parameters and buffers, whole or not at all."""
    temporary = path.with_name(f".{path.name}.writing")
    try:
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
        safetensors.torch.save_file(tensors, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load_weights(model: nn.Module, path: Path) -> None:
    """Read parameters and buffers back into a model of the same architecture; raises DataError."""
    try:
        tensors = safetensors.torch.load_file(path)
        model.load_state_dict(tensors)
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        reason = str(error).splitlines()[:2][-1].strip()  # torch names what does not fit in the second line
        raise DataError(f"cannot read weights from {path}: {reason}") from error
