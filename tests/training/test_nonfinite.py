"""A loss or a gradient that is not finite never reaches the weights; all of it: scripts/torture R7."""

from pathlib import Path

import pytest

from torture import nan


@pytest.mark.slow
def test_a_poisoned_step_ends_the_run_before_the_update(tmp_path: Path) -> None:
    outcome = nan.run(8, 0, tmp_path)
    assert outcome.is_good, outcome.failures
    assert [good for _, good, _ in outcome.controls] == [0]
