"""Recorded steps, where there is no CUDA device: all but the recording itself, which tests/test_cuda.py has."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dlcourse.device import Device
from dlcourse.spec import Batch
from dlcourse.tasks.task import Scalars
from dlcourse.training import cuda_graph, session
from torture.families import NAMES, family
from torture.same import differences

_NOT_HERE = (
    *("transfer", "accumulate", "gaussian", "wasserstein", "patience", "frozen", "polynomial"),
    *("dqn", "table", "actor_critic"),
)
"""Families with trainer.accumulate, which has steps of two kinds, with optimizers that only record on an accelerator, and
those that play games, of which the processor decides when one begins anew."""
FAMILIES = [name for name in NAMES if name not in _NOT_HERE]


class Called:
    """Stands in for a recording: calls the function."""

    count = 0

    def __init__(self, function: Callable[[Batch], Scalars], batch: Batch) -> None:
        self._function = function

    def replay(self, batch: Batch) -> Scalars:
        Called.count += 1
        return self._function(batch)


@pytest.mark.parametrize(
    "name", [name if name in ("mlp", "gan") else pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES]
)
def test_a_trial_leaves_no_trace_and_steps_are_replayed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Device, "has_graphs", True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(cuda_graph, "_Recording", Called)
    monkeypatch.setattr(Called, "count", 0)
    monkeypatch.chdir(tmp_path)
    config = family(name, Path(), Path())
    trainer = dataclasses.replace(config.trainer, compile=True)
    for folder in ("tried", "not"):
        run = dataclasses.replace(config.run, dir=folder)
        session.run(dataclasses.replace(config, trainer=trainer, run=run), [])
        monkeypatch.setattr(cuda_graph, "_try", lambda task, data, config: None)
    assert Called.count > 10
    assert differences(Path("tried"), Path("not")) == []
