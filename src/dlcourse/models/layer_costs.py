"""What a forward pass computes, module by module: output shapes, parameters with their formula, and FLOPs.

FLOPs are those of matrix products, convolutions and attention, a multiplication and an addition counting as two; what is
done to each number alone (activations, norms, pooling) is not counted. They are torch's own counts of what it computes
on its meta device, which has shapes and no memory: a recurrent layer is the matrix products of its steps there, and
attention is every query with every key, be it masked or not.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

_GATES: tuple[tuple[type[nn.RNNBase], int], ...] = ((nn.LSTM, 4), (nn.GRU, 3))


@dataclass(frozen=True)
class LayerCost:
    """A module as a forward pass of one example meets it: a layer, or one with others inside.

    `name` is dotted, empty for the whole model; `kind` the name of its class; `shape` that of its output for one example,
    empty if that is no tensor. `parameters` with their `formula`, and `flops`, are its own, less those of modules inside.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    changes_shape: bool
    parameters: int
    formula: str
    flops: int


def layer_costs(model: nn.Module, example: Tensor) -> list[LayerCost]:
    """The modules of a model on the meta device, in the order in which an example `(1, *input_shape)` enters them.

    The parameters and the FLOPs of all of them add up to those of the model. A parameter that two modules share, and one
    of a module that is never called, counts once, with the module it is inside of.
    """
    calls = _run(model, example)
    owned: dict[str, list[tuple[str, nn.Parameter]]] = {name: [] for name in calls}
    for name, parameter in model.named_parameters():
        owned[_owner(name, calls)].append((name, parameter))
    modules = dict(model.named_modules())
    return [
        LayerCost(
            name=name,
            kind=type(modules[name]).__name__.removeprefix("Parametrized").lstrip("_"),
            shape=call.shape,
            changes_shape=call.changes_shape,
            parameters=sum(parameter.numel() for _, parameter in owned[name]),
            formula=_formula(modules[name], [tuple(parameter.shape) for _, parameter in owned[name]]),
            flops=call.flops,
        )
        for name, call in calls.items()
    ]


@dataclass
class _Call:
    """A module that runs, or has run: its own FLOPs and those of all that was called inside."""

    flops: int = 0
    inside: int = 0
    shape: tuple[int, ...] = ()
    changes_shape: bool = False


@dataclass
class _Recorder:
    """Hooks that keep the calls of a forward pass by the names of the modules, in the order in which they begin."""

    count: Callable[[], int]
    calls: dict[str, _Call] = field(default_factory=dict)
    _running: list[tuple[int, _Call]] = field(default_factory=list)

    def begin(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: object) -> None:
            self._running.append((self.count(), self.calls.setdefault(name, _Call())))
            self._running[-1][1].inside = 0

        return hook

    def end(self, module: nn.Module, inputs: object, output: object) -> None:
        before, call = self._running.pop()
        flops = self.count() - before
        call.flops += flops - call.inside
        if self._running:
            self._running[-1][1].inside += flops
        if not call.shape:
            call.shape, entering = _shape(output), _shape(inputs)
            call.changes_shape = call.shape != entering


def _run(model: nn.Module, example: Tensor) -> dict[str, _Call]:
    logging.getLogger("torch.utils.flop_counter").setLevel(logging.ERROR)  # it says where triton is missing
    from torch.utils.flop_counter import FlopCounterMode

    with _evaluating(model), torch.no_grad(), FlopCounterMode(display=False) as counter:
        recorder = _Recorder(counter.get_total_flops)
        hooks: list[Any] = []
        for name, module in _watched(model):
            hooks.append(module.register_forward_pre_hook(recorder.begin(name)))
            hooks.append(module.register_forward_hook(recorder.end))
        try:
            model(example)
        finally:
            for hook in hooks:
                hook.remove()
    return recorder.calls


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def _watched(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """All modules but those by which torch parametrizes another, such as spectral norm: their numbers are that one's."""
    hidden: list[str] = []
    for name, module in model.named_modules():
        if parametrize.is_parametrized(module):
            hidden.append(f"{name}.parametrizations.".lstrip("."))
        if not f"{name}.".startswith(tuple(hidden)):
            yield name, module


def _owner(parameter: str, names: dict[str, _Call]) -> str:
    """The innermost of the modules that a parameter of this name is inside of."""
    name = parameter
    while name:
        name = name.rpartition(".")[0]
        if name in names:
            break
    return name


def _shape(value: object) -> tuple[int, ...]:
    """The shape for one example of the first tensor among what goes into a module or comes out; empty without one."""
    if isinstance(value, Tensor):
        return tuple(value.shape[1:] if value.shape[:1] == (1,) else value.shape)  # a table of positions has no batch
    if isinstance(value, (tuple, list)) and value:
        return _shape(value[0])
    return ()


def _formula(module: nn.Module, shapes: Sequence[tuple[int, ...]]) -> str:
    """The number of parameters of these shapes as it comes about: `32 x (1 x 3 x 3) + 32`; empty without any."""
    gates = next((count for kind, count in _GATES if isinstance(module, kind)), 1)
    terms = Counter(_product((shape[0] // gates, *shape[1:]) if shape else (1,)) for shape in shapes)
    return repeated(gates, " + ".join(repeated(count, term) for term, count in terms.items()))


def repeated(count: int, term: str) -> str:
    """So many times a term: `2 x 32`, `4 x (128 x 28 + 128 x 128)`."""
    if count == 1 or not term:
        return term
    return f"{count:,} x ({term})" if " " in term else f"{count:,} x {term}"


def _product(shape: Sequence[int]) -> str:
    """A vector's `32`, a matrix's `256 x 64`, a kernel's `32 x (1 x 3 x 3)`: outputs, then what each is made of."""
    first, *rest = (f"{size:,}" for size in shape)
    inside = " x ".join(rest)
    return f"{first} x ({inside})" if len(rest) > 1 else " x ".join([first, *rest])
