"""Which folders are runs, and of which sweep."""

import json
import os
from pathlib import Path

import pytest

from dlcourse.runs.find import planned_runs, runs_below
from fake_runs import leave


def test_every_run_below_a_folder_is_found_with_its_sweep(tmp_path: Path) -> None:
    single, sweep = leave(tmp_path / "digits-mlp" / "a"), tmp_path / "multirun" / "b"
    first, second = leave(sweep / "1-seed=1"), leave(sweep / "2-seed=2")
    (sweep / "sweep.json").write_text("{}")
    leave(first / "samples" / "inside")  # what is below a run belongs to it
    leave(tmp_path / ".hidden")
    assert sorted(runs_below(tmp_path)) == sorted([(single, None), (first, sweep), (second, sweep)])
    assert list(runs_below(single)) == [(single, None)]
    assert sorted(runs_below(sweep)) == [(first, sweep), (second, sweep)]
    assert list(runs_below(tmp_path / "nowhere")) == []


def test_a_damaged_run_is_found_and_a_folder_of_something_else_is_not(tmp_path: Path) -> None:
    for name, files in {
        "without run.json": ["config.yaml", "metrics.jsonl"],
        "copied": ["weights.safetensors", "spec.json"],
        "hardly begun": [".lock", "run.json"],
        "claimed": [".lock"],
        "conf": ["config.yaml", "other.yaml"],
        "model": ["weights.safetensors"],
    }.items():
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).touch()
    found = {folder.name for folder, _ in runs_below(tmp_path)}
    assert found == {"without run.json", "copied", "hardly begun"}


def test_links_are_not_followed_and_depth_has_an_end(tmp_path: Path) -> None:
    run, root = leave(tmp_path / "elsewhere" / "a"), tmp_path / "outputs"
    root.mkdir()
    (root / "link").symlink_to(run)
    (root / "above").symlink_to(run.parent)
    (root / "round").symlink_to(root)
    leave(root.joinpath(*"abcdefghij"))
    assert list(runs_below(root)) == []


def test_a_folder_of_somebody_else_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, scandir = leave(tmp_path / "ours" / "a"), os.scandir
    (tmp_path / "theirs").mkdir()

    def refuse(folder: Path) -> object:
        if folder.name == "theirs":
            raise PermissionError
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    assert list(runs_below(tmp_path)) == [(run, None)]


@pytest.mark.parametrize(
    ("plan", "count"),
    [
        ({"runs": [{}, {}, {}], "search": None}, 3),
        ({"runs": [{}], "search": {"trials": 20, "seeds": None}}, 20),
        ({"runs": [{}], "search": {"trials": 20, "seeds": 3}}, 60),
        ({"runs": [{}], "search": {"trials": 20, "seeds": 3, "folds": 5}}, 300),
        ({"runs": None, "search": None}, 0),
        ({"runs": [], "search": {"trials": float("inf"), "seeds": 1}}, 0),
        ([], 0),
    ],
)
def test_how_many_runs_a_sweep_is_to_have(plan: object, count: int, tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text(json.dumps(plan))
    assert planned_runs(tmp_path) == count
