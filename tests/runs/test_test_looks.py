"""The ledger of looks at test sets: every look counts, whoever else writes and whatever stands there."""

import json
import multiprocessing
import os
from pathlib import Path

import pytest

from dlcourse.errors import OutputError
from dlcourse.runs.test_looks import LEDGER, Look, count_looks, record_look, root_above, times
from dlcourse.training.test_set import measure_on_test

assert callable(measure_on_test)
LOOK = Look("digits", "abc", 359, "train", "outputs/run")


def test_each_look_counts_by_test_set(tmp_path: Path) -> None:
    root = str(tmp_path / "new" / "outputs")
    assert count_looks("abc", root) == 0
    assert [record_look(LOOK, root) for _ in range(3)] == [1, 2, 3]
    assert record_look(Look("digits", "other", 10, "evaluate", ""), root) == 1
    assert (count_looks("abc", root), count_looks("nobody", root)) == (3, 0)
    lines = [json.loads(line) for line in (tmp_path / "new" / "outputs" / LEDGER).read_text().splitlines()]
    assert list(lines[0]) == ["time", "data", "test", "examples", "by", "run"] and lines[3]["by"] == "evaluate"


def test_damaged_lines_do_not_count(tmp_path: Path) -> None:
    (tmp_path / LEDGER).write_bytes(b'{"test": "abc"}\nnull\n[]\n{"test": 3}\n\xff{\n{"test": "abc"')
    assert count_looks("abc", str(tmp_path)) == 1


def _look_often(root: str) -> None:
    for _ in range(50):
        record_look(LOOK, root)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_runs_side_by_side_lose_none(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_look_often, args=(str(tmp_path),)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert count_looks("abc", str(tmp_path)) == 200


def test_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("mine\n")
    (tmp_path / LEDGER).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError):
        record_look(LOOK, str(tmp_path))
    assert (tmp_path / "elsewhere").read_text() == "mine\n"


@pytest.mark.parametrize(
    ("run", "root", "expected"),
    [("own/a/b", "own", "own"), ("elsewhere", "own", "outputs"), ("own", "own", "outputs"), ("a", "/etc", "outputs")],
)
def test_a_root_that_a_run_does_not_lie_in_is_not_written_to(run: str, root: str, expected: str) -> None:
    assert root_above(Path(run), root) == expected


def test_counts_in_words() -> None:
    assert [times(count) for count in (1, 2, 3, 1200)] == ["once", "twice", "3 times", "1,200 times"]
