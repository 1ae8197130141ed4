"""A run as a list of runs shows it: finished, on its way, of an older version, damaged, a stranger's."""

import fcntl
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from dlcourse.errors import ConfigError
from dlcourse.runs import record as module
from dlcourse.runs.folder import RunFolder, is_in_use
from dlcourse.runs.record import RunRecord, read_record, read_words, whole_config
from fake_runs import config_of, leave, report_of
from lab import Lab, report

WORDS = ("data=xor", "data.size=40", "model=mlp", "model.hidden=[4]", "trainer.epochs=1", "run.tags=[first,second]")


def rewrite(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file; None removes one."""
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


@pytest.mark.usefixtures("with_pictures")
def test_a_real_run_is_read_as_it_ended_also_one_of_an_older_version(lab: Lab) -> None:
    run = lab.train(*WORDS)
    assert run is not None
    reached = report(run)
    found = read_record(run)
    assert (found.state, found.name, found.data, found.model) == ("done", "xor-mlp", "xor", "mlp")
    assert (found.tags, found.words) == (("first", "second"), WORDS)
    assert (found.validation, found.test) == (reached["val"]["accuracy"], reached["test"]["accuracy"])
    assert (found.monitor, found.mode, found.epochs) == ("val/accuracy", "max", 1)
    assert found.seconds == reached["seconds"] and abs(time.time() - found.started) < 3600
    assert whole_config(found)["model"]["hidden"] == [4] and whole_config(found)["trainer"]["epochs"] == 1
    assert json.loads((run / "run.json").read_text())["steps"] == reached["steps"]
    rewrite(run / "run.json", config=None, steps=None)
    older = read_record(run)
    assert older == RunRecord(**vars(found) | {"config": older.config})
    assert whole_config(older) == whole_config(found)
    rewrite(run / "run.json", status="stopped")
    assert read_record(run).model == "mlp" and read_record(run).tags == ("first", "second")
    rewrite(run / "report.json", run=None, tags=None)
    rewrite(run / "run.json", status="done")
    assert (read_record(run).name, read_record(run).tags) == ("xor-mlp", ())


# On its way


def test_a_run_says_how_far_it_is_while_its_process_lives_and_then_that_it_was_cut_short(tmp_path: Path) -> None:
    run = leave(tmp_path / "a", status="running", step=43)
    with RunFolder(run).locked():
        found = read_record(run)
        assert (found.state, found.progress) == ("running", 0.43) and found.seconds is not None
    found = read_record(run)
    assert (found.state, found.progress, found.seconds) == ("cut short", 0.43, None)


def test_a_run_that_ends_while_it_is_looked_at_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = leave(tmp_path / "a")
    rewrite(run / "run.json", status="running")

    def end(folder: Path) -> bool:
        rewrite(folder / "run.json", status="done")
        return False

    monkeypatch.setattr(module, "is_in_use", end)
    assert read_record(run).state == "done"


@pytest.mark.parametrize(
    ("log", "facts", "progress"),
    [
        ('{"step": 60, "epoch": 7, "time": 1.0}\n', {}, 0.6),
        ('{"step": 60, "epoch": 7, "time": 1.0}\n{"step": 61, "ep', {}, 0.6),
        ('{"step": 60, "epoch": 7, "time": 1.0}\n[]\n{"step": "x"}\n\n', {}, 0.6),
        ('{"step": 60, "epoch": 7, "time": 1.0}\n', {"steps": None}, 0.6),
        ('{"step": 66, "epoch": 7, "time": 1.0}\n', {"steps": None}, 0.6),
        ('{"step": 900, "epoch": 7, "time": 1.0}\n', {}, 1.0),
        ('{"step": -9, "epoch": 7, "time": 1.0}\n', {}, 0.0),
        ('{"step": 60, "epoch": 7, "time": 1.0}\n', {"steps": 0, "config": {}}, None),
        ("", {}, 0.0),
        (None, {}, None),
    ],
)
def test_progress_is_in_steps_or_else_in_epochs(
    log: str | None, facts: dict[str, Any], progress: float | None, tmp_path: Path
) -> None:
    run = leave(tmp_path / "a", status="stopped", **facts)
    if log is not None:
        (run / "metrics.jsonl").write_text(log)
    assert (read_record(run).state, read_record(run).progress) == ("stopped", progress)


def test_of_a_long_log_only_the_end_is_read(tmp_path: Path) -> None:
    run = leave(tmp_path / "a", status="stopped")
    with (run / "metrics.jsonl").open("wb") as log:
        log.truncate(2**40)  # more than there is memory for
        log.seek(0, os.SEEK_END)
        log.write(b'\n{"step": 20, "epoch": 2, "time": 1.0}\n')
    assert read_record(run).progress == 0.2


def test_a_failed_run_says_why(tmp_path: Path) -> None:
    run = leave(tmp_path / "a", status="failed", reason="the loss became nan")
    assert (read_record(run).state, read_record(run).reason) == ("failed", "the loss became nan")


# The lock


def test_looking_at_a_lock_makes_none_and_takes_none(tmp_path: Path) -> None:
    assert not is_in_use(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with RunFolder(tmp_path).locked() as run:
        text = (tmp_path / ".lock").read_text()
        assert is_in_use(tmp_path) and is_in_use(tmp_path)
        run.require_in_place()
        with pytest.raises(ConfigError, match="is in use by process"), RunFolder(tmp_path).locked():
            pass
        assert (tmp_path / ".lock").read_text() == text
    assert not is_in_use(tmp_path)


def test_a_run_that_begins_while_its_lock_is_looked_at_begins(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    descriptor = os.open(tmp_path / ".lock", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    threading.Timer(0.05, os.close, [descriptor]).start()
    with RunFolder(tmp_path).locked() as run:
        run.require_in_place()


def test_two_that_look_at_a_lock_at_once_take_each_other_for_no_run(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    with (tmp_path / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        assert not is_in_use(tmp_path)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/null")])
def test_a_lock_of_a_stranger_is_not_waited_for(make: Any, tmp_path: Path) -> None:
    make(tmp_path / ".lock")
    assert is_in_use(tmp_path) in (True, False)


# Damaged


def _link(run: Path, name: str) -> None:
    elsewhere = run.parent / f"elsewhere-{name}"
    elsewhere.write_text(json.dumps(report_of(config_of("secret", "secret"))))
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(elsewhere)


def _pipe(run: Path, name: str) -> None:
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("run.json", None, "cannot read run.json: no such file or directory"),
        ("run.json", "", "run.json is damaged, it cannot be read"),
        ("run.json", "[" * 100_000, "run.json is damaged, it cannot be read"),
        ("run.json", "[1]", "run.json is damaged, it cannot be read"),
        ("run.json", "{}", "run.json is damaged, it has no status"),
        ("run.json", '{"status": ["done"]}', "run.json is damaged, it has no status"),
        ("run.json", _link, "run.json is a link, which dlcourse does not make"),
        ("run.json", _pipe, "run.json is not a file of dlcourse: it is too large, or not a regular file"),
        ("report.json", None, "cannot read report.json: no such file or directory"),
        ("report.json", "{", "cannot read report.json: it does not say what the run reached"),
        ("report.json", '{"val": {"loss": 1e999}}', "cannot read report.json: it does not say what the run reached"),
        ("report.json", _link, "report.json is a link, which dlcourse does not make"),
        ("overrides.yaml", _link, "overrides.yaml is a link, which dlcourse does not make"),
        ("metrics.jsonl", _link, "metrics.jsonl is a link, which dlcourse does not make"),
        ("config.yaml", _link, "config.yaml is a link, which dlcourse does not make"),
    ],
)
def test_what_is_damaged_is_told_and_nothing_else_is_believed(
    name: str, content: Any, reason: str, tmp_path: Path
) -> None:
    run = leave(tmp_path / "digits-mlp" / "a", "model=mlp")
    if content is None:
        (run / name).unlink()
    elif callable(content):
        content(run, name)
    else:
        (run / name).write_text(content)
    found = read_record(run)
    assert (found.state, found.reason, found.name) == ("damaged", reason, "digits-mlp")
    assert (found.data, found.validation, dict(found.config), whole_config(found)) == ("", None, {}, {})


@pytest.mark.parametrize(
    "changes",
    [
        {"kept_epoch": float("inf")},
        {"seconds": "x"},
        {"val": []},
        {"val": {"accuracy": "high"}},
        {"epochs": "ten"},
        {"val": {"accuracy": 10**400}},
    ],
)
def test_numbers_that_are_none_are_damage(changes: dict[str, Any], tmp_path: Path) -> None:
    run = leave(tmp_path / "a", report=report_of(config_of("digits", "mlp")) | changes)
    assert read_record(run).reason == "cannot read report.json: it does not say what the run reached"


def test_what_a_listing_can_do_without_is_left_out(tmp_path: Path) -> None:
    config = {"model": {"name": 3}, "data": "x", "run": {"name": ["x"], "tags": {}}, "trainer": []}
    run = leave(tmp_path / "own" / "a", "model=mine", "no option", config=config, started="yesterday", report={})
    (run / "report.json").write_text(json.dumps(report_of(config_of("digits", "mlp"), test="high")))
    found = read_record(run)
    assert (found.state, found.name, found.data, found.model) == ("done", "own", "", "mine")
    assert (found.test, found.tags) == (None, ()) and abs(found.started - time.time()) < 3600
    (run / "overrides.yaml").write_bytes(b"- \xff\n")
    assert read_words(run) == () and read_record(run).state == "done"


def test_a_time_that_no_calendar_has_is_shown_as_one_that_it_has(tmp_path: Path) -> None:
    for started in ("0001-01-01T00:00:00+2300", "9999-12-31T23:59:59-2300"):
        found = read_record(leave(tmp_path / "a", started=started))
        assert 0 <= found.started < 10**11


def test_an_unfinished_run_without_its_config_is_called_by_what_was_typed_for_it(tmp_path: Path) -> None:
    run = leave(tmp_path / "a", "model=mine", status="stopped")
    rewrite(run / "run.json", config=None)
    found = read_record(run)
    assert (found.state, found.model, whole_config(found)) == ("stopped", "mine", {})
    (run / "config.yaml").write_text("model: [\n")
    found = read_record(run)
    assert found.state == "damaged" and found.reason.startswith("config.yaml line 2: ")
