"""Histograms: every number in its bin, and what TensorBoard reads back is what was counted."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dlcourse.files import FilePrefix
from dlcourse.runs.folder import RunFolder
from dlcourse.runs.histogram import Histogram
from dlcourse.runs.logger import Logger
from dlcourse.runs.metrics_log import METRICS, read_metrics


def test_numbers_are_counted_as_numpy_counts_them() -> None:
    values = torch.randn(1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = Histogram.of(values.reshape(10, 100))
    counts, edges = np.histogram(values.numpy(), bins=len(found.counts))
    assert found.counts == counts.tolist() and np.allclose(found.limits, edges[1:])
    assert (found.min, found.max) == (values.min().item(), values.max().item())
    assert np.allclose((found.sum, found.sum_squares), (values.sum(), (values**2).sum()))


def test_equal_numbers_none_and_those_that_are_not_finite() -> None:
    assert Histogram.of(torch.full((7,), 2.0)) == Histogram(2.0, 2.0, 14.0, 28.0, [7])
    assert Histogram.of(torch.tensor([])).counts == [0]
    assert sum(Histogram.of(torch.tensor([1.0, float("nan"), float("inf"), 2.0])).counts) == 2


def test_tensorboard_reads_back_what_was_logged(tmp_path: Path) -> None:
    found = Histogram.of(torch.arange(100.0))
    with RunFolder(tmp_path).locked() as folder, Logger(folder) as logger:
        logger.histograms("weights", 7, 2, {"layers.0": found})
    (record,) = map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines())
    assert (record["histogram"], record["step"], record["counts"]) == ("weights/layers.0", 7, found.counts)
    (events,) = tmp_path.glob("events.*")
    (event,) = EventAccumulator(str(events)).Reload().Histograms("weights/layers.0")
    value = event.histogram_value
    assert event.step == 7 and (value.min, value.max, value.num, value.sum) == (0, 99, 100, 4950)
    assert sum(value.bucket) == 100 and [n for n in value.bucket if n] == [n for n in found.counts if n]
    with RunFolder(tmp_path).locked() as folder, Logger(folder, FilePrefix.of((tmp_path / METRICS).read_bytes())):
        pass
    (again,) = tmp_path.glob("events.*")
    (event,) = EventAccumulator(str(again)).Reload().Histograms("weights/layers.0")
    assert event.step == 7 and event.histogram_value == value, "a run that is resumed shows it, too"


@pytest.mark.parametrize(
    "wrong",
    [
        {"counts": []},
        {"counts": None},
        {"counts": ["1"]},
        {"counts": [-1]},
        {"counts": [0.5]},
        {"min": "0"},
        {"max": None},
        {"histogram": 1},
        {"file": "x.png"},
    ],
)
def test_a_strangers_histogram_of_another_shape_is_not_read(wrong: dict, tmp_path: Path) -> None:
    record = {"step": 1, "epoch": 1, "time": 0.5, "histogram": "a/b", **asdict(Histogram.of(torch.arange(3.0)))}
    (tmp_path / METRICS).write_text(f"{json.dumps(record)}\n{json.dumps(record | wrong)}\n")
    assert list(read_metrics(tmp_path / METRICS)) == [record]
