"""What of a config is told to differ from the defaults: choices, options and nothing that stands for itself."""

from typing import Any

from dlcourse.cli import report as verb
from dlcourse.pages.differences import differences
from lab import composed


def told(*words: str) -> list[tuple[str, str, str]]:
    """The rows for the config of these words."""
    return verb.differing(composed(*words))


def test_the_defaults_differ_in_nothing() -> None:
    assert told() == []


def test_a_choice_and_an_option_are_told_with_their_defaults() -> None:
    assert told("data=moons", "model=cnn", "optimizer.lr=0.01", "model.channels=[4]", "seed=3", "run.name=x")[0] == (
        "model",
        "cnn",
        "mlp",
    )
    rows = told("data=moons", "optimizer.lr=0.01", "seed=3", "run.name=x", "report=light", "data.noise=0.5")
    assert rows == [
        ("data", "moons", "digits"),
        ("data.noise", "0.5", "0.1"),
        ("optimizer.lr", "0.01", "0.001"),
        ("seed", "3", "0"),
    ]


def test_options_of_another_entry_are_compared_with_its_own_defaults() -> None:
    assert told("optimizer=sgd", "optimizer.lr=0.5") == [
        ("optimizer", "sgd", "adam"),
        ("optimizer.lr", "0.5", "0.1"),
    ]


def test_what_a_model_or_data_bring_along_is_no_difference() -> None:
    assert told("model=vae") == [("model", "vae", "mlp")]
    assert told("data=diabetes", "model=linreg") == [("model", "linreg", "mlp"), ("data", "diabetes", "digits")]


def test_an_experiment_is_told_by_what_it_sets() -> None:
    rows = {option: (value, default) for option, value, default in told("experiment=gpt_cpu")}
    assert rows["data"] == ("tinyshakespeare", "digits")
    assert rows["trainer.batch_size"] == ("12", "64")
    assert rows["optimizer"] == ("adamw", "adam")


def test_nested_options_and_those_of_other_versions() -> None:
    def entry(group: str, name: str) -> dict[str, Any]:
        return {"name": name, "depth": 2}

    defaults = {"data": {"name": "digits", "augment": {"flip": False, "crop": None}}, "trainer": {"epochs": 5}}
    config = {
        "data": {"name": "digits", "augment": {"flip": True}, "gone": 1},
        "trainer": {"epochs": 5, "extra": [1, "a"]},
        "added": None,
        "run": {"root": "elsewhere"},
    }
    assert differences(config, defaults, {"data": "digits"}, entry) == [
        ("data.augment.flip", "true", "false"),
        ("data.gone", "1", "-"),
        ("trainer.extra", '[1, "a"]', "-"),
        ("added", "null", "-"),
    ]
