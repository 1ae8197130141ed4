"""Short runs of the harnesses of tests/torture that damage what a run writes; scripts/torture runs them at length."""

import sys
from pathlib import Path

import pytest

from torture import faults, mutate, power
from torture.outcome import Outcome

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="models Linux")


def assert_good(outcome: Outcome) -> None:
    assert outcome.failures == []
    assert outcome.is_good, outcome.row()


@pytest.mark.slow
def test_a_fault_at_any_file_call_leaves_the_right_checkpoint(tmp_path: Path) -> None:
    outcome = faults.run(0, 0, tmp_path)
    assert outcome.total >= 200
    assert_good(outcome)


def test_a_power_cut_at_any_moment_leaves_what_was_reported(tmp_path: Path) -> None:
    outcome = power.run(6, 0, tmp_path)
    assert outcome.total >= 300
    assert_good(outcome)


@pytest.mark.slow
def test_damage_is_noticed_or_does_no_harm(tmp_path: Path) -> None:
    assert_good(mutate.run(400, 0, tmp_path))
