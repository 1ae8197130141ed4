"""State as nested dicts and lists of numbers, text and tensors, taken apart into JSON and named tensors and back.

What keeps a state offers `state_dict()` and `load_state_dict(state)`, as torch's own modules and optimizers do.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from dlcourse.errors import DataError

State = dict[str, Any]

_TENSOR = "tensor:"


def pack(state: State) -> tuple[State, dict[str, Tensor]]:
    """The state with a name in place of each tensor, and the tensors by name."""
    tensors: dict[str, Tensor] = {}
    return _pack(state, "", tensors), tensors


def unpack(packed: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The state that `pack` took apart; raises DataError if a tensor is missing."""
    if isinstance(packed, dict):
        return {key: unpack(value, tensors) for key, value in packed.items()}
    if isinstance(packed, list):
        return [unpack(value, tensors) for value in packed]
    if isinstance(packed, str) and packed.startswith(_TENSOR):
        name = packed.removeprefix(_TENSOR)
        if name not in tensors:
            raise DataError(f"tensor '{name}' is missing")
        return tensors[name]
    return packed


def load_tensors(current: Mapping[str, Tensor], saved: Any, what: str) -> dict[str, Tensor]:
    """The saved tensors, checked to have the names and shapes of the current ones; raises DataError."""
    if not isinstance(saved, Mapping) or set(saved) != set(current):
        raise DataError(f"{what}: tensor names do not match the model")
    for name, tensor in saved.items():
        if not isinstance(tensor, Tensor) or tensor.shape != current[name].shape:
            raise DataError(f"{what}: tensor '{name}' has another shape than in this model")
    return dict(saved)


def _pack(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _pack(item, f"{name}.{key}" if name else str(key), tensors) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_pack(item, f"{name}.{index}", tensors) for index, item in enumerate(value)]
    if isinstance(value, Tensor):
        tensors[name] = value.detach().cpu().contiguous()
        return _TENSOR + name
    return value
