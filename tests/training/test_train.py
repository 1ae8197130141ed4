"""Whole runs of the real command: what they print, leave behind and reach."""

import json
import os
import re
import subprocess
import sys
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import StandardScaler
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dlcourse.config.registry import Choice
from dlcourse.config.run_config import RunConfig
from dlcourse.data import DATASETS
from dlcourse.models.features import FEATURES
from dlcourse.optim.optimizers import OPTIMIZERS
from dlcourse.optim.schedules import SCHEDULERS
from dlcourse.plots import Captioned, DecisionBoundary, LearningCurve, to_image
from lab import Lab, only, report


@pytest.mark.usefixtures("with_pictures")
def test_a_run_leaves_everything_a_reader_needs(lab: Lab) -> None:
    run = lab.train("model=mlp", "data=digits", "trainer.epochs=2", "model.hidden=[16]")
    assert run.parent == lab.folder / "outputs" / "digits-mlp"
    names = {path.name for path in run.iterdir() if not path.name.startswith("events.")}
    assert names == {
        *("config.yaml", "overrides.yaml", "environment.json", "model.txt", "run.json", "metrics.jsonl"),
        *("report.json", "report.txt", "spec.json", "weights.safetensors", "checkpoints", ".lock"),
        *("predictions.csv", "confusion_matrix.csv", "confusion_matrix.png", "mistakes.png", "learning_curve.png"),
        *("roc_pr.png", "calibration.png"),
    }
    assert json.loads((run / "run.json").read_text())["status"] == "done"
    words = ["model=mlp", "data=digits", "trainer.epochs=2", "model.hidden=[16]"]
    assert yaml.safe_load((run / "overrides.yaml").read_text()) == words
    config = RunConfig.from_mapping(yaml.safe_load((run / "config.yaml").read_text()))
    assert config.model.options["hidden"] == [16]
    found = report(run)
    counts = np.array(found["confusion_matrix"])
    assert counts.sum() == found["data"]["test"] == 359
    assert counts.trace() / counts.sum() == pytest.approx(found["test"]["accuracy"])
    csv = np.loadtxt(run / "confusion_matrix.csv", delimiter=",", skiprows=1, usecols=range(1, 11), dtype=int)
    assert (csv == counts).all()
    low, high = found["accuracy_interval"]
    text = (run / "report.txt").read_text()
    assert low < found["test"]["accuracy"] < high
    assert re.search(rf"^accuracy +{100 * found['test']['accuracy']:.2f} %   95 % interval ", text, re.MULTILINE)


def test_the_console_tells_the_run_from_first_to_last_line(lab: Lab) -> None:
    run = lab.train("data=digits", "trainer.epochs=2")
    lines = lab.out.splitlines()
    assert lines[0].startswith("dlcourse train   mlp on digits   adam lr 0.001 cosine   cpu, ")
    assert lines[1] == "data   1,294 train / 144 val / 359 test   1x8x8   10 classes"
    assert lines[2] == "model  mlp   50,826 parameters"
    assert [line.split()[0] for line in lines[6:]][:4] == ["run", "epoch", "1", "2"]
    assert lines[-1] == f"look   dlcourse tensorboard {run.parent.relative_to(lab.folder)}"
    assert "\r" not in lab.out + lab.err
    assert lab.err == ""


