"""Seconds of a watch that is paused, and the scalars of steps that wait on the device."""

from types import SimpleNamespace

import pytest
import torch

from dlcourse.training import meters
from dlcourse.training.meters import PendingScalars, Stopwatch


def test_a_watch_counts_the_seconds_in_which_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(meters, "time", SimpleNamespace(perf_counter=lambda: now.seconds))
    watch = Stopwatch(5.0)
    now.seconds += 1000  # not yet
    with watch.running():
        now.seconds += 1
        assert watch.seconds == 6
        with watch.paused():
            now.seconds += 10
        now.seconds += 2
    now.seconds += 100
    with watch.paused():  # of one that rests, which is not begun
        now.seconds += 100
    now.seconds += 100
    assert watch.seconds == 8


def test_pending_scalars_keep_their_steps_and_sizes_also_after_a_break() -> None:
    first, second = PendingScalars(), PendingScalars()
    assert not first
    first.add({"loss": torch.tensor(0.5, requires_grad=True), "accuracy": torch.tensor(0.25)}, 32)
    second.load_state_dict(first.state_dict(), torch.device("cpu"))
    second.add({"loss": torch.tensor(0.125), "accuracy": torch.tensor(1.0)}, 8)
    assert first and second
    expected = [(6, {"loss": 0.5, "accuracy": 0.25}, 32), (7, {"loss": 0.125, "accuracy": 1.0}, 8)]
    assert second.take(last_step=7) == expected
    assert not second and first.take(6) == expected[:1]
    second.load_state_dict(PendingScalars().state_dict(), torch.device("cpu"))
    assert not second
