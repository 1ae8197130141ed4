"""How much memory the tensors of a computation take at any time, counted as torch makes and frees them.

For computations on torch's fake tensors, which have shapes and a device and no memory: each operation is the one that
the device would run, and what it would keep is known from the shapes.
"""

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_FLOAT = 4  # bytes
_PAGE = 4096


class LiveMemory(TorchDispatchMode):
    """Within this, the bytes of all live tensors are counted, those that share memory once.

    `peak` is the most at any time, `activations` the most of what autograd keeps for the backward pass and what
    `count(kept=True)` adds to it.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.peak = self.activations = 0
        self._sizes: dict[int, int] = {}
        self._kept: set[int] = set()
        self._kept_bytes = 0
        self._ends: dict[int, weakref.ref[Any]] = {}

    def count(self, tensors: Iterable[Tensor], *, kept: bool = False) -> int:
        """Count tensors that were made before; returns the bytes that were not counted yet."""
        before = self.live
        for tensor in tensors:
            self._add(tensor)
            if kept:
                self._keep(tensor)
        return self.live - before

    def saving(self, weights: Iterable[Tensor]) -> torch.autograd.graph.saved_tensors_hooks:
        """A context in which what autograd saves for the backward pass counts as activations, less these tensors."""
        constant = {id(weight.untyped_storage()) for weight in weights}

        def pack(tensor: Tensor) -> Tensor:
            if id(tensor.untyped_storage()) not in constant:
                self._keep(tensor)
            return tensor

        return torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        output = function(*args, **(kwargs or {}))
        if function is torch.ops.aten.mkldnn_rnn_layer.default:
            output = (*output[:3], _lstm_workspace(args[0], hidden=args[10]))
        for tensor in tree_leaves(output):
            if isinstance(tensor, Tensor):
                self._add(tensor)
        if function is torch.ops.aten.mkldnn_rnn_layer_backward.default:
            self.peak = max(self.peak, self.live + _lstm_scratch(args[0], hidden=args[15]))
        return output

    def _add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = id(storage)
        if key in self._sizes:
            return
        self._sizes[key] = storage.nbytes()
        self._ends[key] = weakref.ref(storage, lambda _: self._remove(key))
        self.live += self._sizes[key]
        self.peak = max(self.peak, self.live)

    def _keep(self, tensor: Tensor) -> None:
        self._add(tensor)
        key = id(tensor.untyped_storage())
        if key not in self._kept:
            self._kept.add(key)
            self._kept_bytes += self._sizes[key]
            self.activations = max(self.activations, self._kept_bytes)

    def _remove(self, key: int) -> None:
        size = self._sizes.pop(key)
        self.live -= size
        if key in self._kept:
            self._kept.remove(key)
            self._kept_bytes -= size
        del self._ends[key]


def _lstm_workspace(inputs: Tensor, hidden: int) -> Tensor:
    """What oneDNN keeps of an LSTM layer on inputs `(T, B, F)` for its backward pass; torch's fake one is empty.

    Five arrays of states for T + 1 steps and two layers, three of them as wide as the inputs if those are wider, then the
    gates and one more for T steps: set_conf and set_offsets in oneDNN's rnn_utils, confirmed by the sizes of real ones.
    """
    steps, batch, features = inputs.shape
    states, wide = 2 * (steps + 1), _padded(max(features, hidden))
    rows = [steps * _padded(4 * hidden), steps * _padded(hidden), *[states * wide] * 3, *[states * hidden] * 2]
    size = sum(-(-_FLOAT * batch * row // _PAGE) * _PAGE for row in rows)
    return torch.empty(size, dtype=torch.uint8, device=inputs.device)


def _lstm_scratch(inputs: Tensor, hidden: int) -> int:
    """The bytes that oneDNN's backward pass takes for its own use: the gradients of the gates and of the outputs."""
    steps, batch = inputs.shape[:2]
    return _FLOAT * steps * batch * (_padded(4 * hidden) + hidden)


def _padded(size: int) -> int:
    """The numbers from one row to the next in oneDNN's arrays: whole cache lines, one more where caches would collide."""
    size = -(-size // 16) * 16
    return size + 16 if size % 256 == 0 else size
