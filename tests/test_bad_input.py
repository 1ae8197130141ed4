"""What is refused, each in one line and with nothing left behind: the table is in torture/bad_input.py."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dlcourse import cli
from torture import bad_input
from torture.bad_input import CASES, ELSEWHERE, WAITS, Case

QUICK = (57, 58, 60, 61, 62, 63, 64, 65, 69)
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
    assert rows | WAITS | ELSEWHERE == set(range(1, 83))
    assert not rows & (WAITS | ELSEWHERE)
    assert len(CASES) >= 150


def test_a_check_that_is_left_out_is_noticed(tmp_path: Path) -> None:
    outcome = bad_input.run(1, 0, tmp_path)
    assert outcome.is_good, outcome.failures
    assert [good for _, good, _ in outcome.controls] == [0]


def test_no_arguments_print_the_help_as_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "dlcourse train" in capsys.readouterr().err
    assert cli.main(["--help"]) == 0
    assert "dlcourse train" in capsys.readouterr().out


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"], check=False).returncode != 0:
        pytest.skip("this machine lets no one mount a small file system")
    script = (
        f"mount -t tmpfs -o size=16k none {tmp_path} && "
        f"{sys.executable} -m dlcourse train data=digits trainer.epochs=1 run.root={tmp_path}/outputs"
    )
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    errors = [line for line in done.stderr.splitlines() if "warning" not in line]
    assert len(errors) == 1
    assert errors[0].startswith("dlcourse: error: cannot write in ")
    assert "no space left on device" in errors[0]
