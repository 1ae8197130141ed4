"""Recorded steps, where there is no CUDA device: all but the recording itself, which tests/test_cuda.py has."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dlcourse.config.run_config import RunConfig
from dlcourse.device import Device
from dlcourse.errors import ConfigError
from dlcourse.spec import Batch
from dlcourse.tasks.classification import Classification
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
    is_replaying = False

    def __init__(self, function: Callable[[Batch], Scalars], batch: Batch) -> None:
        self._function = function

    def replay(self, batch: Batch) -> Scalars:
        Called.count += 1
        Called.is_replaying = True
        try:
            return self._function(batch)
        finally:
            Called.is_replaying = False


@pytest.fixture(autouse=True)
def without_graphs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything of a CUDA device with graphs but the device."""
    monkeypatch.setattr(Device, "has_graphs", True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(cuda_graph, "_Recording", Called)
    monkeypatch.setattr(Called, "count", 0)
    monkeypatch.chdir(tmp_path)


def train_compiled(config: RunConfig, folder: str) -> None:
    """A run whose steps are to be recorded."""
    trainer = dataclasses.replace(config.trainer, compile=True)
    session.run(dataclasses.replace(config, trainer=trainer, run=dataclasses.replace(config.run, dir=folder)), [])


@pytest.mark.parametrize(
    "name", [name if name == "mlp" else pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES]
)
def test_a_trial_leaves_no_trace_and_steps_are_replayed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = family(name, Path(), Path())
    for folder in ("tried", "not"):
        train_compiled(config, folder)
        monkeypatch.setattr(cuda_graph, "_try", lambda task, data, config: None)
    assert Called.count > 10
    assert differences(Path("tried"), Path("not")) == []


@pytest.mark.parametrize("factors", [(0.0, 0.0), (1.0, -1.0), (1.0, math.nan)])
def test_a_recording_that_trains_otherwise_is_refused(
    factors: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    descend = Classification.descend

    def other(self: Classification, batch: Batch) -> Scalars:
        before = [parameter.detach().clone() for parameter in self.model.parameters()]
        scalars = descend(self, batch)
        if Called.is_replaying:
            factor = factors[Called.count - 1]
            with torch.no_grad():
                for parameter, start in zip(self.model.parameters(), before, strict=True):
                    parameter.copy_(start + factor * (parameter - start))
        return scalars

    monkeypatch.setattr(Classification, "descend", other)
    with pytest.raises(ConfigError, match=r"trains it otherwise than the step itself; write trainer\.compile=false"):
        train_compiled(family("mlp", Path(), Path()), "run")
    assert not Path("run").exists()
