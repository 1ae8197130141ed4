"""`dlcourse check`, with a figure of the user's own on runs of a moment."""

import json
from pathlib import Path

import pytest

from own_figure import RUNS, folder_with_figure, run, write_figure


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return folder_with_figure(tmp_path, monkeypatch)


def test_a_check_says_ok_or_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "check", "mine")
    assert code == 0, err
    assert "1 of 1 item, 1 of 1 number within their bands" in out
    write_figure(folder / "conf", changes={"at_least: 0.6": "at_least: 0.999"})
    code, out, _ = run(capsys, "check", "mine")
    assert code == 1
    assert "OUT  outputs/lectures/mine" in out and "0 of 1 item" in out
    (row,) = json.loads((folder / "outputs/lectures/check.json").read_text())["numbers"]
    assert row["figure"] == "mine" and row["holds"] is False and row["source"] == "theory"


def test_shuffled_labels_are_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_figure(folder / "conf", f"{RUNS} data.label_noise=0.9")
    code, out, err = run(capsys, "check", "mine")
    assert code == 1, err
    assert "OUT" in out


def test_a_run_that_fails_or_has_no_data_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_figure(folder / "conf", "data=line model=linreg optimizer=sgd optimizer.lr=1e30,0.1 trainer.epochs=3")
    code, out, _ = run(capsys, "check", "mine")
    assert code == 4
    assert "failed" in out and "became" in out
    no_data = "data=mnist data.root=nowhere data.download=false trainer.epochs=1 optimizer.lr=0.1,0.01"
    write_figure(folder / "conf", no_data)
    code, out, _ = run(capsys, "check", "mine")
    assert code == 0 and "skipped" in out and "0 of 1 item" in out
    assert run(capsys, "check", "mine", "--strict")[0] == 1
    assert run(capsys, "lecture", "mine")[0] == 2
