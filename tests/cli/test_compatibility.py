"""Which model trains on which data set: what `dlcourse list fits` says is what happens."""

import contextlib
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from dlcourse.cli.compatibility import announced, fits, trains_on
from dlcourse.cli.main import main
from dlcourse.config.registry import Choice
from dlcourse.config.run_config import RunConfig
from dlcourse.console import Console
from dlcourse.data import DATASETS
from dlcourse.data.split import TensorSplit
from dlcourse.device import cpu
from dlcourse.environments import ENVIRONMENTS
from dlcourse.errors import ConfigError
from dlcourse.metrics import reference_classifier
from dlcourse.models import MODELS
from dlcourse.spec import Data, DataSpec
from dlcourse.training.build import build_task, check_announced
from dlcourse.training.evaluate import evaluate
from lab import Lab, composed
from tiny_data import tiny_data

TINY_MODELS = {
    "cnn": ["model.channels=[4]", "model.head=[8]"],
    "resnet": ["model.width=4"],
    "torchvision": ["model.arch=shufflenet_v2_x0_5"],
    "mlp": ["model.hidden=[8]"],
    "vae": ["model.hidden=[8]", "model.latent=2", "task.samples=2"],
    "autoencoder": ["model.hidden=[8]", "model.latent=2"],
    "embedding": ["model.size=8"],
    "rnn": ["model.hidden=8"],
    "gru": ["model.hidden=8"],
    "lstm": ["model.hidden=8"],
    "transformer": ["model.width=8", "model.layers=1", "model.heads=2"],
    "gan": ["model.hidden=[8]", "model.channels=4", "task.samples=30"],
    "policy_and_value": ["model.hidden=[8]"],
    "diffusion": ["model.hidden=[8]", "model.channels=[8]", "task.steps=10", "task.sample_steps=2", "task.samples=30"],
}

Kind = tuple[int, int, bool, str]


def kind(spec: DataSpec) -> Kind:
    """What sort of examples and targets: images, sequences, tables of one number, of two (points) and of more, tokens."""
    width = min(spec.num_features, 3) if len(spec.input_shape) == 1 and not spec.is_tokens else 0
    return len(spec.input_shape), width, spec.is_tokens, spec.target


ONE_OF_EACH_KIND: dict[Kind, DataSpec] = {
    kind(spec): dataclasses.replace(spec, name=name) for name in reversed(list(DATASETS)) for spec in announced(name)
}


def read_examples(name: str, words: list[str]) -> DataSpec:
    """The spec of the data set that these words of a command line choose, read or drawn for real."""
    pairs = (word.removeprefix("data.").split("=", 1) for word in words)
    options = {option: yaml.safe_load(value) for option, value in pairs}
    return DATASETS.build(Choice(name, options)).build(name=name, seed=0).spec


@pytest.mark.parametrize("name", list(DATASETS))
def test_a_data_set_announces_the_examples_that_it_has(name: str, tmp_path: Path) -> None:
    words = [word for word in tiny_data(name, tmp_path)[1:] if not word.startswith("data.context=")]
    spec = read_examples(name, words)
    assert kind(spec) in map(kind, announced(name)), f"say in SPECS of data '{name}' what its examples are like"
    if name not in ("csv", "npz", "images"):  # whose files decide on sizes
        (said,) = announced(name)
        assert (said.input_shape, said.output_length, len(said.pixel_mean)) == (
            tuple(spec.input_shape),
            spec.output_length,
            len(spec.pixel_mean),
        )
        if spec.target not in ("next", "preference"):  # the symbols of a text are known once it is read
            assert (said.num_outputs, len(said.vocabulary)) == (spec.num_outputs, len(spec.vocabulary))


