"""`dlcourse.runs`: the records of all runs below a folder, the newest last, as a table where a notebook shows them."""

import dataclasses
from pathlib import Path

import pytest

import dlcourse
from dlcourse.errors import ConfigError
from dlcourse.runs import listing
from dlcourse.runs.record import read_record
from fake_runs import config_of, leave, report_of


@pytest.fixture
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    config = config_of("digits", "cnn")
    leave(Path("outputs/b/second"), "model=cnn", "seed=3", started="2026-11-22T10:00:00+0000", config=config)
    leave(Path("outputs/c/first"), status="failed", started="2026-11-21T10:00:00+0000", reason="the loss became nan")
    return Path("outputs")


def test_every_run_is_listed_the_newest_last(outputs: Path) -> None:
    found = dlcourse.runs()
    assert found == [read_record(outputs / "c/first"), read_record(outputs / "b/second")]
    assert found == dlcourse.runs("outputs") == dlcourse.runs(Path("outputs").absolute().relative_to(Path.cwd()))
    assert dlcourse.runs(outputs / "b") == found[1:]
    assert [record.state for record in found] == ["failed", "done"]


def test_a_notebook_shows_a_row_for_each_run(outputs: Path) -> None:
    html = dlcourse.runs()._repr_html_()
    assert html.count("<tr>") == 3
    assert "accuracy 90.00 %" in html and "accuracy 80.00 %" in html and ">seed=3<" in html and ">12 s<" in html
    assert "failed: the loss became nan" in html
    head, first, second = repr(dlcourse.runs()).splitlines()
    assert head.split()[:4] == ["run", "data", "model", "options"]
    assert "failed: the loss became nan" in first and "accuracy 90.00 %" in second
    assert head.index("validation") == second.index("accuracy 90.00 %")


def test_names_of_a_strangers_run_are_no_markup(outputs: Path) -> None:
    config = config_of("<b>digits</b>", "mlp") | {"run": {"name": "<script>alert(1)</script>", "tags": []}}
    leave(outputs / "d/third", "<i>=1", config=config, report=report_of(config))
    html = dlcourse.runs()._repr_html_()
    assert "<script" not in html and "<b>" not in html and "<i>" not in html and "&lt;script&gt;" in html


def test_pandas_takes_the_list_as_it_is(outputs: Path) -> None:
    assert all(dataclasses.is_dataclass(record) for record in dlcourse.runs())
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(dlcourse.runs())
    assert list(frame["state"]) == ["failed", "done"] and frame["validation"][1] == 0.9


def test_without_a_folder_there_are_no_runs_and_one_that_is_named_must_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert dlcourse.runs() == [] and isinstance(dlcourse.runs(), listing.RunList)
    with pytest.raises(ConfigError, match=r"'nowhere' does not exist; expected the folder of a run"):
        dlcourse.runs("nowhere")
