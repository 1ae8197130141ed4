import json
import os
from pathlib import Path

import pytest

from dlcourse.files import FilePrefix
from dlcourse.runs.metrics_log import MetricsLog, read_metrics


def record(step: int) -> dict[str, float]:
    return {"step": step, "epoch": 1, "time": 0.5, "train/犬": 0.25}


def test_what_is_synced_is_the_whole_file(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "log")
    assert log.sync() == FilePrefix.of(b"")
    log.append(record(1))
    assert log.sync() == FilePrefix.of((tmp_path / "log").read_bytes())
    assert list(read_metrics(tmp_path / "log")) == [record(1)]
    log.close()
    log.close()


def test_what_came_after_the_start_is_cut_off(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "log")
    log.append(record(1))
    start = log.sync()
    log.append(record(2))
    log.close()
    again = MetricsLog(tmp_path / "log", start)
    again.append(record(3))
    assert again.sync() == FilePrefix.of((tmp_path / "log").read_bytes())
    again.close()
    assert list(read_metrics(tmp_path / "log")) == [record(1), record(3)]


def test_a_log_that_nobody_touched_is_not_lost(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "log")
    log.append(record(1))
    log.require_intact()
    log.append(record(2))
    start = log.sync()
    log.close()
    again = MetricsLog(tmp_path / "log", start)
    assert (again.lost, again.sync()) == ("", start)
    again.close()


def test_what_is_set_aside_takes_no_name_that_is_there(tmp_path: Path) -> None:
    start = FilePrefix.of(b"the log as it was\n")
    for content in ("one", "two", "three"):
        (tmp_path / "log").write_text(content)
        log = MetricsLog(tmp_path / "log", start)
        assert log.lost and log.sync() == FilePrefix.of(b"")
        log.close()
    names = ("damaged-log", "damaged-log-2", "damaged-log-3")
    assert [(tmp_path / name).read_text() for name in names] == ["one", "two", "three"]


def test_a_run_that_begins_anew_begins_an_empty_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_text('{"step": 1}\n')
    MetricsLog(tmp_path / "log").close()
    assert (tmp_path / "log").read_bytes() == b""


def test_a_torn_last_line_is_not_read(tmp_path: Path) -> None:
    lines = "".join(json.dumps(record(step)) + "\n" for step in (1, 2, 3))
    (tmp_path / "log").write_text(lines[:-20])
    assert list(read_metrics(tmp_path / "log")) == [record(1), record(2)]


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="needs a system that can refuse links")
def test_a_link_in_a_strangers_folder_does_not_empty_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    (tmp_path / "log").symlink_to(tmp_path / "mine")
    with pytest.raises(OSError):
        MetricsLog(tmp_path / "log")
    assert (tmp_path / "mine").read_text() == "precious"
