"""What torch says of wrong criteria, and what train(), eval() and zero_grad() change."""

from pathlib import Path

import pytest
import torch
from torch import nn

from dlcourse.lectures.criterion import criterion
from short_runs import finished


def test_errors_modes_and_gradients_of_a_network_with_dropout(tmp_path: Path) -> None:
    run = finished(tmp_path / "run", "data=iris model=mlp model.hidden=[8] model.dropout=0.5 trainer.epochs=2")
    report = criterion([run], passes=5)
    assert report.scalars["errors"] == 3
    with pytest.raises(RuntimeError) as refused:
        nn.CrossEntropyLoss()(torch.zeros(4, 10), torch.arange(4).float())
    assert f"RuntimeError: {refused.value}" in report.texts["errors"], "word by word"
    assert report.scalars["broadcast loss"] == 2.5 and report.scalars["meant loss"] == 0
    assert report.scalars["different answers in eval mode"] == 0
    assert report.scalars["different answers in train mode"] > 0
    assert report.scalars["gradient after two passes"] == pytest.approx(2)
    assert report.scalars["gradient after two passes with zero_grad"] == pytest.approx(1)
