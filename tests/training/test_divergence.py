"""What a run that diverged advises is typed, and then the run does not diverge."""

import re

import numpy as np
import pytest

from dlcourse.config.registry import Choice
from dlcourse.config.run_config import RunConfig
from dlcourse.data import DATASETS
from dlcourse.errors import DivergedError
from dlcourse.runs.weights import read_tensors
from dlcourse.training.divergence import diagnosed
from hooks import after_step
from lab import Lab

MOONS = ["data=moons", "data.size=60", "model.hidden=[4]", "trainer.epochs=1"]
CURVE = ["data=curve", "data.size=300", "scheduler=constant", "trainer.epochs=2", "optimizer=sgd", "optimizer.lr=1"]
LARGE = ["data=npz", "data.file=large.npz", "model=linreg", "trainer.epochs=1"]


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ([*MOONS, "optimizer.lr=1e30"], ["optimizer.lr=0.001"]),
        ([*MOONS, "optimizer=sgd", "optimizer.lr=1e30"], ["optimizer.lr=0.1"]),
        ([*MOONS, "optimizer.lr=1e30", "trainer.clip_norm=1"], ["optimizer.lr=0.001"]),
        (["data=ring", "data.size=120", "model=gan", "trainer.epochs=1", "optimizer.lr=1e30"], ["optimizer.lr=0.001"]),
        (CURVE, ["optimizer.lr=0.1", "trainer.clip_norm=1"]),
        (LARGE, ["features=standard"]),
        ([*LARGE, "optimizer.lr=5"], ["optimizer.lr=0.1 features=standard"]),
    ],
)
def test_the_advice_helps(lab: Lab, words: list[str], advice: list[str]) -> None:
    inputs = np.random.default_rng(0).normal(size=(200, 3)).astype("float32")
    np.savez("large.npz", x=inputs * np.float32(1e24), y=inputs.sum(1))
    assert lab.attempt(*words) == 1
    told = lab.err.strip()
    assert re.match(r"dlcourse: error: the (loss|gradient) became \S+ at step \d+ \(epoch \d+, lr \S+\); ", told)
    assert told.count("\n") == 0
    assert told.partition("; write ")[2].split(" or ") == advice
    for remedy in advice:
        changed = [word.partition("=")[0] for word in remedy.split()]
        rest = [word for word in words if word.partition("=")[0] not in changed]
        assert lab.attempt(*rest, *remedy.split()) == 0, lab.err


def test_the_weights_of_the_best_epoch_outlive_a_divergence(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverge() -> None:
        raise DivergedError("the loss became nan")

    after_step(monkeypatch, 3, diverge)  # each epoch has one step
    assert lab.attempt("data=moons", "data.size=60", "trainer.epochs=5", "run.dir=run") == 1
    assert read_tensors(lab.folder / "run" / "weights.safetensors")


def _told(in_first_step: bool, **options: float | None) -> str:
    files = {"data": "digits", "model": "mlp", "optimizer": "sgd", "scheduler": "constant", "device": "cpu"}
    sections = {name: {"name": entry} for name, entry in files.items()}
    sections |= {"features": {"name": "none"}, "task": {"name": "classification"}, "run": {}}
    trainer = {key: value for key, value in options.items() if key == "clip_norm"}
    sections["optimizer"] |= {key: value for key, value in options.items() if key == "lr"}
    config = RunConfig.from_mapping({**sections, "trainer": trainer, "seed": 0})
    data = DATASETS.build(Choice("digits")).build(name="digits", seed=0)
    return str(diagnosed(DivergedError("the loss became nan", in_first_step=in_first_step), config, data))


def test_what_cannot_help_is_not_advised() -> None:
    start = "the loss became nan; "
    assert _told(False, lr=0.2) == (
        f"{start}most likely the learning rate is too large; write optimizer.lr=0.02 or trainer.clip_norm=1"
    )
    assert _told(False, lr=0.2, clip_norm=1.0).endswith("too large; write optimizer.lr=0.02")
    assert _told(False).endswith("write optimizer.lr=0.01 or trainer.clip_norm=1")
    assert _told(False, lr=7.0) == f"{start}optimizer.lr=7 is far above sgd's default; write optimizer.lr=0.1"
    assert _told(True) == (f"{start}in the very first step the data or the first weights are too large: scale the data")
