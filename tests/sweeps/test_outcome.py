"""What a run of a sweep has come to, from its folder alone."""

import json
from pathlib import Path

import pytest

from dlcourse.errors import ConfigError, DataError
from dlcourse.runs.folder import RunFolder
from dlcourse.runs.result import RunResult
from dlcourse.sweeps.outcome import (
    CutShortError,
    RunDivergedError,
    RunFailedError,
    compared_by,
    log_of,
    outcome,
    record_failure,
)

REPORT = {
    "kept_epoch": 3,
    "epochs": 4,
    "seconds": 1.5,
    "monitor": "val/accuracy",
    "mode": "max",
    "val": {"accuracy": 0.5},
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "03-seed=1"
    folder.mkdir()
    return folder


def say(run: Path, **facts: object) -> None:
    (run / "run.json").write_text(json.dumps(facts))


def test_a_run_that_is_done_has_a_result(run: Path) -> None:
    say(run, status="done")
    (run / "report.json").write_text(json.dumps(REPORT))
    assert outcome(run) == RunResult(run, 3, 1.5, "val/accuracy", "max", {"val/accuracy": 0.5}, 4)


@pytest.mark.parametrize("text", ["", "{}", "[]", json.dumps(REPORT | {"monitor": "val/loss"})])
def test_a_result_that_cannot_be_read_is_an_error(run: Path, text: str) -> None:
    say(run, status="done")
    (run / "report.json").write_text(text)
    found = outcome(run)
    assert isinstance(found, DataError) and "report.json: it does not say what the run reached" in str(found)


def test_a_run_that_failed_says_why(run: Path) -> None:
    say(run, status="failed", reason="the loss became nan")
    found = outcome(run)
    assert isinstance(found, RunFailedError) and str(found) == "the loss became nan"


def test_a_run_that_diverged_is_told_from_others_that_failed(run: Path) -> None:
    say(run, status="failed", reason="the loss became nan", error="DivergedError")
    assert isinstance(outcome(run), RunDivergedError)
    say(run, status="failed", reason="no such data", error="DataError")
    assert not isinstance(outcome(run), RunDivergedError)


def test_results_are_compared_by_another_number(run: Path) -> None:
    result = RunResult(run, 3, 1.5, "val/accuracy", "max", {"val/accuracy": 0.5, "val/loss": 2.0, "val/top3": 0.9})
    assert compared_by(result, None, None) == result
    by_loss = compared_by(result, "val/loss", None)
    assert (by_loss.best, by_loss.mode) == (2.0, "min")
    assert compared_by(result, "val/top3", "max").best == 0.9
    with pytest.raises(ConfigError, match=r"^hydra.sweeper.metric=val/top3: say what is better with .*=max or min$"):
        compared_by(result, "val/top3", None)
    with pytest.raises(
        ConfigError, match=r"=val/acc: the runs have no such number; expected one of val/accuracy, val/"
    ):
        compared_by(result, "val/acc", "max")


def test_a_run_that_was_cut_short_names_its_log(run: Path) -> None:
    say(run, status="running")
    found = outcome(run)
    assert isinstance(found, CutShortError) and str(found) == "its process ended without a word; see 03.log"
    assert log_of(run) == run.with_name("03.log")


def test_what_was_stopped_or_not_begun_is_to_be_done(run: Path) -> None:
    assert outcome(run) is outcome(run.with_name("4")) is None
    say(run, status="stopped")
    assert outcome(run) is None


def test_a_failure_is_recorded_once_and_keeps_what_was_known(run: Path) -> None:
    record_failure(run.with_name("4-new"), "no such data")
    assert str(outcome(run.with_name("4-new"))) == "no such data"
    say(run, status="stopped", files={"config.yaml": "a sum"})
    record_failure(run, "took too long")
    record_failure(run, "something else")
    assert str(outcome(run)) == "took too long"
    assert json.loads((run / "run.json").read_text())["files"] == {"config.yaml": "a sum"}


def test_a_failure_is_not_recorded_where_another_process_works(run: Path) -> None:
    with RunFolder(run).locked():
        record_failure(run, "not mine")
    assert outcome(run) is None
