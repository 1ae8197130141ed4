import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from dlcourse.config.run_config import TrainerConfig
from dlcourse.console import Console, format_metric, format_seconds
from dlcourse.data.split import TensorSplit
from dlcourse.device import cpu
from dlcourse.errors import DivergedError
from dlcourse.metrics.report import Report
from dlcourse.runs.find import checkpoints_of
from dlcourse.runs.folder import RunFolder
from dlcourse.runs.logger import Logger
from dlcourse.runs.saver import Saver
from dlcourse.signals import Stop
from dlcourse.spec import Batch, Data, DataSpec
from dlcourse.tasks.classification import Classification
from dlcourse.training import meters
from dlcourse.training.evaluate import evaluate, steps_per_epoch
from dlcourse.training.history import History
from dlcourse.training.length import Epochs, Length, TimeBudget
from dlcourse.training.progress import Progress
from dlcourse.training.trainer import Trainer
from plain_sgd import plain_sgd

SPEC = DataSpec("toy", (4,), 2, "class", ("no", "yes"))


def make_data(size: int = 64) -> Data:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(3 * size, 4, generator=generator)
    targets = (inputs.sum(1) > 0).long()
    train, val, test = (
        TensorSplit(inputs[start : start + size], targets[start : start + size], seed=3)
        for start in (0, size, 2 * size)
    )
    return Data(SPEC, train, val, test)


def fit(
    folder: Path,
    lr: float = 0.1,
    data: Data | None = None,
    make_task: type[Classification] = Classification,
    length: Length | None = None,
    **options: object,
) -> tuple[History, nn.Module]:
    """Train a small network with dropout; returns its history and itself."""
    folder.mkdir()
    config = TrainerConfig(**({"epochs": 4, "batch_size": 16, "eval_batch_size": 10} | options))
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 2))
    task = make_task(model, SPEC, cpu(), top_k=1)
    task.start(plain_sgd(lr))
    length = length or Epochs(config.epochs, steps=0)
    with Logger(RunFolder(folder)) as logger, Stop() as stop:
        saver = Saver(checkpoints_of(RunFolder(folder)), config.checkpoint, logger, folder / "w.safetensors", {})
        progress = Progress(Console(quiet=True), task, config, length)
        trainer = Trainer(
            task,
            data or make_data(),
            config,
            length=length,
            logger=logger,
            saver=saver,
            progress=progress,
            stop=stop,
        )
        return trainer.fit(), model


