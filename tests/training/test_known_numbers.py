"""What docs/results.md claims for real data, trained in full: `scripts/test -m slow`."""

import json
from pathlib import Path
from typing import Any

import pytest

from dlcourse.cli.main import main

pytestmark = pytest.mark.slow


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real_data: Path):
    """Runs a command line and returns its report; the data lie in the folder of real data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DLCOURSE_DATA", str(real_data))

    def run(*words: str) -> dict[str, Any]:
        before = set(tmp_path.glob("outputs/*/*/report.json"))
        assert main(["train", *words]) == 0
        (report,) = set(tmp_path.glob("outputs/*/*/report.json")) - before
        return json.loads(report.read_text())

    return run


@pytest.mark.parametrize(
    ("words", "split", "least"),
    [
        (["model=softmax", "data=mnist"], "test", 0.920),
        (["model=mlp", "data=mnist"], "test", 0.978),
        (["model=cnn", "data=mnist"], "test", 0.990),
        (["model=cnn", "data=cifar10", "data.verify=false", "trainer.epochs=15"], "val", 0.75),
        (["experiment=lecture_cnn48", "data.subset=10000"], "test", 0.980),
        (["model=lstm", "data=mnist"], "test", 0.980),
        (["model=transformer", "data=mnist"], "test", 0.970),
        (["experiment=reverse"], "test", 0.999),
    ],
    ids=["softmax", "mlp", "cnn", "cifar10", "lecture_cnn48", "lstm", "transformer", "reverse"],
)
def test_accuracy(train, words: list[str], split: str, least: float) -> None:
    assert train(*words)[split]["accuracy"] >= least


def test_random_labels_are_memorized(train) -> None:
    found, true = train("experiment=memorize"), train("experiment=memorize", "data.label_noise=0")
    assert found["train"]["accuracy"] == true["train"]["accuracy"] == 1.0
    assert found["test"]["accuracy"] < 0.15 and true["test"]["accuracy"] > 0.97


def test_gates_remember_over_a_hundred_steps_where_a_plain_network_does_not(train) -> None:
    found = {model: train("experiment=adding", f"model={model}")["test"]["mse"] for model in ("lstm", "gru", "rnn")}
    assert found["lstm"] < 0.01 and found["gru"] < 0.01 and found["rnn"] > 0.05


def test_a_small_gpt_writes_shakespeare(train) -> None:
    assert train("experiment=gpt_cpu")["val"]["loss"] <= 1.90


def test_the_variational_bound(train) -> None:
    found = train("experiment=vae_mnist")
    assert found["test"]["loss"] <= 107
    assert found["importance_weighted"]["loss"] < found["test"]["loss"]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_gan_finds_all_modes(train, seed: int) -> None:
    found = train("experiment=gan_ring", f"seed={seed}")["test"]
    assert found["modes"] == 8 and found["good"] >= 0.9


def test_diffusion_draws_the_digit_asked_for(train) -> None:
    assert train("experiment=diffusion_mnist")["test"]["recognized"] >= 0.95
