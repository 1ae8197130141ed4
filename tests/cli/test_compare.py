"""`dlcourse compare`: real runs side by side, their numbers against SciPy's, and what cannot be compared."""

import csv
import json
import os
import shutil
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import stats
from test_evaluate import TINY_IMAGES, trained

from dlcourse.cli import comparison_forms
from dlcourse.cli.main import main
from dlcourse.runs.test_looks import LEDGER
from dlcourse.sweeps import comparison
from lab import Lab
from torture.warm import compose

assert callable(comparison.settings) and callable(comparison_forms.lines)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two settings with two seeds each, of images, and runs of numbers and of text."""
    folder = tmp_path_factory.mktemp("made")
    for epochs in (1, 8):
        for seed in (1, 2):
            words = (*TINY_IMAGES[:-2], "device=cpu", f"trainer.epochs={epochs}", f"seed={seed}")
            trained(compose(*words), folder / f"epochs-{epochs}" / f"seed-{seed}")
    for degree in (1, 3):
        words = ("data=curve", "data.size=60", "model=linreg", "features=polynomial", "trainer.epochs=2", "device=cpu")
        trained(compose(*words, f"features.degree={degree}"), folder / f"degree-{degree}")
    return folder


@pytest.fixture
def runs(made: Path, lab: Lab) -> Path:
    shutil.copytree(made, "runs")
    return Path("runs")


def compared(lab: Lab, *words: str) -> dict[str, Any]:
    code = main(["compare", *words, "--json"])
    lab.out, lab.err = lab.capsys.readouterr()
    assert code == 0, lab.err
    return dict(json.loads(lab.out))


def reached(run: Path, name: str = "accuracy") -> float:
    return float(json.loads((run / "report.json").read_text())["test"][name])


def scores(run: Path, column: str) -> list[float]:
    with (run / "predictions.csv").open(newline="") as file:
        return [float(row[column]) for row in csv.DictReader(file)]


@pytest.mark.filterwarnings("ignore:Precision loss")  # SciPy's, of runs that are equal
def test_over_seeds_means_deviations_and_welch(runs: Path, lab: Lab) -> None:
    folders = [runs / f"epochs-{epochs}" / f"seed-{seed}" for epochs in (1, 8) for seed in (1, 2)]
    found = compared(lab, *map(str, folders))
    short, long = ([reached(folder) for folder in part] for part in (folders[:2], folders[2:]))
    assert [setting["options"] for setting in found["settings"]] == [
        {"trainer.epochs": "1"},
        {"trainer.epochs": "8"},
    ]
    assert [setting["seeds"] for setting in found["settings"]] == [[1, 2], [1, 2]]
    for setting, values in zip(found["settings"], (short, long), strict=True):
        assert setting["mean"]["test/accuracy"] == pytest.approx(statistics.fmean(values), abs=1e-12)
        assert setting["deviation"]["test/accuracy"] == pytest.approx(statistics.stdev(values), abs=1e-12)
    (difference,) = found["differences"]
    welch = stats.ttest_ind(long, short, equal_var=False)
    interval = welch.confidence_interval(0.95)
    over = difference["over_seeds"]
    assert (over["p"], over["low"], over["high"]) == pytest.approx((welch.pvalue, *interval), abs=1e-9)
    assert difference["mcnemar"] is None and difference["over_examples"] is not None


def test_two_classifiers_on_the_same_examples(runs: Path, lab: Lab) -> None:
    first, second = runs / "epochs-1" / "seed-1", runs / "epochs-8" / "seed-1"
    assert main(["compare", str(first), str(second)]) == 0
    out = lab.capsys.readouterr().out
    (place,) = Path("outputs/comparisons/glyphs").iterdir()
    content = json.loads((place / "comparison.json").read_text())
    right = [np.array(scores(run, "right"), dtype=bool) for run in (first, second)]
    only = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    mcnemar = content["differences"][0]["mcnemar"]
    assert (mcnemar["only_first"], mcnemar["only_second"]) == only
    assert mcnemar["p"] == pytest.approx(stats.binomtest(only[0], sum(only)).pvalue, abs=1e-9)
    assert content["differences"][0]["difference"] == pytest.approx(right[1].mean() - right[0].mean(), abs=1e-9)
    assert f"only A is right on {only[0]}, only B on {only[1]}" in out and "paired bootstrap, 40 examples" in out
    assert "A  1 " in out and str(first) in out and "B - A  test accuracy" in out
    names = ["comparison.json", "comparison.txt", "disagreements.csv", "disagreements.png", "learning_curves.png"]
    assert sorted(path.name for path in place.iterdir() if path.name != ".lock") == names
    assert (place / "comparison.txt").read_text().startswith(f"dlcourse compare {first} {second}\n")
    with Image.open(place / "learning_curves.png") as picture:
        assert picture.width > 400


def test_where_they_disagree(runs: Path, lab: Lab) -> None:
    first, second = runs / "epochs-1" / "seed-1", runs / "epochs-8" / "seed-1"
    found = compared(lab, str(first), str(second))
    (place,) = Path("outputs/comparisons/glyphs").iterdir()
    with (place / "disagreements.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    said = []
    for run in (first, second):
        with (run / "predictions.csv").open(newline="") as file:
            said.append([row["predicted"] for row in csv.DictReader(file)])
    differing = {place for place, (one, other) in enumerate(zip(*said, strict=True)) if one != other}
    assert {int(row["example"]) for row in rows} == differing == set(found["disagreements"])
    assert all((row["A"], row["B"]) == (said[0][int(row["example"])], said[1][int(row["example"])]) for row in rows)
    looks = [json.loads(line) for line in Path("outputs", LEDGER).read_text().splitlines()]
    assert [look["by"] for look in looks] == ["compare"], "it has looked at images of the test set"


def test_numbers_by_the_bootstrap_of_their_squared_errors(runs: Path, lab: Lab) -> None:
    first, second = runs / "degree-1", runs / "degree-3"
    (difference,) = compared(lab, str(first), str(second))["differences"]
    errors = [np.array(scores(run, "squared_error")) for run in (first, second)]
    assert difference["metric"] == "mse" and difference["mcnemar"] is None
    assert difference["over_examples"]["value"] == pytest.approx((errors[1] - errors[0]).mean(), abs=1e-9)
    assert reached(first, "mse") == pytest.approx(errors[0].mean(), rel=1e-6)
    assert difference["better"] in (None, "B")


def test_data_that_are_gone_and_runs_without_predictions(runs: Path, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [runs / "epochs-1" / "seed-1", runs / "epochs-8" / "seed-1"]
    for folder in folders:
        (folder / "predictions.csv").unlink()
    assert main(["compare", *map(str, folders)]) == 0
    out = lab.capsys.readouterr().out
    assert "nothing tells how sure that is: train each setting with several seeds" in out and "disagree" not in out


def test_runs_of_one_setting_have_a_mean(runs: Path, lab: Lab) -> None:
    found = compared(lab, *(str(runs / "epochs-8" / f"seed-{seed}") for seed in (1, 2)))
    assert len(found["settings"]) == 1 and found["differences"] == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_link_or_a_pipe_in_a_strangers_run_is_refused(runs: Path, lab: Lab) -> None:
    first, other = runs / "epochs-1" / "seed-1", runs / "epochs-8" / "seed-1"
    (other / "metrics.jsonl").unlink()
    os.mkfifo(other / "metrics.jsonl")
    assert main(["compare", str(first), str(other)]) == 2
    assert "metrics.jsonl is a pipe or a device" in lab.capsys.readouterr().err
    (other / "metrics.jsonl").unlink()
    (other / "metrics.jsonl").symlink_to("/etc/hostname")
    assert main(["compare", str(first), str(other)]) == 2
    assert "metrics.jsonl is a link" in lab.capsys.readouterr().err


def test_what_cannot_be_compared_is_told_in_one_line(runs: Path, lab: Lab) -> None:
    first = str(runs / "epochs-1" / "seed-1")
    other = runs / "epochs-8" / "seed-1"
    for words, told in (
        ([], "RUN is missing; write dlcourse compare"),
        ([first], f"compare takes at least 2 runs, got {first} alone; name another, or a sweep"),
        ([first, first], "compare takes at least 2 runs"),
        ([first, "nix"], "'nix' does not exist"),
        ([first, str(runs / "degree-1")], "has task 'regression' and"),
        ([first, "--jsn"], "unknown flag '--jsn'; did you mean '--json'?"),
    ):
        assert main(["compare", *words]) == 2
        err = lab.capsys.readouterr().err
        assert told in err and err.count("\n") == 1
    text = (other / "predictions.csv").read_text()
    head, one, *rest = text.splitlines()
    cells = one.split(",")
    (other / "predictions.csv").write_text("\n".join([head, ",".join([cells[0], cells[2] + "?", *cells[2:]]), *rest]))
    assert main(["compare", first, str(other)]) == 2
    assert "was tested on other 40 examples of 'glyphs' and" in lab.capsys.readouterr().err
    (other / "predictions.csv").write_text("\n".join([head, *rest]))
    assert main(["compare", first, str(other)]) == 2
    assert "predictions.csv has 39 examples, and the test set has 40" in lab.capsys.readouterr().err
    (other / "predictions.csv").write_text("example,right\n0,7\n")
    assert main(["compare", first, str(other)]) == 2
    assert "predictions.csv is damaged" in lab.capsys.readouterr().err
    facts = json.loads((other / "run.json").read_text())
    (other / "run.json").write_text(json.dumps(facts | {"status": "stopped"}))
    assert main(["compare", first, str(other)]) == 2
    assert f"{other} is not finished (stopped); write dlcourse resume {other}" in lab.capsys.readouterr().err
    assert not Path("outputs/comparisons").exists()
