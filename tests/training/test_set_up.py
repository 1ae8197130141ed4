"""A run made ready: built, tried and described, with nothing written."""

from pathlib import Path

import pytest

from dlcourse.console import Console
from dlcourse.device import cpu
from dlcourse.training.set_up import set_up
from lab import composed


def test_it_names_the_task_and_describes_what_was_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["data=line", "model=linreg", "task=auto"]
    setup = set_up(composed(*words), words, cpu(threads=1), Console())
    assert setup.config.task.name == "regression" and setup.parameters == 2
    labels = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert labels == ["dlcourse", "data", "task", "model", "Linear"]
    assert list(tmp_path.iterdir()) == []
