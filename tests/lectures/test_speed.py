"""Figures about time: slopes of known laws, operations in a row by hand, a row for each setting of this machine."""

from pathlib import Path

import pytest
import torch
from torch import nn

from dlcourse.lectures import speed
from dlcourse.lectures.finished import Finished
from dlcourse.lectures.speed import hardware, parallel, slope
from lab import Lab


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_the_slope_of_a_power_is_its_exponent(power: float) -> None:
    assert slope([1, 2, 8, 64], [3 * x**power for x in (1, 2, 8, 64)]) == pytest.approx(power)


class Chain(nn.Module):
    """So many products one after the other, and as many that need not wait for each other."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.weight, self.count = nn.Parameter(torch.ones(1)), count

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        for _ in range(self.count):
            inputs = inputs * self.weight
        return inputs + sum(self.weight * number for number in range(2))


def test_operations_in_a_row_are_those_that_wait_for_each_other() -> None:
    few, many = (speed._depth(Chain(count), torch.ones(1)) for count in (3, 3000))
    assert many - few == 2997


def test_a_recurrent_network_waits_and_a_transformer_does_not() -> None:
    report = parallel([], longest=64, width=8, seconds=0.001)
    assert report.scalars["gru depth slope"] == pytest.approx(1, abs=0.05)
    assert report.scalars["transformer depth slope"] == 0
    assert len(report.pictures["parallel"].draw().axes) == 2


@pytest.mark.slow
def test_each_setting_of_the_machine_has_its_row_and_each_model_its_line(lab: Lab) -> None:
    words = ("data=digits", "trainer.epochs=1", "report=light", "model=mlp")
    made = [("data.subset=60", "model.hidden=[]"), ("data.subset=500", "model.hidden=[]"), ("data.subset=60",)]
    runs = [Finished("", lab.folder / Path(str(lab.train(*words, *own)))) for own in made]
    threads = torch.get_num_threads()
    report = hardware([runs[0], *runs], batches=(4, 16), seconds=0.001)
    assert torch.get_num_threads() == threads
    rows = report.tables["hardware"][1:]
    assert len(rows) == report.scalars["settings"] >= 2 and report.scalars["slowest"] > 0
    assert {"1 thread, 4", "1 thread, 16"} <= {row[0] for row in rows}
    accuracy = [run.numbers()["test/accuracy"] for run in runs]
    assert [report.scalars[f"1 layer, {name}"] for name in ("fewest", "most")] == accuracy[:2]
    assert report.scalars["3 layers, fewest"] == report.scalars["3 layers, most"] == accuracy[2]
    assert report.scalars["1 layer, rises"] == float(accuracy[1] > accuracy[0])
    assert list(report.pictures) == ["hardware"]
