"""Seeds are repetitions: means and deviations as NumPy's, ranks by the mean, ties by the loss."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from dlcourse.errors import DivergedError
from dlcourse.runs.result import RunResult
from dlcourse.sweeps.ranking import Job, rank
from dlcourse.sweeps.summary import write_summary


def job(words: str, accuracy: float, loss: float = 0.5, mode: str = "max") -> Job:
    folder = Path(words.replace(" ", ","))
    scalars = {"val/accuracy": accuracy, "val/loss": loss}
    return Job(words.split(), folder, RunResult(folder, 3, 1.0, "val/accuracy", mode, scalars))


def random_jobs() -> tuple[list[Job], dict[str, list[float]]]:
    random = np.random.default_rng(0)
    values = {model: list(random.random(4)) for model in ("a", "b", "c")}
    return [job(f"model={model} seed={seed}", values[model][seed]) for seed in range(4) for model in values], values


def test_means_deviations_and_ranks_are_numpys() -> None:
    jobs, values = random_jobs()
    groups = rank(jobs)
    assert [group.words[0] for group in groups] == [
        f"model={model}" for model in sorted(values, key=lambda model: -np.mean(values[model]))
    ]
    for group in groups:
        of_group = values[group.words[0].partition("=")[2]]
        assert group.mean("val/accuracy") == pytest.approx(np.mean(of_group), rel=1e-14)
        assert group.deviation("val/accuracy") == pytest.approx(np.std(of_group, ddof=1), rel=1e-12)
        assert group.best_run.best == max(of_group)


def test_equal_ones_stand_in_the_order_of_their_loss() -> None:
    groups = rank([job("x=1", 0.9, 0.3), job("x=2", 0.9, 0.1), job("x=3", 0.9, math.nan), job("x=4", 0.9, 0.2)])
    assert [group.words for group in groups] == [("x=2",), ("x=4",), ("x=1",), ("x=3",)]


def test_a_seed_that_is_nan_makes_the_mean_nan() -> None:
    bad, good = rank([job("x=1 seed=0", 0.9), job("x=1 seed=1", math.nan), job("x=2 seed=0", 0.1)])[::-1]
    assert math.isnan(bad.mean("val/accuracy")) and math.isnan(bad.deviation("val/accuracy") or 0)
    assert good.deviation("val/accuracy") is None


def test_the_same_words_twice_are_two_runs() -> None:
    jobs = [Job([], Path(name), job("x=1", 0.5).outcome) for name in ("1", "2")]
    assert [len(group.runs) for group in rank(jobs)] == [1, 1]


def test_the_files_of_a_summary(tmp_path: Path) -> None:
    failed = Job(["model=a|b", "seed=1"], Path("f"), DivergedError("the loss became nan"))
    jobs = [job("model=a|b seed=0", 0.5), job("model=c seed=0", 0.75), job("model=c seed=1", 0.25), failed]
    write_summary(tmp_path, [*jobs, Job(["model=d", "seed=0"], Path("d"))])
    assert (tmp_path / "summary.txt").read_text() == (
        """\
ranked by val/accuracy (higher is better), mean ± standard deviation over seeds; the test set has no part in it
rank  model       val/accuracy    val/loss  epoch   time  runs  best run
1     a|b              50.00 %      0.5000      3  1.0 s     1  model=a|b,seed=0
2     c      50.00 % ± 35.36 %  0.5000 ± 0      3  1.0 s     2  model=c,seed=0
failed  model=a|b seed=1: error: the loss became nan
not run  1 of 5, interrupted
"""
    )
    assert (
        "| 1 | a\\|b | 50.00 % | 0.5000 | 3 | 1.0 s | 1 | model=a\\|b,seed=0 |" in (tmp_path / "summary.md").read_text()
    )
    content = json.loads((tmp_path / "summary.json").read_text())
    assert content["ranked"][1]["deviation"] == {"val/accuracy": pytest.approx(0.25 * math.sqrt(2)), "val/loss": 0.0}
    assert content["failed"][0]["options"] == {"model": "a|b", "seed": "1"}
    assert content["not_run"] == [{"model": "d", "seed": "0"}]
