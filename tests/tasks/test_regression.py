"""Regression on targets in any unit: what is learnt, what is reported, and what becomes of the targets' scale."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score
from torch import nn

from dlcourse.cli.main import main
from dlcourse.config.registry import Choice
from dlcourse.data.csv_file import CsvFile
from dlcourse.data.split import TensorSplit
from dlcourse.device import cpu
from dlcourse.models.cnn import CNN
from dlcourse.runs import resume, saver
from dlcourse.runs.find import checkpoints_of
from dlcourse.runs.folder import RunFolder
from dlcourse.spec import Batch, Data, DataSpec
from dlcourse.tasks import TASKS
from dlcourse.tasks.task import Task
from dlcourse.training.evaluate import evaluate
from lab import Lab, report

CEILING = 0.978
"""R^2 of the function that the prices are drawn from: the rest is noise."""


def write_houses(path: Path, *, unit: float = 1.0, rows: int = 1000) -> Path:
    """A table of houses whose prices are 301,000 +- 102,000, in units of `unit`."""
    random = np.random.default_rng(0)
    area, rooms = random.uniform(40, 220, rows), random.integers(1, 8, rows)
    age, distance = random.uniform(0, 90, rows), random.exponential(8, rows)
    worth = 1700 * area + 9000 * rooms - 900 * age - 4000 * distance + 5000 * np.sin(age / 12)
    worth = (worth - worth.mean()) / worth.std()
    noise = random.normal(size=rows)
    noise -= noise.mean() + worth * (worth @ noise) / rows
    prices = 301_000 + 102_000 * (CEILING**0.5 * worth + (1 - CEILING) ** 0.5 * noise / noise.std())
    lines = (
        f"{a:.1f},{r},{y:.1f},{d:.2f},{price / unit:.3f}\n"
        for a, r, y, d, price in zip(area, rooms, age, distance, prices, strict=True)
    )
    path.write_text("area,rooms,age,distance,price\n" + "".join(lines))
    return path


def words(path: Path, *more: str) -> list[str]:
    return ["data=csv", f"data.file={path}", "data.target=price", *more]


def arrays(split: TensorSplit) -> tuple[np.ndarray, np.ndarray]:
    return split.inputs.double().numpy(), split.targets.double().numpy()


def test_house_prices_are_learnt_with_the_defaults(lab: Lab) -> None:
    houses = write_houses(lab.folder / "houses.csv")
    data = CsvFile(file=str(houses), target="price").build(name="csv", seed=0)
    (inputs, targets), (test_inputs, test_targets) = arrays(data.train), arrays(data.test)
    assert (targets.mean(), targets.std()) == pytest.approx((301_000, 102_000), rel=0.02)
    reference = LinearRegression().fit(inputs, targets).score(test_inputs, test_targets)
    found = {model: report(lab.train(*words(houses), f"model={model}"))["test"]["r2"] for model in ("mlp", "linreg")}
    assert found["linreg"] == pytest.approx(reference, abs=0.002)
    assert 0.965 < found["mlp"] < 0.985


def test_all_numbers_are_in_the_units_of_the_targets(lab: Lab) -> None:
    houses = write_houses(lab.folder / "houses.csv", rows=200)
    run = lab.train(*words(houses), "model=linreg", "features=none", "optimizer.lr=1e-5", "trainer.epochs=3")
    weights = {name: tensor.double().numpy() for name, tensor in load_file(run / "weights.safetensors").items()}
    data = CsvFile(file=str(houses), target="price").build(name="csv", seed=0)
    inputs, targets = arrays(data.test)
    predicted = (inputs @ weights["linear.weight"].T + weights["linear.bias"]) * weights["target_std"]
    predicted += weights["target_mean"]
    test = report(run)["test"]
    assert test["mse"] == pytest.approx(mean_squared_error(targets, predicted), rel=1e-4)
    assert test["loss"] == pytest.approx(test["mse"], rel=1e-9)
    assert test["mae"] == pytest.approx(mean_absolute_error(targets, predicted), rel=1e-4)
    assert test["r2"] == pytest.approx(r2_score(targets, predicted), abs=1e-4)
    formula = next(line for line in lab.out.splitlines() if " area " in line).replace("+ ", "+").replace("- ", "-")
    *slopes, intercept = (float(word) for word in formula.split() if re.match(r"[+-]?\d", word))
    assert inputs @ slopes + intercept == pytest.approx(predicted[:, 0], rel=1e-3)
    training = [record["train/loss"] for record in records(run) if "train/loss" in record]
    assert all(1e9 < loss < 1e11 for loss in training)


def records(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(("loss", "power"), [("mse", 2), ("mae", 1), ("huber", 2)])
def test_the_unit_changes_nothing_but_the_numbers_reported(lab: Lab, loss: str, power: int) -> None:
    runs = []
    for unit in (1.0, 1 / 1024):  # a power of two, so that float32 changes no digit
        houses = write_houses(lab.folder / f"{loss}{unit}.csv", unit=1.0, rows=80)
        scaled = re.sub(
            r"[\d.]+$", lambda cell, unit=unit: repr(round(float(cell[0])) / unit), houses.read_text(), flags=re.M
        )
        houses.write_text(scaled)
        runs.append(
            lab.train(*words(houses), "model.hidden=[8]", "trainer.epochs=3", "task=regression", f"task.loss={loss}")
        )
    small, large = (load_file(run / "weights.safetensors") for run in runs)
    for name in small:
        assert torch.equal(large[name], (1024 if name.startswith("target_") else 1) * small[name]), name
    tests = [report(run) for run in runs]
    for part in ("train", "val", "test"):
        assert tests[1][part]["loss"] == pytest.approx(1024**power * tests[0][part]["loss"], rel=1e-6)
    assert tests[1]["test"]["r2"] == pytest.approx(tests[0]["test"]["r2"])


def test_targets_may_be_left_as_they_are(lab: Lab) -> None:
    run = lab.train("data=line", "data.size=60", "model=linreg", "task.standardize=false", "trainer.epochs=1")
    assert set(load_file(run / "weights.safetensors")) == {"linear.weight", "linear.bias"}


def test_targets_that_do_not_vary(lab: Lab) -> None:
    table = lab.folder / "flat.csv"
    table.write_text("x,price\n" + "".join(f"{i},0.1\n" for i in range(60)))
    found = report(lab.train(*words(table, "data.kind=value"), "model=linreg", "trainer.epochs=1"))
    assert found["test"]["r2"] == 0.0
    assert found["test"]["mse"] < 1e-12


VALUES = DataSpec("two", (3,), 2, "value")


def regression(targets: torch.Tensor, **options: object) -> tuple[Task, TensorSplit, nn.Module]:
    torch.manual_seed(0)
    model = nn.Linear(3, targets.shape[1])
    task = TASKS.build(Choice("regression", options), model=model, spec=VALUES, device=cpu())
    split = TensorSplit(torch.randn(len(targets), 3), targets)
    task.prepare(Data(VALUES, split, split, split))
    return task, split, model


def test_outputs_of_different_units_count_alike_in_training_and_say_how_r2_averages() -> None:
    targets = torch.randn(50, 2, generator=torch.Generator().manual_seed(1)) * torch.tensor([1.0, 1000.0]) + 5
    task, split, model = regression(targets)
    losses = task.losses(Batch(split.inputs, targets))
    standardized = (targets - targets.mean(0)) / targets.std(0, correction=0)
    torch.testing.assert_close(losses["objective"], nn.functional.mse_loss(model(split.inputs), standardized))
    predicted = (model(split.inputs) * targets.std(0, correction=0) + targets.mean(0)).detach()
    torch.testing.assert_close(losses["loss"], nn.functional.mse_loss(predicted, targets))
    found = evaluate(task, split, 7, full=True)
    assert found.scalars["r2"] == pytest.approx(r2_score(targets, predicted, multioutput="variance_weighted"), abs=1e-5)
    assert found.headline.endswith(" (of all 2 outputs, weighted by their variance)")


def test_another_runs_weights_come_without_the_scale_of_its_targets(lab: Lab) -> None:
    euros, cents = (write_houses(lab.folder / f"{unit}.csv", unit=unit) for unit in (1.0, 0.01))
    source = lab.train(*words(euros), "model=linreg", "trainer.epochs=5")
    run = lab.train(*words(cents), "model=linreg", "trainer.epochs=1", "optimizer.lr=1e-6", f"init_from={source}")
    assert "start  4 of 4 tensors from " in lab.out
    assert "; targets are standardized by this run's own training set\n" in lab.out
    assert float(load_file(run / "weights.safetensors")["target_mean"]) == pytest.approx(30_100_000, rel=0.02)
    assert report(run)["test"]["r2"] == pytest.approx(report(source)["test"]["r2"], abs=0.01)
    plain = lab.train(
        *words(euros),
        "model=linreg",
        "trainer.epochs=1",
        f"init_from={source}",
        "task=regression",
        "task.standardize=false",
    )
    lab.train(*words(euros), "model=linreg", "trainer.epochs=1", f"init_from={plain}")
    assert "start  4 of 4 tensors from " in lab.out and "; targets" not in lab.out


def test_a_run_from_before_targets_were_standardized_goes_on_as_it_began(lab: Lab) -> None:
    run = lab.train("data=line", "data.size=60", "model=linreg", "task.standardize=false", "trainer.epochs=2")
    kept = checkpoints_of(RunFolder(run))
    checkpoint, _ = kept.newest()
    about = resume.about(checkpoint)
    del about["config"]["task"]["standardize"]
    saver.save_again(checkpoint, kept, about)
    assert main(["resume", str(run), "trainer.epochs=4"]) == 0
    assert set(load_file(run / "weights.safetensors")) == {"linear.weight", "linear.bias"}
    assert report(run)["epochs"] == 4


def test_a_cnn_shows_its_filters() -> None:
    spec = DataSpec("angles", (1, 8, 8), 1, "value", pixel_mean=(0.0,), pixel_std=(1.0,))
    model = CNN(spec, channels=(3,), head=())
    split = TensorSplit(torch.randn(6, 1, 8, 8), torch.randn(6, 1))
    task = TASKS.build(Choice("regression"), model=model, spec=spec, device=cpu())
    weights = evaluate(task, split, 6, full=True).pictures["filters"].weights
    assert np.array_equal(weights, model.blocks[0].weight.detach())