def records(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def weights(model: nn.Module) -> list[torch.Tensor]:
    return [parameter.detach() for parameter in model.parameters()]


def test_the_same_seed_gives_the_same_bits_whatever_is_logged_and_measured(tmp_path: Path) -> None:
    _, first = fit(tmp_path / "a", weights="last")
    _, again = fit(tmp_path / "b", weights="last")
    _, quiet = fit(tmp_path / "c", weights="last", log_every=7, eval_every=3)
    for other in (again, quiet):
        assert all(torch.equal(x, y) for x, y in zip(weights(first), weights(other), strict=True))


def test_evaluating_leaves_the_random_state_and_the_mode_alone() -> None:
    model = nn.Sequential(nn.Linear(4, 2), nn.Dropout(0.5))
    task = Classification(model, SPEC, cpu())
    before = torch.random.get_rng_state()
    first = evaluate(task, make_data().val, 10).scalars
    assert torch.equal(torch.random.get_rng_state(), before)
    assert model.training
    assert evaluate(task, make_data().val, 64).scalars == pytest.approx(first)


def test_the_best_epoch_on_validation_is_kept_or_the_last(tmp_path: Path) -> None:
    history, model = fit(tmp_path / "best", lr=3.0, epochs=8)
    accuracies = history.series["val/accuracy"]
    assert history.kept_epoch == 1 + accuracies.index(max(accuracies))
    task = Classification(model, SPEC, cpu())
    assert evaluate(task, make_data().val, 10).scalars["accuracy"] == max(accuracies)
    assert fit(tmp_path / "last", lr=3.0, epochs=8, weights="last")[0].kept_epoch == 8


def test_patience_ends_a_training_without_improvement(tmp_path: Path) -> None:
    history, _ = fit(tmp_path / "run", lr=1e-9, epochs=50, patience=3)
    assert history.epochs[-1] == 4


def test_epoch_means_are_over_examples_not_batches(tmp_path: Path) -> None:
    history, _ = fit(tmp_path / "run", epochs=1, batch_size=40, lr=1e-12, log_every=1)
    steps = [record["train/accuracy"] for record in records(tmp_path / "run") if "train/accuracy" in record]
    assert len(steps) == 2
    expected = (40 * steps[0] + 24 * steps[1]) / 64
    assert history.series["train/accuracy"][0] == pytest.approx(expected)


def test_a_last_batch_of_one_joins_the_one_before(tmp_path: Path) -> None:
    data = make_data(65)
    sizes = [len(batch.targets) for batch in data.train.batches(16, epoch=1)]
    assert sizes == [16, 16, 16, 17]
    assert steps_per_epoch(TrainerConfig(batch_size=16), data) == 4
    assert steps_per_epoch(TrainerConfig(batch_size="full"), data) == 1


def test_divergence_names_step_and_rate(tmp_path: Path) -> None:
    data = make_data()
    with pytest.raises(DivergedError, match=r"the loss became (nan|inf) at step \d+ \(epoch \d+, lr 1e\+30\)$"):
        fit(tmp_path / "run", lr=1e30, data=data)


def test_the_time_of_an_evaluation_in_an_epoch_is_not_that_of_its_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]

    class Slow(Classification):
        def train_step(self, batch: Batch) -> dict[str, torch.Tensor]:
            now[0] += 0.125
            return super().train_step(batch)

        def evaluate(self, *arguments: Any, **named: Any) -> Report:
            now[0] += 2
            return super().evaluate(*arguments, **named)

    monkeypatch.setattr(meters, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    budget = TimeBudget(10, lambda: now[0])
    history, _ = fit(tmp_path / "run", make_task=Slow, length=budget, batch_size=1, time="10s")
    assert now == [10] and history.epochs == [1], "evaluated once in the epoch, and at its end"
    assert history.train_seconds == 6 and history.samples_per_second == 8


def nan_at(wrong: int) -> type[Classification]:
    """A task whose device must not be read at each step, and whose loss turns NaN at a batch."""

    class Late(Classification):
        measured_in_training = False
        steps = 0

        def train_step(self, batch: Batch) -> dict[str, torch.Tensor]:
            self.steps += 1
            return {"loss": torch.tensor(float("nan") if self.steps == wrong else 1.0)}

    return Late


def test_divergence_is_found_later_but_as_exactly_where_reading_is_not_free(tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match=r"at step 6 \(epoch 2, lr 0\.5\)"):
        fit(tmp_path / "run", lr=0.5, make_task=nan_at(6))


@pytest.mark.parametrize(("accumulate", "untouched"), [(1, False), (2, True)])
def test_divergence_says_whether_the_weights_had_changed(accumulate: int, untouched: bool, tmp_path: Path) -> None:
    with pytest.raises(DivergedError) as caught:
        fit(tmp_path / "run", make_task=nan_at(2), accumulate=accumulate)
    assert caught.value.in_first_step is untouched


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [("val/accuracy", 0.97914, "97.91 %"), ("top3", 1, "100.00 %"), ("loss", 0.5, "0.5000"), ("mse", 2900.4, "2900")],
)
def test_metrics_are_written_as_their_kind_is_read(name: str, value: float, text: str) -> None:
    assert format_metric(name, value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0123, "12.3 ms"), (4.04, "4.0 s"), (18.2, "18 s"), (200, "3 min 20 s")]
)
def test_durations_are_written_as_people_say_them(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text