def test_a_table_of_ones_own_is_of_the_kinds_announced(tmp_path: Path) -> None:
    found = set()
    for width in (1, 2, 4):
        for target in ("word", "0.5"):
            header = ",".join([*(f"x{column}" for column in range(width)), "y"])
            rows = [",".join([*[f"{row}.5"] * width, f"{target}{row % 2}"]) for row in range(60)]
            (tmp_path / "own.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
            words = [f"data.file={tmp_path / 'own.csv'}", "data.target=y"]
            found.add(kind(read_examples("csv", [*words, f"data.kind={'class' if target == 'word' else 'value'}"])))
    assert found == set(map(kind, announced("csv")))


def test_arrays_of_ones_own_are_of_the_kinds_announced(tmp_path: Path) -> None:
    random, found = np.random.default_rng(0), set()
    tables = [random.random((60, *shape)) for shape in ((1,), (2,), (4,), (5, 2))]
    for inputs in (np.zeros((60, 8, 8), np.uint8), *tables):
        for targets in (np.arange(60) % 3, random.random(60)):
            np.savez(tmp_path / "own.npz", x=inputs, y=targets)
            found.add(kind(read_examples("npz", [f"data.file={tmp_path / 'own.npz'}"])))
    assert found == set(map(kind, announced("npz")))


def random_examples(spec: DataSpec) -> Data:
    """Three splits of a few examples as the spec has them."""
    random = torch.Generator().manual_seed(0)

    def tokens(*shape: int) -> torch.Tensor:
        return torch.randint(3, len(spec.vocabulary), shape, generator=random)

    def split(count: int) -> TensorSplit:
        if spec.environment:
            return TensorSplit(ENVIRONMENTS[spec.environment].starts(count, random), torch.zeros(count, 0))
        if spec.is_tokens:
            inputs = tokens(count, *spec.input_shape)
        else:
            inputs = torch.randn(count, *spec.input_shape, generator=random).clamp(-1, 1)
        if spec.target == "class":
            return TensorSplit(inputs, torch.arange(count) % spec.num_outputs)
        if spec.target == "preference":
            return TensorSplit(inputs, torch.arange(count) % 2)
        if spec.target == "value":
            return TensorSplit(inputs, torch.randn(count, spec.num_outputs, generator=random))
        if spec.target == "next":  # windows of one text, next to each other
            text = tokens(count * spec.input_shape[0] + 1)
            return TensorSplit(text[:-1].view(count, -1), text[1:].view(count, -1))
        return TensorSplit(inputs, tokens(count, spec.output_length))

    return Data(spec, split(40), split(20), split(20))


def try_once(config: RunConfig, spec: DataSpec) -> None:
    """All that a training does with model, data and task, once each; raises ConfigError where they do not go together."""
    if config.task.name == "classification":  # the model asks for no task of its own
        config = dataclasses.replace(config, task=Choice(spec.target_kind.task))
    config = dataclasses.replace(config, data=Choice(spec.name))
    device, data = cpu(), random_examples(spec)
    task = build_task(config, data, device, Console())
    with torch.no_grad():
        task.prepare(data)
    task.train_step(next(data.train.batches(16, epoch=1)))
    evaluate(task, data.test, 20, full=True)


@pytest.mark.parametrize("model", list(MODELS))
def test_a_model_takes_the_kinds_of_data_it_is_said_to_and_refuses_the_others(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference_classifier, "_FEWEST_STEPS", 1)  # it has to be there, not to be good
    config = composed(f"model={model}", *TINY_MODELS.get(model, []), "trainer.batch_size=16")
    for spec in ONE_OF_EACH_KIND.values():
        try:
            try_once(config, spec)
        except ConfigError as error:
            assert not trains_on(model, spec), error
            message = str(error)
            assert message.startswith((f"model '{model}' ", "task '")) and f"data '{spec.name}'" in message, message
            assert "; write " in message or "cannot take" in message, message
            assert "\n" not in message
        else:
            assert trains_on(model, spec), spec


@pytest.mark.parametrize("model", list(MODELS))
def test_a_model_trains_on_data_that_it_is_said_to_take(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    monkeypatch.setattr(reference_classifier, "_FEWEST_STEPS", 1)
    certain = [name for name in fits()[model] if len(announced(name)) == 1]
    one_for_each_target = {announced(name)[0].target: name for name in reversed(certain)}
    for data in one_for_each_target.values():
        words = [f"model={model}", *TINY_MODELS.get(model, []), *tiny_data(data, tmp_path)]
        lab.train(*words, "trainer.epochs=1", "trainer.eval_every=1", "trainer.batch_size=16")


@pytest.mark.parametrize("model", ["cnn", "gan", "bag"])
def test_a_misfit_is_refused_by_what_the_data_set_announces(model: str) -> None:
    config = composed(f"model={model}")
    for name in DATASETS:
        specs = announced(name)
        with contextlib.nullcontext() if len(specs) > 1 or trains_on(model, specs[0]) else pytest.raises(ConfigError):
            check_announced(dataclasses.replace(config, data=Choice(name), task=Choice(_task(config, specs[0]))))


def _task(config: RunConfig, spec: DataSpec) -> str:
    return spec.target_kind.task if config.task.name == "classification" else config.task.name


def test_a_misfit_is_refused_before_files_are_read_but_not_for_other_options(lab: Lab) -> None:
    mnist = ["data=mnist", "data.root=nowhere", "data.download=false"]
    assert lab.attempt(*mnist, "model=bag") == 2
    assert lab.err.startswith("dlcourse: error: model 'bag' ") and lab.out == ""
    assert lab.attempt(*mnist, "model=cnn") == 2
    assert "is not in nowhere" in lab.err
    assert lab.attempt("data=digits", "model=cnn", "model.channels=[4,4,4,4]", "model.head=[8]") == 2
    lab.train(
        "data=digits", "model=cnn", "model.channels=[4,4,4,4]", "model.head=[8]", "data.resize=16", "trainer.epochs=1"
    )


def test_list_shows_what_fits(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(fits()) == list(MODELS) and all(fits().values())
    assert main(["list", "fits"]) == 0
    rows = " ".join(capsys.readouterr().out.split())
    assert "linreg diabetes line curve adding sine csv npz logreg mnist" in rows
    assert all(f" {name} " in rows for name in (*MODELS, *DATASETS))
    assert main(["list", "model=cnn"]) == 0
    assert "which data sets a model trains on: dlcourse list fits" in capsys.readouterr().out
