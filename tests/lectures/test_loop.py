"""The lines of a training step are those that run, and the gradients of c = a b + b those by hand."""

import inspect

import pytest

from dlcourse.lectures.loop import loop
from dlcourse.optim.step import ScheduledOptimizer
from dlcourse.plots import Listing


def test_gradients_by_hand_and_by_autograd_are_equal() -> None:
    scalars = loop([], a=-2.0, b=7.0, lr=0.5).scalars
    assert scalars["c"] == -7 and scalars["dc/da by autograd"] == 7 and scalars["dc/db by autograd"] == -1
    assert scalars["largest difference"] == 0
    assert loop([], a=0.1, b=1e30).scalars["largest difference"] == 0, "whatever the numbers are"
    assert (scalars["a after the step"], scalars["b after the step"]) == (-5.5, 7.5)


def test_the_lines_are_the_source_and_those_marked_have_run() -> None:
    report = loop([])
    source = inspect.getsource(ScheduledOptimizer.descend)
    (listing, _), *_ = report.pictures["loop"].rows
    assert isinstance(listing, Listing)
    ran = [text.strip() for label, text, _ in listing.lines if label]
    idle = [text.strip() for label, text, kind in listing.lines if not label and kind == "idle"]
    assert len(ran) == report.scalars["lines that ran"]
    steps = [line for line in ran if line in source]
    assert steps.index("self._optimizer.zero_grad()") < steps.index("torch.autograd.backward(self._scaler.scale(loss))")
    assert "self._scaler.step(self._optimizer)" in steps
    assert "loss = loss / self._accumulate" in idle, "what did not run is not counted"


def test_another_gradient_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ScheduledOptimizer, "_clip_gradients", lambda self: [p.grad.mul_(2) for p in self._parameters])
    scalars = loop([]).scalars
    assert scalars["largest difference"] > 1 and scalars["difference of the step"] > 0.1
