"""Watching: histograms in real event files, dead units and gradients by name, and a training that does not notice."""

import json

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from dlcourse.api.run import load
from dlcourse.training import watch_text
from dlcourse.training.opened import open_run
from dlcourse.training.trainer import Trainer
from dlcourse.training.watch import Watch, _not_zero
from lab import Lab, report

MLP = ("data=digits", "data.subset=300", "model=mlp", "model.hidden=[16,12]", "device=cpu", "device.threads=1")
MLP += ("trainer.epochs=2", "trainer.watch=true", "report=light", "trainer.weights=last", "trainer.eval_batch_size=7")


def kill(model: nn.Module, units: list[int]) -> None:
    """Let these units of the first layer be 0 for whatever comes in."""
    with torch.no_grad():
        first = next(module for module in model.modules() if isinstance(module, nn.Linear))
        first.weight[units] = 0.0
        first.bias[units] = -1.0


@pytest.fixture
def five_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that begins with five dead units in the first layer, which can never learn."""
    init = Trainer.__init__

    def begun(self: Trainer, task, *rest, **named) -> None:  # type: ignore[no-untyped-def]
        kill(task.model, [0, 3, 7, 8, 15])
        init(self, task, *rest, **named)

    monkeypatch.setattr(Trainer, "__init__", begun)


def test_dead_units_are_counted_and_named(lab: Lab, five_dead: None) -> None:
    run = lab.train(*MLP)
    assert run is not None
    found = report(run)["watch"]
    (first, of_first), (_, of_second) = found["dead_units"].items()
    model = open_run(run).task.model
    val = load(run).data().val
    inputs = torch.cat([batch.inputs for batch in val.batches(1000)])
    with torch.no_grad():
        hidden = torch.relu(next(m for m in model.modules() if isinstance(m, nn.Linear))(inputs.flatten(1)))
    dead = int((hidden == 0).all(0).sum())
    assert of_first == {"dead": dead, "units": 16, "share": dead / 16} and dead >= 5 and of_second["units"] == 12
    assert (found["epoch"], found["examples"]) == (2, len(val))
    share = f"{100 * dead / 16:.1f} %"
    line = f"layer 1 ({first}): {dead} of 16 units are dead ({share}): 0 for all {len(val)} validation examples"
    assert line in (run / "report.txt").read_text()
    assert f"watch  {line}" in lab.out.replace("\n       ", " ")


def test_histograms_and_shares_are_in_tensorboard_for_each_evaluation(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, float]] = []
    log_step = Watch.log_step

    def noted(self: Watch, *rest: object) -> None:
        model = self._task.model
        seen.append({name: each.grad.norm().item() for name, each in model.named_parameters() if each.grad is not None})
        log_step(self, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Watch, "log_step", noted)
    run = lab.train(*MLP)
    assert run is not None and len(seen) == 2
    (events,) = run.glob("events.*")
    board = EventAccumulator(str(events), {"histograms": 0}).Reload()
    model = open_run(run).task.model
    tags = board.Tags()
    parameters = [name for name, _ in model.named_parameters()]
    assert set(tags["histograms"]) >= {f"{kind}/{name}" for kind in ("weights", "gradients") for name in parameters}
    steps = [each.step for each in board.Scalars("val/loss")]
    for tag in tags["histograms"]:
        assert [each.step for each in board.Histograms(tag)] == steps, tag
    activations = [tag for tag in tags["histograms"] if tag.startswith("activations/")]
    assert len(activations) == 2 and all(board.Histograms(tag)[-1].histogram_value.min == 0 for tag in activations)
    last = dict(model.named_parameters())
    for name in parameters:
        value = board.Histograms(f"weights/{name}")[-1].histogram_value
        assert value.num == last[name].numel() and value.max == pytest.approx(last[name].max().item())
    shares = report(run)["watch"]["dead_units"]
    assert {tag.partition("/")[2] for tag in tags["scalars"] if tag.startswith("dead/")} == set(shares)
    norms = report(run)["watch"]["gradients"]
    for name, found in norms.items():
        assert found["norm"] == seen[-1][f"{name}.weight"] > 0, "that of the step itself"
        assert board.Scalars(f"gradient_norm/{name}")[-1].value == pytest.approx(found["norm"], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        "data=shapes data.train_size=60 data.test_size=20 model=cnn model.channels=[4]",
        "data=reverse data.size=60 model=transformer model.width=8 model.layers=1 model.heads=2",
        "data=sine data.size=60 model=lstm model.hidden=4",
        "data=ring data.size=60 model=gan model.hidden=[8] task.samples=20",
        "data=cartpole data.size=33 data.held_out=4 model=mlp model.hidden=[8] task.memory=20 task.replay=8",
        "data=iris model=logreg",
    ],
)
def test_every_kind_of_model_can_be_watched(lab: Lab, words: str) -> None:
    run = lab.train(*words.split(), "trainer.epochs=1", "trainer.watch=true", "report=light", "device=cpu")
    assert run is not None
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    kinds = {record["histogram"].partition("/")[0] for record in records if "histogram" in record}
    assert kinds == {"weights", "gradients", "activations"}


class Found:
    """What a watch has found, without a training."""

    examples = 1000

    def __init__(self, units: dict[str, list[int]], gradients: dict[str, list[float]]) -> None:
        self.units, self.gradients = units, gradients


def test_layers_are_told_apart_by_what_is_wrong_with_them() -> None:
    gradients = {"a": [2e-7, 1e-8, 1.0], "b": [0.5, 0.02, 1.0], "c": [30.0, 0.04, 2.0]}
    lines = watch_text.found(Found({"relu1": [37, 128], "relu2": [0, 64], "relu3": [1, 1]}, gradients))  # type: ignore[arg-type]
    assert lines == [
        "layer 1 (relu1): 37 of 128 units are dead (28.9 %): 0 for all 1,000 validation examples",
        "layer 3 (relu3): 1 of 1 unit is dead (100.0 %): 0 for all 1,000 validation examples",
        "vanishing gradient in a: root mean square 1e-08, against 0.04 in c",
        "exploding gradient in c: norm 30, against 2 of the weights",
    ]
    fine = Found({"relu1": [0, 128]}, {"a": [0.5, 0.01, 1.0]})
    assert watch_text.found(fine) == [  # type: ignore[arg-type]
        "no dead units: each was nonzero for some of 1,000 validation examples",
        "no vanishing or exploding gradients",
    ]


@pytest.mark.slow
def test_the_gradient_of_a_deep_network_of_sigmoids_vanishes(lab: Lab) -> None:
    run = lab.train(
        *(word for word in MLP if not word.startswith("model.hidden")),
        f"model.hidden={[16] * 9}".replace(" ", ""),
        "model.activation=sigmoid",
    )
    assert run is not None
    assert "vanishing gradient in layers.1: root mean square " in (run / "report.txt").read_text()


def test_a_unit_of_a_map_is_alive_if_it_is_anywhere() -> None:
    maps = torch.zeros(3, 2, 4, 4)
    maps[1, 1, 3, 0] = 0.1
    assert _not_zero(maps).tolist() == [False, True]
    sequences = torch.zeros(3, 5, 4)
    sequences[2, 4, 0] = -1.0
    assert _not_zero(sequences).tolist() == [True, False, False, False]
    assert _not_zero(torch.tensor([[0.0, 1.0], [0.0, 0.0]])).tolist() == [False, True]
