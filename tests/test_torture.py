"""The harnesses at full length, as scripts/torture runs them: `scripts/test -m slow tests/test_torture.py`."""

import subprocess
import sys
from pathlib import Path

import pytest

from torture.table import HARNESSES

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("goal", HARNESSES)
def test_a_goal_at_full_length(goal: str) -> None:
    ended = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "torture"), goal], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
