"""What is refused, each in one line and with nothing left behind: the table is in torture/bad_input.py."""

from pathlib import Path

import pytest
import torch

from dlcourse.cli.main import main
from torture import bad_input
from torture.bad_input import CASES, ELSEWHERE, Case

QUICK = (7, 34, 57, 58, 60, 61, 62, 63, 64, 65, 69)
"""Rows of commands that compose no config, which takes 0.3 s."""


def _chosen() -> list[Case]:
    """The first case of each row, and all of those that are quick; scripts/torture runs the others too."""
    first = {case.row: case for case in reversed(CASES)}.values()
    return [case for case in CASES if case.row in QUICK or case in first]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bad_input.make_runs(tmp_path_factory.mktemp("runs"))


@pytest.mark.parametrize("case", _chosen(), ids=lambda case: case.name)
def test_a_mistake_is_one_line_and_leaves_nothing(case: Case, runs: Path, tmp_path: Path) -> None:
    if case.command == "train device=cuda" and torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    if case.command == "train device=mps" and torch.backends.mps.is_available():
        pytest.skip("this machine has an Apple GPU")
    assert bad_input.problem(case, runs, tmp_path / "work") == ""


def test_every_row_of_the_table_has_its_cases() -> None:
    rows = {case.row for case in CASES}
    assert rows | ELSEWHERE == set(range(1, 83))
    assert not rows & ELSEWHERE
    assert len(CASES) >= 150


def test_a_check_that_is_left_out_is_noticed(tmp_path: Path) -> None:
    outcome = bad_input.run(1, 0, tmp_path)
    assert outcome.is_good, outcome.failures
    assert [good for _, good, _ in outcome.controls] == [0]


def test_no_arguments_print_the_help_as_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "dlcourse train" in capsys.readouterr().err
    assert main(["--help"]) == 0
    assert "dlcourse train" in capsys.readouterr().out
