"""`dlcourse lecture`, with a figure of the user's own on runs of a moment."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dlcourse.cli.main import main
from dlcourse.lectures.drawing import read_drawn
from dlcourse.runs.weights import read_tensors
from own_figure import folder_with_figure, run, write_figure

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return folder_with_figure(tmp_path, monkeypatch)


def runs_in(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "outputs/lectures/runs").iterdir() if path.is_dir())


def test_the_figures_are_listed_without_torch(folder: Path) -> None:
    listing = "from dlcourse.cli.main import main; main(['lecture', '--config-dir', 'conf'])"
    code = f"import sys; {listing}; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "A  machine learning" in out and "A3" in out and "Mine" in out and "learning_rates" in out
    assert out.endswith("False\n")


def test_a_figure_is_its_runs_a_picture_numbers_and_a_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "lecture", "mine")
    assert code == 0, err
    made = folder / "outputs/lectures/mine"
    drawn = read_drawn(made)
    accuracy = drawn.numbers["optimizer.lr=0.1 test/accuracy"]
    assert f"It is {100 * accuracy:.1f} %." in out and "theory" in out and "ok" in out
    assert (made / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert (made / "text.ja.md").read_text(encoding="utf-8") == f"正解率 {100 * accuracy:.1f} % である。\n"
    assert sorted(run["folder"] for run in drawn.content["runs"]) == [path.name for path in runs_in(folder)]
    report = json.loads((runs_in(folder)[0] / "report.json").read_text())
    assert report["device"] == "cpu, 1 thread"


def test_what_is_done_is_used_again_and_japanese_is_asked_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "lecture", "mine")
    before = [(path / "report.json").stat().st_mtime_ns for path in runs_in(folder)]
    code, out, _ = run(capsys, "lecture", "mine", "--lang", "ja")
    assert code == 0 and "私の図" in out and "正解率" in out
    assert "iris-softmax" not in out, "no run is made"
    assert [(path / "report.json").stat().st_mtime_ns for path in runs_in(folder)] == before


def test_a_figure_is_drawn_from_runs_of_the_user(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_figure(folder / "conf", changes={"optimizer.lr=0.1 test/accuracy": "a test/accuracy"})
    for name in ("a", "b"):
        assert main(["train", "data=iris", "model=softmax", "trainer.epochs=2", "report=light", f"run.dir={name}"]) == 0
    code, out, err = run(capsys, "lecture", "mine", "lecture.runs=[a,b]")
    assert code == 0, err
    assert not (folder / "outputs/lectures/runs").exists() or not runs_in(folder)
    assert "a test/accuracy" in out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["landscap"], "unknown lecture 'landscap'"),
        (["A99"], "unknown item 'A99'; items are A1 to A30, B1 to B7, C1 to C8, D1 to D10"),
        (
            ["mine", "model=cnn"],
            "model is fixed by this figure; dlcourse train model=cnn trains one, and lecture.runs=[RUN]",
        ),
        (["mine", "optimizer.lr=3"], "optimizer.lr is fixed by this figure"),
        (["mine", "lg=true"], "unknown option 'lecture.lg'; did you mean 'lecture.log'?"),
        (["mine", "log=3"], "lecture.log must be true or false, got 3"),
        (["mine", "--lang", "fr"], "--lang must be en or ja, got 'fr'"),
        (["mine", "--ful"], "unknown flag '--ful'; did you mean '--full'?"),
        (["mine", "runs=a"], "lecture.runs must be a list of run folders, got 'a'; write lecture.runs=[a]"),
        (["mine", "runs=[none]"], "none' does not exist"),
        (["A3", "log=true"], "'log=true' is for one figure, and 2 were asked for"),
        (["log=true"], "'log=true' is for one figure, and 0 were asked for"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    code, _, err = run(capsys, "lecture", *words)
    assert code == 2
    assert says in err and len(err.splitlines()) == 1
    assert not (folder / "outputs").exists()


def test_a_strangers_figure_can_name_words_of_train_only(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for runs, says in (
        ("data=iris hydra.run.dir=/tmp/x", "hydra"),
        ("data=iris +model._target_=os.system", "_target_"),
        ("data=nowhere", "unknown data 'nowhere'"),
        ("data=iris run.dir=here", "run.dir"),
    ):
        write_figure(folder / "conf", runs)
        code, _, err = run(capsys, "lecture", "mine")
        assert code == 2 and says in err, err
        assert not (folder / "outputs").exists()


@pytest.mark.slow
@needs_fork
def test_a_figure_cut_short_goes_on_and_ends_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command is killed, with its workers, in the middle of its runs, and typed again elsewhere for comparison."""
    long = "data=iris model=softmax trainer.epochs=100 trainer.checkpoint.steps=20 optimizer.lr=0.1,0.01"
    write_figure(folder / "conf", long)
    process = subprocess.Popen(
        [sys.executable, "-m", "dlcourse", "lecture", "mine", "--config-dir", "conf"],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    began = folder / "outputs/lectures/runs"
    while process.poll() is None and not list(began.glob("*/checkpoints/step-*[1-9]*")):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert any(not (path / "report.json").exists() for path in runs_in(folder)), "it was killed in the middle"
    assert run(capsys, "lecture", "mine")[0] == 0
    numbers = read_drawn(folder / "outputs/lectures/mine").numbers
    weights = [read_tensors(path / "weights.safetensors") for path in runs_in(folder)]
    (folder / "outputs").rename(folder / "before")
    assert run(capsys, "lecture", "mine")[0] == 0
    assert read_drawn(folder / "outputs/lectures/mine").numbers == numbers
    for one, other in zip(weights, runs_in(folder), strict=True):
        again = read_tensors(other / "weights.safetensors")
        assert all((one[name] == again[name]).all() for name in one)
