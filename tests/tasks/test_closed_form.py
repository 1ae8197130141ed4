"""Least squares in one step: torch's and scikit-learn's solution, in whole runs and alone."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from dlcourse.cli.compatibility import announced
from dlcourse.config.registry import Choice
from dlcourse.data import DATASETS
from dlcourse.data.split import TensorSplit
from dlcourse.device import cpu
from dlcourse.errors import DivergedError, MisfitError
from dlcourse.models.linear import SoftmaxRegression
from dlcourse.spec import Batch, DataSpec
from dlcourse.tasks import TASKS, takes_features
from dlcourse.tasks.closed_form import solve
from dlcourse.training.step_memory import meta_model, step_memory
from lab import Lab, composed, report


def of_torch(features: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    ones = torch.ones(len(features), 1, dtype=torch.float64)
    return torch.linalg.lstsq(torch.cat([features.double(), ones], 1), wanted, driver="gelsd").solution


def test_the_solution_is_torchs() -> None:
    features, wanted = torch.randn(50, 7), torch.randn(50, 2, dtype=torch.float64)
    weights, intercepts = solve(features, wanted)
    torch.testing.assert_close(torch.cat([weights.T, intercepts[None]]), of_torch(features, wanted))


@pytest.mark.parametrize("shape", [(50, 7), (9, 30)])
def test_of_all_solutions_it_is_scikit_learns(shape: tuple[int, int]) -> None:
    """With more features than examples that of least norm, the intercept left out of it."""
    features, wanted = 3 + torch.randn(*shape), torch.randn(shape[0], 2, dtype=torch.float64)
    for ridge, reference in ((0.0, LinearRegression()), (2.5, Ridge(2.5))):
        weights, intercepts = solve(features, wanted, ridge)
        reference.fit(features.double().numpy(), wanted.numpy())
        np.testing.assert_allclose(weights, reference.coef_, atol=1e-9)
        np.testing.assert_allclose(intercepts, reference.intercept_, atol=1e-9)
    if shape[0] < shape[1]:
        weights, intercepts = solve(features, wanted)
        torch.testing.assert_close(features.double() @ weights.T + intercepts, wanted)


def test_columns_that_are_equal_but_for_rounding_share_their_weight() -> None:
    column = 1000 + torch.randn(40, 1)
    features = torch.cat([column, torch.nextafter(column, torch.tensor(torch.inf))], 1)
    weights, _ = solve(features, column.double())
    torch.testing.assert_close(weights, torch.full((1, 2), 0.5, dtype=torch.float64), atol=1e-2, rtol=0)


def test_what_is_not_finite_is_said() -> None:
    with pytest.raises(DivergedError, match="the sum of the features became inf"):
        solve(torch.tensor([[1.0], [torch.inf]]), torch.zeros(2, 1, dtype=torch.float64))


def arrays(split: TensorSplit) -> tuple[np.ndarray, np.ndarray]:
    batch = next(split.batches(len(split)))
    return batch.inputs.flatten(1).double().numpy(), batch.targets.numpy()


@pytest.mark.parametrize("ridge", [0.0, 10.0])
def test_a_run_on_numbers_is_the_regression_of_scikit_learn(lab: Lab, ridge: float) -> None:
    words = ("data=diabetes", "model=linreg", "features=standard", "task=least_squares", "trainer=one_step")
    run = lab.train(*words, f"task.ridge={ridge}", "report=light")
    data = DATASETS.build(Choice("diabetes")).build(name="diabetes", seed=0)
    (inputs, targets), test = arrays(data.train), arrays(data.test)
    reference = make_pipeline(StandardScaler(), Ridge(ridge)).fit(inputs, targets)
    assert report(run)["test"]["r2"] == pytest.approx(reference.score(*test), abs=1e-5)
    weights = {name: tensor.double().numpy() for name, tensor in load_file(run / "weights.safetensors").items()}
    slopes = weights["model.linear.weight"] * weights["target_std"]
    np.testing.assert_allclose(slopes[0], reference[-1].coef_.ravel(), rtol=1e-3)
    assert "\n    1 " in lab.out and "\n    2 " not in lab.out


@pytest.mark.parametrize(("data", "model"), [("digits", "softmax"), ("breast_cancer", "logreg")])
def test_a_run_on_classes_regresses_zeros_and_ones(lab: Lab, data: str, model: str) -> None:
    words = (f"data={data}", f"model={model}", "features=none", "task=least_squares", "trainer=one_step")
    run = lab.train(*words, "report=light")
    built = DATASETS.build(Choice(data)).build(name=data, seed=0)
    (inputs, classes), (test_inputs, test_classes) = arrays(built.train), arrays(built.test)
    outputs = LinearRegression().fit(inputs, np.eye(built.spec.num_outputs)[classes]).predict(test_inputs)
    whole = report(run)
    found = whole["test"]
    assert found["accuracy"] == (outputs.argmax(1) == test_classes).mean()
    assert found["loss"] == pytest.approx(
        ((outputs - np.eye(built.spec.num_outputs)[test_classes]) ** 2).mean(), rel=1e-3
    )
    assert np.sum(whole["confusion_matrix"]) == len(test_classes)


def test_an_unfinished_run_has_no_state_and_the_random_state_stays() -> None:
    spec = DataSpec("table", (4,), 3, class_names=("a", "b", "c"))
    task = TASKS.build(Choice("least_squares"), model=SoftmaxRegression(spec), spec=spec, device=cpu())
    batch = Batch(torch.randn(30, 4), torch.arange(30) % 3)
    before = torch.get_rng_state()
    first = task.train_step(batch)
    assert torch.equal(torch.get_rng_state(), before) and task.state_dict() == {}
    assert task.lr == 1.0 and task.train_step(batch)["loss"] == first["loss"]
    targets = nn.functional.one_hot(batch.targets, 3).double()
    best = (of_torch(batch.inputs, targets)[:4].T - task.model.linear.weight).abs().max()
    assert best < 1e-6 and first["weight_norm"].item() == pytest.approx(
        task.model.linear.weight.norm().item(), rel=1e-5
    )


def test_what_does_not_go_with_it_is_one_line(lab: Lab) -> None:
    for words, message in (
        (
            ("data=iris", "model=softmax", "trainer.batch_size=32"),
            "one step on all 108 training examples, and trainer.batch_size=32",
        ),
        (
            ("data=iris", "model=mlp", "trainer=one_step"),
            "needs a model that is linear behind its features, and this one is",
        ),
        (
            ("data=iris", "model=softmax", "trainer=one_step", "freeze=[*.bias]"),
            "sets all weights of its model at once",
        ),
    ):
        lab.train("task=least_squares", *words, code=2)
        assert message in lab.err and lab.err.count("\n") == 1
    assert list(lab.folder.glob("outputs/*/*")) == []
    spec = DataSpec("words", (5,), 2, "next", vocabulary=("a", "b"))
    with pytest.raises(MisfitError, match="needs numbers or classes, and data 'words' has text to continue"):
        TASKS.build(Choice("least_squares"), model=nn.Linear(1, 1), spec=spec, device=cpu())


def test_the_memory_of_the_step_is_that_of_the_features_in_float64() -> None:
    words = ("data=mnist", "model=softmax", "features=random", "features.count=500", "task=least_squares")
    config, spec = composed(*words), announced("mnist")[0]
    memory = step_memory(meta_model(config, spec), config, spec, 400)
    assert memory.gradients == 0 and 2 * 400 * 500 * 8 < memory.temporary < 4 * 400 * 500 * 8


def test_the_tasks_that_take_features() -> None:
    assert [name for name in TASKS if takes_features(name)] == ["auto", "classification", "regression", "least_squares"]
