"""`debug=overfit` on real runs: planted faults are found by name, and sound trainings are not blamed."""

import json
import re
from pathlib import Path

import pytest

import planted_faults as planted
from lab import Lab
from torture.families import NAMES, family
from torture.warm import TINY_CNN, compose

KINDS = {
    "mlp": ("model=mlp", "data=digits", "model.hidden=[32]"),
    "cnn": ("model=cnn", "data=digits", "model.channels=[8]", "model.head=[32]"),
    "gru": ("model=gru", "data=word_order", "model.hidden=16"),
    "regression": ("model=mlp", "data=curve", "model.hidden=[32]"),
}
FAULTS = (
    ("learning rate 0", planted.no_learning_rate),
    ("frozen layer", planted.frozen_layer),
    ("detached graph", planted.detached_graph),
    ("wrong loss", planted.softmax_twice),
    ("shuffled labels", planted.shuffled_labels),
)
OTHERS = (
    ("frozen layer", planted.layer_without_optimizer),
    ("detached graph", planted.detached_loss),
    ("wrong loss", planted.loss_of_other_sign),
)


def found(lab: Lab, *words: str) -> str:
    """The line of the fault that is found."""
    assert lab.attempt("debug=overfit", "device.threads=1", *words) == 1, lab.out
    assert lab.err.startswith("dlcourse: error: ") and lab.err.count("\n") == 1, lab.err
    return lab.err.removeprefix("dlcourse: error: ")


@pytest.mark.parametrize(("name", "plant"), FAULTS)
def test_five_faults_are_found_by_name(
    name: str, plant: planted.Plant, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    assert found(lab, *KINDS["mlp"]).startswith(f"{name}: ")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cnn", "gru", "regression"])
@pytest.mark.parametrize(("name", "plant"), [*FAULTS, *OTHERS])
def test_they_are_found_in_images_in_sequences_and_with_numbers_for_targets(
    name: str, plant: planted.Plant, kind: str, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    if plant is planted.softmax_twice and kind == "regression":
        plant = planted.loss_of_other_sign
    plant(monkeypatch)
    assert found(lab, *KINDS[kind]).startswith(f"{name}: ")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "plant"), [*OTHERS[1:], ("wrong loss", planted.mean_over_the_batch)])
def test_a_fault_has_several_causes(name: str, plant: planted.Plant, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert found(lab, *KINDS["mlp"]).startswith(f"{name}: ")


def test_a_fault_names_the_parameters_and_where_to_look(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    planted.detached_graph(monkeypatch)
    line = found(lab, *KINDS["mlp"])
    assert "no gradient reaches layers.1.weight, layers.1.bias" in line
    assert "look between layers.1.bias and layers.3.weight" in line
    assert "as expected" not in lab.out


@pytest.mark.slow
def test_labels_that_are_noise_by_an_option_are_named(lab: Lab) -> None:
    assert "data.label_noise" in found(lab, *KINDS["mlp"], "data.label_noise=1.0")


def test_a_batch_is_memorized_and_what_was_seen_is_kept(lab: Lab) -> None:
    assert lab.attempt("debug=overfit", *KINDS["mlp"], "optimizer.weight_decay=0.1", "task.label_smoothing=0.2") == 0
    assert re.search(r"^batch  loss 2\.\d+ -> 0\.\d+ in \d+ steps, accuracy \S+ % -> 100\.00 %", lab.out, re.MULTILINE)
    assert "the model can memorize a batch of 32" in lab.out
    assert "labels match the inputs: nearest neighbors have the same class (0.97; 0.10 by chance)" in lab.out
    (folder,) = (lab.folder / "outputs" / "debug" / "digits-mlp").iterdir()
    content = json.loads((folder / "findings.json").read_text())
    assert content["findings"] == [] and len(content["lines"]) == 2
    assert content["config"]["optimizer"]["weight_decay"] == 0, "the config that was really used"
    assert [path.name for path in folder.iterdir()] == ["findings.json"]
    assert not (lab.folder / "outputs" / "test_looks.jsonl").exists()


def test_a_model_that_is_too_small_is_not_blamed(lab: Lab) -> None:
    assert lab.attempt("debug=overfit", "model=logreg", "data=circles") == 0
    assert "no fault: this model is too small" in lab.out


def test_what_is_frozen_on_purpose_is_a_remark(lab: Lab) -> None:
    assert lab.attempt("debug=overfit", *KINDS["mlp"], "freeze=[layers.1.*]") == 0
    assert "frozen on purpose: layers.1.weight, layers.1.bias" in lab.out


@pytest.mark.slow
def test_a_learning_rate_that_is_only_low_is_told_apart(lab: Lab) -> None:
    assert lab.attempt("debug=overfit", *KINDS["mlp"], "optimizer.lr=1e-5") == 0
    assert "no fault, but slow: optimizer=adam optimizer.lr=0.003 memorizes it in" in lab.out


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_no_family_is_blamed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    from dlcourse.training import session

    monkeypatch.chdir(tmp_path)
    if name == "transfer":
        session.run(compose(*TINY_CNN, "run.dir=warm"), [])
    session.run(dataclasses.replace(family(name, tmp_path, tmp_path / "warm"), debug="overfit"), [])