@pytest.mark.parametrize("weights", ["best", "last"])
def test_all_numbers_of_a_report_are_of_the_epoch_that_is_kept(lab: Lab, weights: str) -> None:
    """At a rate far too high, so that the best epoch is not the last; an epoch is logged as a whole."""
    words = ["data=digits", "model=softmax", "optimizer=sgd", "optimizer.lr=20", "scheduler=constant"]
    run = lab.train(*words, "trainer.epochs=6", "trainer.log_every=1000", f"trainer.weights={weights}", "report=light")
    found, records = report(run), [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    kept = found["kept_epoch"]
    assert (kept == 6) == (weights == "last")
    for split in ("train", "val"):
        (logged,) = (record for record in records if record["epoch"] == kept and f"{split}/loss" in record)
        assert {f"{split}/{name}": value for name, value in found[split].items()}.items() <= logged.items()
    train, val = (f"{100 * found[split]['accuracy']:.2f} %" for split in ("train", "val"))
    text = (run / "report.txt").read_text()
    assert re.search(rf"^accuracy +{train} +{val} +\d", text, re.MULTILINE)
    assert f"training: while training in epoch {kept}; validation and test: {weights} epoch {kept}\n" in text
    assert re.search(rf"^ +{kept} .* {train} / +{val} ", lab.out, re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "metric"),
    [
        (["model=softmax"], "accuracy: train / val"),
        (["model=vae", "model.hidden=[8]"], "kl: train / val"),
        (["data=ring", "data.size=120", "model=gan", "model.hidden=[8]", "task.samples=20"], "energy_distance: val"),
    ],
)
def test_a_row_of_the_console_fits_a_terminal(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, words: list[str], metric: str
) -> None:
    clock = count(0.0, 1000.0)  # every epoch takes many minutes
    monkeypatch.setattr("dlcourse.training.meters.time", SimpleNamespace(perf_counter=lambda: next(clock)))
    data = [] if words[0].startswith("data=") else ["data=digits", "data.subset=100"]
    lab.train(*data, *words, "trainer.epochs=2", "optimizer.lr=1.234e-5", "report=light")
    head, *rows = (line for line in lab.out.splitlines() if re.match("epoch|    [12] ", line))
    assert re.fullmatch(rf"epoch +loss: train / val +{metric} +lr +time", head)
    assert len(rows) == 2 and all(len(row) <= 80 for row in (head, *rows))
    assert all(row.count("/") == head.count("/") for row in rows)
    assert rows[0].endswith("best")


@pytest.mark.usefixtures("with_pictures")
def test_tensorboard_shows_what_metrics_jsonl_says(lab: Lab) -> None:
    run = lab.train("data=digits", "trainer.epochs=3", "trainer.log_every=7")
    events = EventAccumulator(str(run), {"scalars": 0, "images": 0, "tensors": 0}).Reload()
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    tags = {name for record in records for name in record if "/" in name}
    assert {"train/loss", "train/accuracy", "val/loss", "val/accuracy", "optim/lr", "test/accuracy"} <= tags
    assert "time/samples_per_second" in tags
    for tag in tags:
        written = [(record["step"], record[tag]) for record in records if tag in record]
        shown = [(event.step, event.value) for event in events.Scalars(tag)]
        assert [step for step, _ in shown] == [step for step, _ in written]
        assert [value for _, value in shown] == pytest.approx([value for _, value in written], rel=1e-5)
    pictures = {f"test/{name}" for name in ("confusion_matrix", "mistakes", "roc_pr", "calibration")}
    assert pictures | {"learning_curve"} == set(events.Tags()["images"])
    assert {"command/text_summary", "config/text_summary"} <= set(events.Tags()["tensors"])
    assert "_hparams_/session_start_info" in events.summary_metadata
    assert len(list(run.rglob("events.*"))) == 1


def test_the_same_seed_gives_the_same_bits_whatever_is_logged(lab: Lab) -> None:
    words = ["data=glyphs", "data.train_size=600", "data.test_size=50", "model=cnn", "model.channels=[4]"]
    words += [
        "data.augment.rotation=10",
        "data.augment.crop=2",
        "trainer.epochs=2",
        "trainer.weights=last",
        "report=light",
    ]
    first = load_file(lab.train(*words) / "weights.safetensors")
    again = load_file(lab.train(*words) / "weights.safetensors")
    quiet = load_file(lab.train(*words, "trainer.log_every=3", "trainer.eval_every=2") / "weights.safetensors")
    other = load_file(lab.train(*words, "seed=1") / "weights.safetensors")
    for name, tensor in first.items():
        assert torch.equal(tensor, again[name])
        assert torch.equal(tensor, quiet[name])
    assert not torch.equal(first["head.5.weight"], other["head.5.weight"])


