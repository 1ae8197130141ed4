"""The weights of a run: kept as safetensors, written whole, read back with names and shapes checked."""

from pathlib import Path

import safetensors.torch
from torch import nn

from dlcourse.errors import DataError
from dlcourse.files import whole_file


def save_weights(model: nn.Module, path: Path) -> None:
    """Write all parameters and buffers, whole or not at all."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with whole_file(path) as unfinished:
        safetensors.torch.save_file(tensors, unfinished)


def load_weights(model: nn.Module, path: Path) -> None:
    """Read parameters and buffers back into a model of the same architecture; raises DataError."""
    try:
        tensors = safetensors.torch.load_file(path)
        model.load_state_dict(tensors)
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        reason = str(error).splitlines()[:2][-1].strip()  # torch names what does not fit in the second line
        raise DataError(f"cannot read weights from {path}: {reason}") from error
