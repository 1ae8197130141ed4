"""How much each option of made-up runs matters: the one that was made to, whatever its scale, and nothing else."""

import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optuna
import pytest

from dlcourse.sweeps.importance import importances

RNG = np.random.default_rng(0)
RUNS = 40
LR, MOMENTUM, NOISE = 10 ** RNG.uniform(-5, -1, RUNS), RNG.uniform(0, 1, RUNS), RNG.normal(0, 0.05, RUNS)
MODELS = [("mlp", "cnn", "resnet")[run % 3] for run in range(RUNS)]


def shares(reached: Sequence[float], **values: Sequence[float | str]) -> dict[str, float]:
    found = importances(list(values), list(values.values()), reached)
    assert found is not None and list(found) == list(values) and sum(found.values()) == pytest.approx(1)
    assert all(type(share) is float for share in found.values())
    return found


@pytest.fixture
def studies(monkeypatch: pytest.MonkeyPatch) -> list[optuna.Study]:
    """What Optuna is asked about."""
    asked: list[optuna.Study] = []
    answer = optuna.importance.get_param_importances

    def get_param_importances(study: optuna.Study, **options: Any) -> dict[str, float]:
        asked.append(study)
        return answer(study, **options)

    monkeypatch.setattr("optuna.importance.get_param_importances", get_param_importances)
    return asked


@pytest.mark.parametrize(
    ("option", "effect"),
    [
        ("momentum", lambda run: MOMENTUM[run]),
        ("layers", lambda run: run % 4),
        ("model", lambda run: MODELS[run] == "cnn"),
        ("lr", lambda run: abs(math.log10(LR[run]) + 3)),
    ],
)
def test_the_option_that_matters_is_found(option: str, effect: Callable[[int], float]) -> None:
    reached = [effect(run) + NOISE[run] for run in range(RUNS)]
    layers = [run % 4 for run in range(RUNS)]
    found = shares(reached, lr=LR.tolist(), momentum=MOMENTUM.tolist(), layers=layers, model=MODELS, data=["a"] * RUNS)
    assert found[option] > 0.8 and found["data"] == 0


def test_wide_numbers_count_by_their_logarithm() -> None:
    """Half of the learning rates are too small; of the range from 1e-5 to 1e-1 those are but a hundredth."""
    found = shares((2.0 * (LR < 1e-3) + MOMENTUM).tolist(), lr=LR.tolist(), momentum=MOMENTUM.tolist())
    assert found["lr"] == pytest.approx(1 / (1 + 1 / 12), abs=0.05)


def test_options_that_matter_equally_have_equal_shares() -> None:
    grid = [(a, b) for a in (0.0, 1.0) for b in ("x", "y") for _ in range(5)]
    found = shares([a + (b == "y") for a, b in grid], a=[a for a, _ in grid], b=[b for _, b in grid])
    assert found == pytest.approx({"a": 0.5, "b": 0.5}, abs=0.1)


@pytest.mark.parametrize("lacking", ["-", math.inf])
def test_numbers_that_some_runs_lack_count_by_their_size(lacking: float | str) -> None:
    known, lr = MOMENTUM[:36].tolist(), LR.tolist()
    reached = (np.array([*known, *[1.1] * 4]) + np.log10(LR) / 4).tolist()
    expected = shares(reached, momentum=[*known, *[1.1] * 4], lr=lr)
    assert shares(reached, momentum=[*known, *[lacking] * 4], lr=lr) == pytest.approx(expected, abs=0.1)


def test_an_option_may_have_many_choices(studies: list[optuna.Study]) -> None:
    """As categories of Optuna's they take time: for each tree, 2 to the power of those that it splits."""
    hidden = [f"[{run % 20}]" for run in range(RUNS)]
    assert shares([float(run % 20 % 2) for run in range(RUNS)], hidden=hidden, model=MODELS)["hidden"] > 0.8
    spaces = studies[0].trials[0].distributions
    assert spaces["model"] == optuna.distributions.CategoricalDistribution(["cnn", "mlp", "resnet"])
    assert spaces["hidden"] == optuna.distributions.FloatDistribution(0, 1)


def test_the_order_of_the_runs_and_the_unit_of_the_number_do_not_matter() -> None:
    reached, order = MOMENTUM + 0.3 * np.log10(LR), RNG.permutation(RUNS)
    found = shares(reached.tolist(), lr=LR.tolist(), momentum=MOMENTUM.tolist())
    assert found == shares(reached.tolist(), lr=LR.tolist(), momentum=MOMENTUM.tolist())
    for again in (reached[order], 1 - 1e-9 * reached[order]):
        other = shares(again.tolist(), lr=LR[order].tolist(), momentum=MOMENTUM[order].tolist())
        assert other == pytest.approx(found, abs=0.1)


def test_runs_without_a_finite_number_are_left_out() -> None:
    reached = [*MOMENTUM.tolist(), math.nan, math.inf, -math.inf]
    values = {
        "lr": [*LR.tolist(), 1.0, 1.0, 1.0],
        "momentum": [*MOMENTUM.tolist(), 9.0, 9.0, 9.0],
        "model": [*MODELS, *"abc"],
    }
    assert shares(reached, **values) == shares(
        MOMENTUM.tolist(), lr=LR.tolist(), momentum=MOMENTUM.tolist(), model=MODELS
    )


def test_of_many_runs_a_sample_is_taken(studies: list[optuna.Study]) -> None:
    """The time grows almost with the square of the runs."""
    many = [run % 10 for run in range(1000)]
    shares(many, momentum=many)
    reached = [trial.value for trial in studies[0].trials if trial.value is not None]
    assert len(reached) == 300 and np.mean(reached) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("reached", "column"),
    [
        (MOMENTUM[:19], MOMENTUM[:19]),
        ([*MOMENTUM[:19], math.nan], MOMENTUM[:20]),
        ([0.5] * RUNS, MOMENTUM),
        (MOMENTUM, ["a"] * RUNS),
        ([], []),
    ],
)
def test_too_few_runs_and_what_does_not_vary_have_no_importances(reached: list[float], column: list[float]) -> None:
    assert importances(["option"], [list(column)], list(reached)) is None
    assert importances([], [], MOMENTUM.tolist()) is None


def test_without_optuna_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert importances(["momentum"], [MOMENTUM.tolist()], MOMENTUM.tolist()) is None


def test_optuna_says_nothing_and_is_left_as_it_was() -> None:
    code = """
import numpy, optuna
from dlcourse.sweeps.importance import importances
numpy.random.seed(0)
before, numbers = optuna.logging.get_verbosity(), list(range(20))
importances(["a"], [numbers], numbers)
assert optuna.logging.get_verbosity() == before
assert (numpy.random.get_state()[1] == numpy.random.RandomState(0).get_state()[1]).all()
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")
