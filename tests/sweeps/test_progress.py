"""The lines of a sweep: what begins, what ends and how, and which file tells more."""

from pathlib import Path
from typing import Any

import pytest

from dlcourse.runs.result import RunResult
from dlcourse.sweeps.agenda import Agenda
from dlcourse.sweeps.outcome import CutShortError, RunFailedError
from dlcourse.sweeps.plan import Plan, PlannedRun
from dlcourse.sweeps.progress import RunLines

NONE: Any = None


def test_a_line_for_each_beginning_and_each_end(capsys: pytest.CaptureFixture[str]) -> None:
    plan = Plan(tuple(PlannedRun((), (f"seed={seed}", "model=mlp"), str(seed)) for seed in range(10)))
    lines = RunLines(Agenda(plan, [NONE] * 10, range(10)))
    result = RunResult(Path(), 2, 0.5, "val/accuracy", "max", {"val/accuracy": 0.9}, 3)
    with lines:
        lines.note("note", "4 jobs share 2 processors")
        lines.begun(0)
        lines.ended(0, result, "01.log")
        lines.ended(1, RunFailedError("a defect"), "02.log")
        lines.ended(2, CutShortError("its process ended without a word; see 03.log"), "03.log")
        lines.ended(3, None, "04.log", is_stopped=True)
        lines.ended(9, None, "10.log")
    assert capsys.readouterr().out.splitlines() == [
        "note   4 jobs share 2 processors",
        "run     1 of 10  seed=0 model=mlp",
        "done    1 of 10  val/accuracy 90.00 %   epoch 2   500 ms",
        "failed  2 of 10  a defect; see 02.log",
        "failed  3 of 10  its process ended without a word; see 03.log",
        "stop    4 of 10  saved",
        "failed 10 of 10  ended too early; see 10.log",
    ]
