"""Runs of figures before they are made: what sets them apart, and where they lie."""

import re
from dataclasses import replace
from pathlib import Path

from dlcourse.config.run_config import RunConfig
from dlcourse.lectures import planned
from lab import composed


def folder(config: RunConfig, runs: str = "outputs/lectures/runs") -> str:
    return planned.folder_of(config, Path(runs)).name


def test_own_words_are_those_that_not_all_runs_have() -> None:
    runs = [("data=moons", "seed=0", "a.b=1"), ("data=moons", "seed=1", "a.b=1")]
    assert planned.own_words(runs) == [["seed=0"], ["seed=1"]]
    assert planned.own_words(runs[:1]) == [[]]
    assert planned.own_words([]) == []


def test_the_folder_is_of_all_that_decides_the_run() -> None:
    config = composed("data=moons", "model=mlp")
    assert re.fullmatch("moons-mlp-[0-9a-f]{8}", folder(config))
    assert folder(config) == folder(composed("data=moons", "model=mlp"))
    assert folder(config) != folder(composed("data=moons", "model=mlp", "seed=1"))
    assert folder(config) == folder(replace(config, report="light"))


def test_where_files_are_is_no_matter() -> None:
    here, there = composed("data=mnist", "data.root=/here"), composed("data=mnist", "data.root=/there")
    assert folder(here) == folder(there)
    assert folder(here) != folder(composed("data=mnist", "data.subset=100"))


def test_another_version_makes_the_run_anew(monkeypatch) -> None:
    config = composed("data=moons", "model=mlp")
    before = folder(config)
    monkeypatch.setattr(planned, "__version__", "99")
    assert folder(config) != before


def test_runs_that_others_start_from_may_lie_anywhere() -> None:
    first = [replace(composed("data=moons"), init_from=f"{root}/moons-mlp-1") for root in ("/a/runs", "/b/runs")]
    assert folder(first[0], "/a/runs") == folder(first[1], "/b/runs")
    here = replace(composed("data=moons"), init_from=str(Path("runs/moons-mlp-1").absolute()))
    assert folder(here, "runs") == folder(first[0], "/a/runs")
