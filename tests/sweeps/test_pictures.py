"""The pictures of a sweep hold what its runs have logged."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from dlcourse.runs.result import RunResult
from dlcourse.sweeps import pictures
from dlcourse.sweeps.outcome import record_failure
from dlcourse.sweeps.pictures import write_pictures
from dlcourse.sweeps.ranking import Job, rank
from lab import composed


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The pictures as data, by the names of their files."""
    found: dict[str, Any] = {}
    monkeypatch.setattr(pictures, "to_image", lambda captioned: captioned)
    monkeypatch.setattr(pictures, "save_png", lambda captioned, path: found.update({path.name: captioned}))
    return found


def job(folder: Path, words: list[str], values: list[float], monitor: str = "val/accuracy") -> Job:
    folder.mkdir()
    records = [
        {"step": 10 * epoch, "epoch": epoch, "time": 1.0, monitor: value} for epoch, value in enumerate(values, start=1)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return Job(words, folder, RunResult(folder, 1, 1.0, monitor, "max", {monitor: values[-1]}))


def test_curves_and_options(tmp_path: Path, drawn: dict[str, Any]) -> None:
    words = [["optimizer.lr=0.1", "seed=0"], ["optimizer.lr=0.1", "seed=1"], ["optimizer.lr=0.01", "seed=0"]]
    values = [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]
    jobs = [job(tmp_path / str(n), *both) for n, both in enumerate(zip(words, values, strict=True))]
    configs = {job.folder: composed(*job.overrides) for job in jobs}
    names = write_pictures(tmp_path, rank(jobs), configs, "a sweep")
    assert names == list(drawn) == ["sweep_curves.png", "sweep_parallel.png", "sweep_slices.png"]
    curves = drawn["sweep_curves.png"].picture
    assert drawn["sweep_curves.png"].caption == "a sweep"
    assert curves.labels == ["0.01", "0.1"]
    assert curves.curves == [[([1, 2], [0.5, 0.6])], [([1, 2], [0.1, 0.2]), ([1, 2], [0.3, 0.4])]]
    slices = drawn["sweep_slices.png"].picture
    assert (slices.options, slices.values, slices.reached) == (["optimizer.lr"], [[0.01, 0.1, 0.1]], [0.6, 0.2, 0.4])


def test_seeds_alone_have_curves_and_no_options(tmp_path: Path, drawn: dict[str, Any]) -> None:
    jobs = [job(tmp_path / str(seed), [f"seed={seed}"], [0.1]) for seed in (0, 1)]
    assert write_pictures(tmp_path, rank(jobs), {}, "") == list(drawn) == ["sweep_curves.png"]
    assert drawn["sweep_curves.png"].picture.labels == ["seeds"]


def test_twenty_runs_of_two_options_have_importances(tmp_path: Path, drawn: dict[str, Any]) -> None:
    options = [(lr, size) for lr in (0.1, 0.01) for size in range(10, 20)]
    jobs = [
        job(tmp_path / str(n), [f"optimizer.lr={lr}", f"trainer.batch_size={size}"], [lr])
        for n, (lr, size) in enumerate(options)
    ]
    configs = {job.folder: composed(*job.overrides) for job in jobs}
    assert "sweep_importances.png" in write_pictures(tmp_path, rank(jobs), configs, "")
    picture = drawn.pop("sweep_importances.png").picture
    assert (picture.metric, picture.options) == ("accuracy", ["optimizer.lr", "trainer.batch_size"])
    assert picture.shares == pytest.approx([1, 0], abs=0.02)
    assert "sweep_importances.png" not in write_pictures(tmp_path, rank(jobs[:19]), configs, "")


def test_one_option_alone_has_no_importances(tmp_path: Path, drawn: dict[str, Any]) -> None:
    jobs = [job(tmp_path / str(n), [f"optimizer.lr={n / 100}", "seed=0"], [n]) for n in range(1, 22)]
    configs = {job.folder: composed(*job.overrides) for job in jobs}
    write_pictures(tmp_path, rank(jobs), configs, "")
    assert "sweep_slices.png" in drawn and "sweep_importances.png" not in drawn


def test_the_history_of_a_search_has_its_trials_in_order(tmp_path: Path, drawn: dict[str, Any]) -> None:
    """Also one that failed; not one that has not ended."""
    reached = [0.3, None, 0.1, None, 0.2]
    folders = [tmp_path / str(n) for n in range(5)]
    jobs = [
        job(folder, [f"optimizer.lr={n}"], [value])
        for n, (folder, value) in enumerate(zip(folders, reached, strict=True), start=1)
        if value
    ]
    record_failure(folders[1], "the loss became nan")
    configs = {folder: composed(f"optimizer.lr={n}") for n, folder in enumerate(folders, start=1)}
    assert "sweep_history.png" not in write_pictures(tmp_path, rank(jobs), configs, "")
    assert "sweep_history.png" in write_pictures(tmp_path, rank(jobs), configs, "", is_search=True)
    history = drawn["sweep_history.png"].picture
    assert (history.metric, history.mode) == ("accuracy", "max")
    assert history.reached == pytest.approx([0.3, math.nan, 0.1, 0.2], nan_ok=True)
    assert history.diverged == [False, True, False, False]


def test_nothing_is_drawn_where_there_is_nothing_to_compare(tmp_path: Path, drawn: dict[str, Any]) -> None:
    one = job(tmp_path / "1", ["data=a"], [0.1])
    other = job(tmp_path / "2", ["data=b"], [0.1], "val/loss")
    assert write_pictures(tmp_path, rank([one]), {}, "") == write_pictures(tmp_path, rank([one, other]), {}, "") == []
    assert write_pictures(tmp_path, [], {}, "") == [] and drawn == {}