LONG = ["trainer.epochs=20000", "trainer.eval_every=20000", "trainer.log_every=20000"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("line", ["experiment=linreg_line"]),
        pytest.param(
            "diabetes",
            ["model=linreg", "data=diabetes", "trainer=full_batch", "optimizer=momentum", *LONG],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_linear_regression_reaches_the_closed_form(lab: Lab, data: str, words: list[str]) -> None:
    run = lab.train(*words)
    train = DATASETS.build(Choice(data)).build(name=data, seed=0).train
    inputs, targets = train.inputs.double().numpy(), train.targets.double().numpy()
    if data == "diabetes":
        inputs = StandardScaler().fit_transform(inputs)
    design = np.column_stack([inputs, np.ones(len(inputs))])
    expected = np.linalg.lstsq(design, targets, rcond=None)[0][:, 0]
    weights = {name: tensor.double() for name, tensor in load_file(run / "weights.safetensors").items()}
    prefix = "model." if data == "diabetes" else ""
    mean, std = float(weights["target_mean"]), float(weights["target_std"])
    assert (mean, std) == pytest.approx((targets.mean(), targets.std()), rel=1e-6)
    weight, bias = weights[f"{prefix}linear.weight"], weights[f"{prefix}linear.bias"]
    found = [*(std * weight[0]).tolist(), std * float(bias[0]) + mean]
    # float32 carries seven digits of the largest number, here the intercept of 152
    assert found == pytest.approx(expected, abs=1e-4 if data == "line" else 1e-3)


@pytest.mark.slow
def test_logistic_regression_agrees_with_scikit_learn(lab: Lab) -> None:
    data = DATASETS.build(Choice("breast_cancer")).build(name="breast_cancer", seed=0)
    scaler = StandardScaler().fit(data.train.inputs)
    train, test = scaler.transform(data.train.inputs), scaler.transform(data.test.inputs)
    reference = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(train, data.train.targets)
    expected = accuracy_score(data.test.targets, reference.predict(test))
    # Mean loss + lambda/2 |w|^2 is scikit-learn's C * sum of losses + 1/2 |w|^2 for lambda = 1 / (C * n).
    run = lab.train("experiment=logreg_breast_cancer", f"optimizer.weight_decay={1 / len(train)!r}", "report=light")
    assert report(run)["test"]["accuracy"] == pytest.approx(expected, abs=0.01)
    weights = load_file(run / "weights.safetensors")
    assert weights["model.linear.weight"][0].tolist() == pytest.approx(reference.coef_[0], abs=1e-2)
    assert float(weights["model.linear.bias"]) == pytest.approx(reference.intercept_[0], abs=1e-2)
    plain = report(lab.train("model=logreg", "data=breast_cancer", "report=light"))
    assert plain["test"]["accuracy"] >= expected - 0.01


def test_a_batch_larger_than_the_training_set_is_the_training_set(lab: Lab) -> None:
    words = ["data=iris", "model.hidden=[4]", "trainer.epochs=3", "report=light"]
    whole = lab.train(*words, "trainer.batch_size=full")
    assert "note" not in lab.out
    larger = lab.train(*words, "trainer.batch_size=5000")
    assert (
        "\nnote   trainer.batch_size=5000 is larger than the training set: each batch holds all 108 examples\n"
        in lab.out
    )
    assert report(larger)["steps"] == 3
    assert (larger / "weights.safetensors").read_bytes() == (whole / "weights.safetensors").read_bytes()


def test_polynomial_features_bend_the_boundary(lab: Lab, drawn: list) -> None:
    straight = report(lab.train("model=logreg", "data=circles", "report=light"))
    drawn.clear()
    run = lab.train("model=logreg", "data=circles", "features=polynomial")
    assert straight["test"]["accuracy"] < 0.7
    assert report(run)["test"]["accuracy"] > 0.95
    picture = only(DecisionBoundary, drawn)
    radii = np.linalg.norm(picture.points, axis=1)
    between = np.mean([radii[picture.labels == label].mean() for label in (0, 1)])
    is_inside = np.hypot(*np.meshgrid(picture.grid_x, picture.grid_y)) < between
    inner = picture.labels[radii.argmin()]
    assert (is_inside == (picture.probabilities.argmax(-1) == inner)).mean() > 0.9


@pytest.mark.slow
def test_pictures_say_model_data_and_set_and_the_curves_mark_the_epoch_that_is_kept(lab: Lab, drawn: list) -> None:
    words = ["model=logreg", "data=moons", "optimizer.lr=3", "trainer.epochs=6"]
    for weights in ("last", "best"):
        drawn.clear()
        run = lab.train(*words, f"trainer.weights={weights}")
        found = report(run)
        assert found["best_epoch"] < 6, "what this test rests on"
        kept = 6 if weights == "last" else found["best_epoch"]
        curve = only(LearningCurve, drawn)
        assert (curve.kept_epoch, curve.kept_as) == (kept, weights)
        captions = {type(picture).__name__: caption for picture, caption in drawn}
        assert captions == {
            "ConfusionMatrix": "logreg on moons, test set",
            "DecisionBoundary": "logreg on moons, test set",
            "RankingCurves": "logreg on moons, test set",
            "ReliabilityDiagram": "logreg on moons, test set",
            "LearningCurve": "logreg on moons",
        }
        with Image.open(run / "learning_curve.png") as png:
            assert np.array_equal(np.asarray(png), to_image(Captioned(curve, "logreg on moons")))
        records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        (selected,) = (record for record in records if "selected/loss" in record)
        (measured,) = (record for record in records if "val/loss" in record and record["epoch"] == kept)
        assert selected["epoch"] == kept and selected["selected/loss"] == measured["val/loss"]
        assert {record["picture"] for record in records if "picture" in record} == {
            *("test/confusion_matrix", "test/decision_boundary", "learning_curve"),
            *("test/roc_pr", "test/calibration"),
        }


def test_augmentation_subset_classes_and_noise_work_together(lab: Lab) -> None:
    words = ["model=softmax", "data=shapes", "data.classes=[star,circle]", "data.subset=200", "data.label_noise=0.5"]
    found = report(lab.train(*words, "data.resize=16", "data.augment.flip=true", "trainer.epochs=1", "report=light"))
    assert found["data"]["train"] + found["data"]["val"] == 200
    assert set(found["classes"]) == {"star", "circle"}


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_every_optimizer_learns(lab: Lab, optimizer: str) -> None:
    found = report(
        lab.train("model=softmax", "data=digits", f"optimizer={optimizer}", "trainer.epochs=3", "report=light")
    )
    assert found["test"]["accuracy"] > 0.6


@pytest.mark.parametrize("scheduler", list(SCHEDULERS))
def test_every_scheduler_learns(lab: Lab, scheduler: str) -> None:
    found = report(lab.train("data=digits", f"scheduler={scheduler}", "trainer.epochs=3", "report=light"))
    assert found["test"]["accuracy"] > 0.6


@pytest.mark.parametrize("features", list(FEATURES))
def test_every_feature_map_trains(lab: Lab, features: str) -> None:
    assert report(lab.train("data=wine", f"features={features}", "trainer.epochs=1", "report=light"))["epochs"] == 1


@pytest.mark.slow
def test_an_experiment_is_the_worked_script(lab: Lab, real_data: Path) -> None:
    words = ["experiment=lecture_cnn48", f"data.root={real_data}", "data.subset=200", "trainer.epochs=1"]
    run = lab.train(*words, "trainer.eval_batch_size=100")
    assert "model  cnn   9,536,074 parameters" in lab.out
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert (config["data"]["resize"], config["data"]["rgb"]) == (48, True)
    assert config["data"]["augment"]["rotation"] == 10
    assert config["data"]["augment"]["brightness"] > 0
    assert (config["optimizer"]["name"], config["optimizer"]["lr"]) == ("adam", 1e-3)
    assert config["optimizer"]["weight_decay"] == 1e-4
    assert config["scheduler"]["name"] == "constant"
    assert (config["trainer"]["batch_size"], config["model"]["head"]) == (64, [512])
    assert config["model"]["dropout"] == 0.5


def test_memorizing_keeps_the_last_weights(lab: Lab) -> None:
    found = report(lab.train("experiment=memorize", "trainer.epochs=40"))
    assert found["best_epoch"] < found["kept_epoch"] == 40
    assert found["train"]["accuracy"] > 0.95
    assert max(found["val"]["accuracy"], found["test"]["accuracy"]) < 0.25


def test_real_mnist_is_learnt_from_a_small_subset(lab: Lab, real_data: Path) -> None:
    found = report(lab.train("model=softmax", "data=mnist", f"data.root={real_data}", "data.subset=5000"))
    assert found["test"]["accuracy"] > 0.85
    assert found["data"]["test"] == 10_000


def test_no_terminal_colors_or_bars_when_piped(tmp_path: Path) -> None:
    environment = {**os.environ, "LANG": "C", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "dlcourse", "train", "data=moons", "trainer.epochs=1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, env=environment)
    assert b"\x1b" not in done.stdout + done.stderr
    assert b"\r" not in done.stdout + done.stderr
