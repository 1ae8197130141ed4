"""When a training is saved, by a clock that the test turns, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dlcourse.config.run_config import CheckpointConfig
from dlcourse.errors import DivergedError
from dlcourse.runs.find import checkpoints_of
from dlcourse.runs.folder import RunFolder
from dlcourse.runs.logger import Logger
from dlcourse.runs.saver import KEPT, Saver
from dlcourse.runs.weights import read_tensors

STEP_SECONDS = 10
"""A step of the training takes so long."""


def saved(folder: Path, config: CheckpointConfig, cost: float, steps: int = 60) -> tuple[list[int], float]:
    """The steps after which a training is saved where that takes `cost` seconds, and the seconds it took in all."""
    now, found = 0.0, []

    def slowly(*arguments: Any) -> int:
        nonlocal now
        now += cost
        return writes(*arguments)

    disk = checkpoints_of(RunFolder(folder))
    writes, disk.save = disk.save, slowly  # type: ignore[method-assign]
    with Logger(RunFolder(folder)) as logger:
        saver = Saver(disk, config, logger, folder / "none", {}, clock=lambda: now)
        for step in range(1, steps + 1):
            now += STEP_SECONDS
            if saver.is_due(step):
                saver.save(step, nn.Linear(1, 1), {})
                found.append(step)
        return found, saver.seconds


def test_saved_by_time_as_often_as_asked_for(tmp_path: Path) -> None:
    assert saved(tmp_path, CheckpointConfig(seconds=100), cost=1) == ([10, 20, 30, 40, 50, 60], 6)


def test_saved_by_time_less_often_where_it_would_take_more_than_three_percent(tmp_path: Path) -> None:
    steps, seconds = saved(tmp_path, CheckpointConfig(seconds=100), cost=5)
    assert steps == [10, 27, 44]  # 17 steps of training, 170 s, are the first for which 5 s are less than 3 %
    assert seconds == 15


def test_saved_by_steps_whatever_it_takes(tmp_path: Path) -> None:
    assert saved(tmp_path, CheckpointConfig(steps=20, seconds=None), cost=500) == ([20, 40, 60], 1500)


def test_saved_by_steps_and_by_time(tmp_path: Path) -> None:
    assert saved(tmp_path, CheckpointConfig(steps=25, seconds=200), cost=0)[0] == [20, 25, 45, 50]


def test_saved_neither_by_steps_nor_by_time(tmp_path: Path) -> None:
    assert saved(tmp_path, CheckpointConfig(seconds=None), cost=0)[0] == []


@pytest.mark.parametrize("name", ["weight", "running_mean"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused(name: str, value: float, tmp_path: Path) -> None:
    """As they become by an update from a finite loss and gradient; the checkpoint before stays the newest."""
    model = nn.BatchNorm1d(3)
    with Logger(RunFolder(tmp_path)) as logger:
        disk = checkpoints_of(RunFolder(tmp_path))
        saver = Saver(disk, CheckpointConfig(), logger, tmp_path / "none", {})
        saver.save(0, model, {})
        with torch.no_grad():
            model.state_dict()[name][1] = value
        with pytest.raises(DivergedError, match=f"the weights '{name}' became nan or infinite"):
            saver.save(1, model, {})
    assert [path.name for path in disk.folder.iterdir()] == ["step-00000000"]


def test_kept_weights_are_written_with_the_next_checkpoint(tmp_path: Path) -> None:
    model, kept = nn.Linear(1, 1), tmp_path / "kept"
    with Logger(RunFolder(tmp_path)) as logger:
        saver = Saver(checkpoints_of(RunFolder(tmp_path)), CheckpointConfig(), logger, kept, {})
        saver.keep_weights(model)
        best = model.weight.item()
        nn.init.zeros_(model.weight)
        assert not kept.exists()
        saver.save(1, model, {})
    assert read_tensors(kept)["weight"].item() == best
    assert (tmp_path / "checkpoints" / "step-00000001" / KEPT).samefile(kept)
