"""`data.k_fold`: a sweep over the folds with one row for each setting, whose numbers are scikit-learn's."""

import json
import os

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dlcourse.api.train import train
from dlcourse.cli.folds import asks_for_all_folds
from dlcourse.cli.hydra_overrides import parse
from dlcourse.config.registry import Choice
from dlcourse.data import DATASETS
from dlcourse.errors import ConfigError
from dlcourse.runs.reopen import read_config
from dlcourse.sweeps.folds import folds_of, with_folds
from dlcourse.sweeps.plan import read_plan
from sweep_lab import Sweeps, rows

NEEDS_FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
SHORT = ("report=light", "trainer.epochs=1")


@NEEDS_FORK
def test_logistic_regression_has_the_numbers_of_cross_validate(sweeps: Sweeps) -> None:
    """Full-batch training to the minimum of scikit-learn's objective, C=1: a decay of 1 / (C * n), n = 80 examples."""
    minimum = ("trainer=full_batch", "trainer.epochs=500", "trainer.eval_every=500", "trainer.log_every=500")
    descent = ("optimizer=momentum", "optimizer.lr=1", "optimizer.decay_bias=false", f"optimizer.weight_decay={1 / 80}")
    words = ("data=iris", "model=logreg", "data.k_fold=3", *minimum, *descent, "report=light", "device=cpu")
    assert sweeps.attempt(*words) == 0, sweeps.err
    (folder,) = (sweeps.folder / "outputs/multirun").iterdir()
    tables = DATASETS.build(Choice("iris")).load()  # type: ignore[attr-defined]
    expected = cross_validate(
        make_pipeline(StandardScaler(), LogisticRegression(C=1, tol=1e-10, max_iter=10_000)),
        tables.train_inputs.double().numpy(),
        tables.train_targets.numpy(),
        cv=StratifiedKFold(3, shuffle=True, random_state=0),
        scoring=["accuracy", "neg_log_loss"],
    )
    by_fold = sorted(rows(folder), key=lambda row: int(row["data.fold"]))
    assert [float(row["val/accuracy"]) for row in by_fold] == expected["test_accuracy"].tolist()
    assert np.allclose([float(row["val/loss"]) for row in by_fold], -expected["test_neg_log_loss"], atol=1e-5)
    (row,) = json.loads((folder / "summary.json").read_text())["ranked"]
    assert row["mean"]["val/accuracy"] == pytest.approx(expected["test_accuracy"].mean(), abs=1e-12)
    assert row["deviation"]["val/accuracy"] == pytest.approx(expected["test_accuracy"].std(ddof=1), abs=1e-12)
    assert [run["data.fold"] for run in row["runs"]] == ["0", "1", "2"]
    shown = f"{100 * row['mean']['val/accuracy']:.2f} % ± {100 * row['deviation']['val/accuracy']:.2f} %"
    assert "mean ± standard deviation over folds; the test set has no part in it" in sweeps.out and shown in sweeps.out


@pytest.mark.slow
@NEEDS_FORK
def test_each_setting_is_a_row_and_the_sweep_resumes(sweeps: Sweeps) -> None:
    words = ("optimizer.lr=0.1,0.01", "data.k_fold=3", *SHORT)
    folder = sweeps.sweep(*words)
    ranked = json.loads((folder / "summary.json").read_text())["ranked"]
    assert [len(row["runs"]) for row in ranked] == [3, 3]
    assert {row["options"]["optimizer.lr"] for row in ranked} == {"0.1", "0.01"}
    (folder / "4-optimizer.lr=0.01,data.fold=0" / "run.json").unlink()
    assert sweeps.sweep(*words, "resume=auto") == folder
    assert sweeps.out.count("\nrun    ") == 1 and "5 are done" in sweeps.out
    assert sweeps.resume(str(folder)) == 0
    assert json.loads((folder / "summary.json").read_text())["ranked"][0]["mean"] == ranked[0]["mean"]


