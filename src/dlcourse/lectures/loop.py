"""A30: the lines of dlcourse that a training step runs, traced while they run, and the gradient of c = a b + b."""

import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any

import torch
from torch import Tensor, nn

from dlcourse.config.options import Positive
from dlcourse.device import Device
from dlcourse.lectures.finished import Finished
from dlcourse.metrics.report import Report
from dlcourse.optim.optimizers import sgd
from dlcourse.optim.step import ScheduledOptimizer
from dlcourse.plots import Collage, ComputationGraph, Listing, Node
from dlcourse.spec import Batch, DataSpec
from dlcourse.tasks.task import LossTask, Scalars

_SHOWN: tuple[Callable[..., Any], ...] = (LossTask.descend, ScheduledOptimizer.descend)
"""The functions that make a step of dlcourse: of the task, and of its optimizer."""


class _Product(nn.Module):
    """Two numbers that are learned."""

    def __init__(self, a: float, b: float) -> None:
        super().__init__()
        self.a, self.b = (nn.Parameter(torch.tensor(value, dtype=torch.float64)) for value in (a, b))


class _Sum(LossTask):
    """The loss c = a b + b, whatever the batch; `nodes` holds what was computed, `values` the numbers at that time."""

    model: _Product
    nodes: dict[str, Tensor]
    values: dict[str, float]

    def losses(self, batch: Batch) -> Scalars:
        a: Tensor = self.model.a
        b: Tensor = self.model.b
        product = a * b
        c = product + b
        product.retain_grad()
        c.retain_grad()
        self.nodes = {"a": a, "b": b, "a b": product, "c": c}
        self.values = {name: float(node.detach()) for name, node in self.nodes.items()}
        return {"loss": c}


def loop(runs: Sequence[Finished], a: float = 4.0, b: float = 3.0, lr: Positive = 0.1) -> Report:
    """The lines that one step runs, taken from the source, and the gradients of c = a b + b by hand and by autograd.

    The step is a real one of dlcourse's `LossTask` with gradient descent at the rate `lr`.
    """
    task = _Sum(_Product(a, b), DataSpec("two numbers", (1,), 1, target="value"), Device(torch.device("cpu")))
    task.start(lambda module, **_: ScheduledOptimizer(sgd(lr)(module), lambda _: 1.0, task.device))
    trace = _Trace(tuple(function.__code__ for function in _SHOWN))
    with trace:
        task.train_step(Batch(torch.zeros(1, 1), torch.zeros(1, 1)))
    by_hand = {"a": b, "b": a + 1}  # dc/da and dc/db
    gradients = {name: float(node.grad) for name, node in task.nodes.items() if node.grad is not None}
    listed = [line for function in _SHOWN for line in _listed(function, trace.lines)]
    scalars = {
        "a": a,
        "b": b,
        "c": task.values["c"],
        "lines that ran": float(sum(line.has_run for line in listed)),
        "largest difference": max(abs(by_hand[name] - gradients[name]) for name in by_hand),
        "a after the step": float(task.model.a.detach()),
        "b after the step": float(task.model.b.detach()),
        "difference of the step": max(
            abs(float(parameter.detach()) - (start - lr * by_hand[name]))
            for name, parameter, start in (("a", task.model.a, a), ("b", task.model.b, b))
        ),
    }
    for name, value in by_hand.items():
        scalars |= {f"dc/d{name} by hand": value, f"dc/d{name} by autograd": gradients[name]}
    picture = Collage([[_listing(listed), _graph(task, gradients)]])
    return Report(scalars, pictures={"loop": picture}, texts={"lines": "\n".join(line.text for line in listed)})


@dataclass
class _Trace:
    """Notes which lines of some functions run while it is entered, as `(function, line number)`."""

    codes: tuple[CodeType, ...]
    lines: set[tuple[CodeType, int]] = field(default_factory=set)
    _before: Any = None

    def __enter__(self) -> None:
        self._before = sys.gettrace()
        sys.settrace(self._enter)

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _enter(self, frame: FrameType, event: str, argument: object) -> Any:
        return self._line if frame.f_code in self.codes else None

    def _line(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "line":
            self.lines.add((frame.f_code, frame.f_lineno))
        return self._line


@dataclass(frozen=True)
class _Line:
    """A line of the source: its text, whether it is the head of a function, and whether it ran."""

    text: str
    is_head: bool
    has_run: bool


def _listed(function: Callable[..., Any], ran: set[tuple[CodeType, int]]) -> Iterator[_Line]:
    """The source of a function without its docstring, each line with whether it ran."""
    lines, first = inspect.getsourcelines(function)
    indent = len(lines[0]) - len(lines[0].lstrip())
    code = function.__code__
    yield _Line(f"{function.__qualname__}  ({function.__module__})", is_head=True, has_run=False)
    yield _Line(lines[0][indent:].rstrip(), is_head=False, has_run=False)
    for number, text in enumerate(lines[1 + _docstring_lines(function) :], first + 1 + _docstring_lines(function)):
        yield _Line(text[indent:].rstrip(), is_head=False, has_run=(code, number) in ran)


def _docstring_lines(function: Callable[..., Any]) -> int:
    return function.__doc__.count("\n") + 1 if function.__doc__ else 0


def _listing(lines: Sequence[_Line]) -> Listing:
    shown, count = [], 0
    for line in lines:
        count += line.has_run
        kind = "head" if line.is_head else "main" if line.has_run else "idle"
        shown.append((str(count) if line.has_run else "", line.text.split("  #")[0], kind))
    return Listing(shown, f"The {count} lines that made this step (gray: not this time)")


def _graph(task: _Sum, gradients: dict[str, float]) -> ComputationGraph:
    """The graph that autograd has kept, with its own names of what made each value."""
    nodes, values = task.nodes, task.values
    places = {"a": (0.0, 1.0), "b": (0.0, 0.0), "a b": (1.0, 1.0), "c": (2.0, 0.5)}
    made = {name: type(node.grad_fn).__name__ if node.grad_fn is not None else "leaf" for name, node in nodes.items()}
    shown = {name: Node(place, values[name], gradients[name], made[name]) for name, place in places.items()}
    edges = {
        ("a", "a b"): f"times b = {values['b']:g}",
        ("b", "a b"): f"times a = {values['a']:g}",
        ("a b", "c"): "times 1",
        ("b", "c"): "times 1",
    }
    return ComputationGraph(shown, edges, "c = a b + b: values forward (blue), gradients backward (red)")
