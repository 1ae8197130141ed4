"""sweep.json: written once, read back the same, refused if anything about it is wrong."""

import json
from pathlib import Path

import pytest

from dlcourse.errors import DataError
from dlcourse.sweeps.plan import Plan, PlannedRun, read_plan, write_plan

PLAN = Plan(
    (PlannedRun(("model=mlp", "seed=1"), ("seed=1",), "1-seed=1"), PlannedRun(("model=mlp", "seed=2"), (), "2")),
    "/a/b",
    {"jobs": 2, "threads": None, "minutes": 1.5},
)


def test_a_plan_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    write_plan(tmp_path, PLAN)
    assert read_plan(tmp_path) == PLAN


def test_the_same_runs_are_the_same_however_they_are_launched() -> None:
    assert PLAN.is_same_list(Plan(PLAN.runs, "/a/b", {"jobs": 1}))
    assert not PLAN.is_same_list(Plan(PLAN.runs[:1], "/a/b", PLAN.launcher))
    assert not PLAN.is_same_list(Plan(PLAN.runs, None, PLAN.launcher))


def changed(path: Path, **entries: object) -> None:
    content = json.loads((path / "sweep.json").read_text())
    (path / "sweep.json").write_text(json.dumps(content | entries))


def test_a_damaged_plan_is_refused(tmp_path: Path) -> None:
    for text in ("", "[]", "{}", '{"sha256": 1}', "null", "[" * 100_000):
        (tmp_path / "sweep.json").write_text(text)
        with pytest.raises(DataError, match=r"sweep\.json is (damaged|of another version)"):
            read_plan(tmp_path)
    write_plan(tmp_path, PLAN)
    changed(tmp_path, config_dir="/c")
    with pytest.raises(DataError, match="differs from its checksum"):
        read_plan(tmp_path)


def test_a_plan_of_another_version_is_refused(tmp_path: Path) -> None:
    write_plan(tmp_path, PLAN)
    changed(tmp_path, format=2)
    with pytest.raises(DataError, match="is of another version of dlcourse: format 2, not 1"):
        read_plan(tmp_path)


@pytest.mark.parametrize("folder", ["../x", "/x", "", ".", ".."])
def test_a_plan_leads_nowhere_outside(folder: str, tmp_path: Path) -> None:
    write_plan(tmp_path, Plan((PlannedRun((), (), folder),)))
    with pytest.raises(DataError, match="names a folder outside of the sweep"):
        read_plan(tmp_path)