@pytest.mark.slow
@NEEDS_FORK
def test_a_search_judges_each_setting_by_the_mean_over_its_folds(sweeps: Sweeps) -> None:
    pytest.importorskip("optuna")
    rate = "optimizer.lr=tag(log,interval(1e-3,1e-1))"
    search = ("hydra/sweeper=search", "hydra.sweeper.trials=2", "hydra.sweeper.seeds=2", "data.k_fold=2")
    folder = sweeps.sweep(*search, rate, *SHORT)
    assert "2 trials of 2 seeds and 2 folds (tpe)" in sweeps.out
    ranked = json.loads((folder / "summary.json").read_text())["ranked"]
    assert [len(row["runs"]) for row in ranked] == [4, 4]
    assert [run["seed"] + run["data.fold"] for run in ranked[0]["runs"]] == ["00", "01", "10", "11"]
    assert sweeps.attempt("-m", *search[:2], "data=xor", "data.k_fold=2,3", rate) == 2
    assert "each setting of a search is the mean over all its folds; write data.k_fold=5" in sweeps.err


@NEEDS_FORK
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("data=iris data.k_fold=1", "data.k_fold must be a whole number >= 2 or null, got 1"),
        ("data=iris data.k_fold=five", "data.k_fold must be a whole number >= 2 or null, got 'five'"),
        (
            "data=iris data.subset=6 data.k_fold=3",
            "class 'setosa' has 2 training examples, too few for one in each fold",
        ),
        ("data=iris data.k_fold=20000", "the sweep has more than 10000 runs with all folds"),
        ("data=cartpole model=mlp data.k_fold=5", "data 'cartpole' has no separate training examples to divide"),
        ("data=grammar model=gru data.k_fold=5", "data 'grammar' has no separate training examples to divide"),
        ("data=iris data.k_fold=5 model=mlp,softmax", "add -m to run them all"),
        ("data=iris data.k_fold=5 run.dir=here", "write run.root=FOLDER"),
        ("data=iris data.kfold=5", "did you mean 'data.k_fold'?"),
        ("data=csv data.file=gone.csv data.target=y data.k_fold=5", "gone.csv"),
    ],
)
def test_bad_input_is_one_line_before_the_first_run(sweeps: Sweeps, words: str, message: str) -> None:
    assert sweeps.attempt(*words.split()) == 2
    assert message in sweeps.err and sweeps.err.count("\n") == 1
    assert not (sweeps.folder / "outputs").exists()


def test_one_fold_is_a_plain_run(sweeps: Sweeps) -> None:
    run = sweeps.train("data=iris", "data.k_fold=5", "data.fold=4", *SHORT)
    assert run is not None and "96 train / 24 val / 30 test" in sweeps.out
    assert read_config(run).data.options["fold"] == 4


def test_from_python_a_fold_must_be_named(sweeps: Sweeps) -> None:
    with pytest.raises(ConfigError, match=r"data.k_fold=5 makes 5 runs, and this is one; write data.fold=0"):
        train("data=iris", "data.k_fold=5")


def test_the_folds_come_behind_the_words_of_each_run() -> None:
    runs = [["model=mlp", "data.k_fold=2"], ["model=cnn", "data.k_fold=null"]]
    assert with_folds(runs) == [
        ["model=mlp", "data.k_fold=2", "data.fold=0"],
        ["model=mlp", "data.k_fold=2", "data.fold=1"],
        ["model=cnn", "data.k_fold=null", "data.fold=null"],
    ]
    assert with_folds([["seed=0"]], 3) == [["seed=0", f"data.fold={fold}"] for fold in range(3)]
    assert with_folds([["seed=0"]]) == [["seed=0"]]
    assert folds_of(["data.k_fold=5", "data.fold=2"]) == 0


@pytest.mark.parametrize(
    ("words", "asks"),
    [
        (["data.k_fold=5"], True),
        (["data.k_fold=5", "data.fold=null"], True),
        (["data.k_fold=5", "data.fold=0"], False),
        (["data.k_fold=null"], False),
        (["data=iris"], False),
        (["data.k_fold=5", "seed=0,1"], False),
    ],
)
def test_all_folds_are_asked_for_by_the_number_alone(words: list[str], asks: bool) -> None:
    assert asks_for_all_folds(parse(words)) is asks


@pytest.mark.slow
@NEEDS_FORK
def test_an_experiment_may_ask_for_folds(sweeps: Sweeps) -> None:
    path = sweeps.folder / "own/experiment/cv.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("# @package _global_\n# Folds.\ndefaults:\n  - override /data: iris\ndata: {k_fold: 3}\n")
    assert sweeps.attempt("-m", "experiment=cv", "--config-dir", "own", *SHORT) == 0, sweeps.err
    (folder,) = (sweeps.folder / "outputs/multirun").iterdir()
    assert [run.varied for run in read_plan(folder).runs] == [(f"data.fold={fold}",) for fold in range(3)]
