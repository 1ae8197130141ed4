"""report.txt can be handed in: when, with what, on what, how well, in words."""

import json
import re
from pathlib import Path

import pytest

from dlcourse.spec import Data, DataSpec
from dlcourse.training.report_text import scores
from lab import Lab, report

SMALL = ("data=digits", "data.subset=200", "model=mlp", "model.hidden=[8]", "trainer.epochs=2", "report=light")


def text(run: Path) -> str:
    return (run / "report.txt").read_text(encoding="utf-8")


def test_it_says_when_and_how_a_run_was_done(lab: Lab) -> None:
    run = lab.train(*SMALL, "seed=3", "trainer.accumulate=2")
    found, said = report(run), text(run)
    assert said.startswith("Report: mlp on digits\n\ndlcourse train data=digits ")
    rows = dict(re.findall(r"^(\w+) {2,}(\S.*)$", said, re.MULTILINE))
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", rows["date"])
    assert rows["date"] == found["date"][:16].replace("T", " ") and re.search(r"[+-]\d\d:\d\d$", found["date"])
    assert rows["version"] == f"dlcourse {found['version']}" and rows["seed"] == "3" == str(found["seed"])
    assert rows["device"].startswith("cpu, ") and rows["device"] == found["device"]
    assert rows["optimizer"] == "adam, learning rate 0.001, cosine schedule"
    assert (found["optimizer"]["name"], found["optimizer"]["lr"], found["scheduler"]["name"]) == (
        "adam",
        0.001,
        "cosine",
    )
    assert rows["batch"] == f"{found['batch_size']} examples, gradients of 2 batches in a step"
    assert rows["training"].startswith(f"2 epochs, {found['steps']} steps, ") and found["train_seconds"] > 0


def test_numbers_have_names_and_training_is_beside_the_test(lab: Lab) -> None:
    run = lab.train(*SMALL)
    said, found = text(run), report(run)
    assert "top3" not in said
    train, val, test = (f"{100 * found[split]['accuracy']:.2f} %" for split in ("train", "val", "test"))
    assert re.search(r"^ +training +validation +test$", said, re.MULTILINE)
    assert re.search(rf"^accuracy +{train} +{val} +{test}$", said, re.MULTILINE)
    assert re.search(rf"^top-3 accuracy +- .*{100 * found['test']['top3']:.2f} %$", said, re.MULTILINE)
    low, high = (100 * share for share in found["accuracy_interval"])
    assert f"{test}   95 % interval {low:.2f} to {high:.2f} % (Wilson)\n" in said
    baseline = found["baseline"]["accuracy"]
    assert re.search(rf"^majority baseline +accuracy {100 * baseline:.2f} %   \(always '", said, re.MULTILINE)
    assert "\nmacro average " in said and "\nweighted average " in said


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ("data=diabetes", "model=linreg"),
            ["R^2  ", "mean baseline", "coefficients: change of the predicted value", "bmi "],
        ),
        (
            ("data=breast_cancer", "model=logreg"),
            ["area under ROC", "coefficients: change of the log-odds of 'benign'"],
        ),
        (("data=iris", "model=softmax"), ["coefficients: change of each class's logit", "petal length (cm)"]),
    ],
)
def test_a_linear_model_on_a_table_tells_its_coefficients(
    lab: Lab, words: tuple[str, ...], expected: list[str]
) -> None:
    run = lab.train(*words, "trainer.epochs=1", "report=light")
    for part in expected:
        assert part in text(run), text(run)
    told = report(run)["coefficients"]
    assert len(told["features"]) == len(told["weights"][0]) and len(told["outputs"]) == len(told["intercepts"])
    rows = (run / "coefficients.csv").read_text().splitlines()
    assert len(rows) == 1 + len(told["outputs"]) * (len(told["features"]) + 1)


def test_an_evaluation_has_what_the_run_has_measured(lab: Lab) -> None:
    from dlcourse.cli.main import main

    run = lab.train(*SMALL)
    assert main(["evaluate", str(run), "--json"]) == 0
    again, found = json.loads(lab.capsys.readouterr().out), report(run)
    for name in (
        "test",
        "accuracy_interval",
        "roc_auc",
        "average_precision",
        "ece",
        "ranking",
        "calibration",
        "baseline",
    ):
        assert again[name] == found[name], name


def test_a_number_that_a_split_lacks_is_a_dash() -> None:
    data = Data(DataSpec("x", (1,), 1, "value"), [0] * 5, [0] * 3, [0] * 4)  # type: ignore[arg-type]
    rows = scores("r2", {"loss": 2.0}, {"loss": 3.0, "r2": 0.5}, {"loss": 4.0, "r2": 0.25, "mse": 4.0}, data)
    assert [row.split() for row in rows] == [
        ["training", "validation", "test"],
        ["examples", "5", "3", "4"],
        ["R^2", "-", "0.5000", "0.2500"],
        ["loss", "2.0000", "3.0000", "4.0000"],
        ["mean", "squared", "error", "-", "-", "4.0000"],
    ]
