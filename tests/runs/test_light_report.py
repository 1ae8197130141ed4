"""report=light: a run without pictures, whose numbers are those of the full one, and `dlcourse resume RUN report=full`."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dlcourse.cli.main import main
from dlcourse.config.run_config import RunConfig, option_values
from dlcourse.runs.resume import find_same
from hooks import after_step
from lab import Lab, composed, report
from sweep_lab import Sweeps
from torture.same import TIMES_OF_REPORT, differences
from torture.warm import TINY

TESTS = Path(__file__).parents[1]
_DIGITS = (*TINY, "data=digits", "data.subset=160")
FAMILIES = {
    "classifier": (*_DIGITS, "model=mlp", "model.hidden=[24]", "model.dropout=0.3"),
    "vae": (*_DIGITS, "model=vae", "model.hidden=[16]", "model.latent=2", "task.samples=2"),
}
MLP = FAMILIES["classifier"]


@contextlib.contextmanager
def blank_pictures() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dlcourse.runs.logger.to_image", lambda picture: np.zeros((4, 4, 3), np.uint8))
        yield


@pytest.fixture(autouse=True)
def blank() -> Iterator[None]:
    with blank_pictures():
        yield


@pytest.fixture(scope="module", params=FAMILIES)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the same training twice, `full` and `light`; copied, not changed."""
    folder = tmp_path_factory.mktemp(request.param)
    with blank_pictures():
        for kind in ("full", "light"):
            assert main(["train", *FAMILIES[request.param], f"report={kind}", f"run.dir={folder / kind}"]) == 0
    return folder


@pytest.fixture
def light(pair: Path, tmp_path: Path) -> Path:
    """A light run that is done."""
    return Path(shutil.copytree(pair / "light", tmp_path / "run"))


def pictures(run: Path) -> set[str]:
    return {str(path.relative_to(run)) for path in run.rglob("*.png")}


def records(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def drawn(run: Path) -> list[dict[str, Any]]:
    return [record for record in records(run) if "picture" in record]


def numbers(run: Path) -> list[dict[str, Any]]:
    """What the log has besides pictures, without times."""
    return [
        {name: value for name, value in record.items() if name != "time" and not name.startswith("time/")}
        for record in records(run)
        if "picture" not in record
    ]


def board(run: Path) -> EventAccumulator:
    return EventAccumulator(str(run), size_guidance={"scalars": 0, "images": 0}).Reload()


def hashes(run: Path) -> dict[str, str]:
    files = [path for path in sorted(run.rglob("*")) if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def timeless(run: Path) -> dict[str, Any]:
    return {name: value for name, value in report(run).items() if name not in TIMES_OF_REPORT}


def test_a_light_run_leaves_no_picture_and_all_else(pair: Path) -> None:
    full, light = pair / "full", pair / "light"
    assert pictures(light) == set() and drawn(light) == [] and board(light).Tags()["images"] == []
    assert len(pictures(full)) > 2 and len(drawn(full)) > 2 and board(full).Tags()["images"] != []  # or this is blind

    def others(run: Path) -> set[str]:
        names = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
        return {name for name in names if not name.startswith(("events.", "checkpoints/"))} - pictures(run)

    assert others(light) == others(full)
    for tags in ("scalars", "tensors"):
        assert board(light).Tags()[tags] == board(full).Tags()[tags] != []


def test_the_numbers_of_a_light_run_are_those_of_the_full_one(pair: Path) -> None:
    full, light = pair / "full", pair / "light"
    assert numbers(light) == numbers(full)
    command = timeless(full)["command"]
    assert command.endswith(" report=full")
    assert timeless(light) == timeless(full) | {"command": command.replace("report=full", "report=light")}
    for name in ("weights.safetensors", *(path.name for path in full.glob("*.csv"))):
        assert (light / name).read_bytes() == (full / name).read_bytes()


def test_resume_draws_what_a_full_run_draws_at_its_end(pair: Path, light: Path, lab: Lab) -> None:
    full = pair / "full"
    assert main(["resume", str(light), "report=full"]) == 0
    on_the_way = {name for name in pictures(full) if name.startswith("progress/")}
    assert pictures(light) == pictures(full) - on_the_way
    of_the_end = [record for record in drawn(full) if not record["file"].startswith("progress/")]
    assert [record | {"time": 0} for record in drawn(light)] == [record | {"time": 0} for record in of_the_end]
    assert numbers(light) == numbers(full) and timeless(light) == timeless(full)
    left = [] if not on_the_way else ["metrics.jsonl differs", *(f"only one has {name}" for name in on_the_way)]
    assert sorted(differences(light, full)) == sorted(left)


def test_each_number_and_picture_is_logged_once_at_each_step(light: Path, lab: Lab) -> None:
    assert main(["resume", str(light), "report=full"]) == 0
    found = board(light)
    shown = Counter((tag, event.step) for tag in found.Tags()["scalars"] for event in found.Scalars(tag))
    shown += Counter((tag, event.step) for tag in found.Tags()["images"] for event in found.Images(tag))
    of_log = Counter((tag, record["step"]) for record in records(light) for tag in record if "/" in tag)
    of_log += Counter((record["picture"], record["step"]) for record in drawn(light))
    assert shown == of_log and set(shown.values()) == {1}
    assert ("test/loss", records(light)[-1]["step"]) in shown


def test_light_of_a_run_that_has_its_pictures_changes_nothing(pair: Path, lab: Lab) -> None:
    run = Path(shutil.copytree(pair / "full", "run"))
    before = hashes(run)
    assert main(["resume", "run", "report=light"]) == 0
    assert "run is already complete (3 epochs)" in lab.capsys.readouterr().out
    assert hashes(run) == before


def test_the_end_of_a_light_run_says_how_to_draw(lab: Lab) -> None:
    run = lab.train(*MLP, "report=light")
    command = f"draw   dlcourse resume {run.relative_to(lab.folder)} report=full\n"
    assert f"saved  report.txt  metrics.jsonl\n{command}look   " in lab.out
    assert main(["resume", str(run.relative_to(lab.folder))]) == 0
    assert lab.capsys.readouterr().out.endswith(command)
    assert main(command.split()[2:]) == 0
    out = lab.capsys.readouterr().out
    assert "learning_curve.png" in out and "draw  " not in out
    assert main(["resume", str(run)]) == 0
    assert "draw  " not in lab.capsys.readouterr().out


def test_a_run_that_goes_on_without_pictures_leaves_none_of_the_shorter_training(pair: Path, lab: Lab) -> None:
    run = Path(shutil.copytree(pair / "full", "run"))
    before = pictures(run)
    assert main(["resume", "run", "trainer.epochs=4", "report=light"]) == 0
    assert pictures(run) == {name for name in before if name.startswith("progress/")}
    assert set(board(run).Tags()["images"]) == {record["picture"] for record in drawn(run)}
    assert all(record["file"].startswith("progress/") for record in drawn(run))


def test_a_stopped_run_may_change_its_report_and_is_the_same_run(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, (before, after) in enumerate((("light", "full"), ("full", "light"))):
        with monkeypatch.context() as patch:
            after_step(patch, 17, lambda: signal.raise_signal(signal.SIGTERM))
            assert main(["train", *MLP, f"report={before}", f"run.name=run{number}"]) == 143
        config = composed(*MLP, f"report={after}", "resume=auto")
        assert find_same(config, f"run{number}") is not None
        assert main(["train", *MLP, f"report={after}", f"run.name=run{number}", "resume=auto"]) == 0
        assert "resume from step 17, 1 epochs done" in lab.capsys.readouterr().out
        (run,) = Path("outputs", f"run{number}").iterdir()
        assert bool(pictures(run)) == (after == "full")


def test_auto_draws_the_pictures_of_a_run_that_is_done(light: Path, lab: Lab) -> None:
    words = yaml.safe_load((light / "overrides.yaml").read_text())
    assert main(["train", *words[:-1], "resume=auto", "run.dir=run"]) == 0
    assert "learning_curve.png" in pictures(light)


def test_what_is_asked_for_outlives_the_end_of_a_second_pass(
    pair: Path, light: Path, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("dlcourse.runs.saver.Saver.save", lambda *_: signal.raise_signal(signal.SIGTERM))
        assert main(["resume", "run", "report=full"]) == 143
    assert pictures(light) == set()
    assert main(["resume", "run"]) == 0
    assert "learning_curve.png" in pictures(light)
    assert timeless(light) == timeless(pair / "full")


@pytest.mark.slow
def test_a_second_pass_that_is_killed_anywhere_is_resumed_to_the_same_end() -> None:
    with tempfile.TemporaryDirectory(prefix="dlcourse-light-") as folder:
        ended = subprocess.run(
            [sys.executable, "-m", "torture.second_pass", folder, "4"],
            cwd=TESTS,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
    assert ended.stdout, ended.stderr
    outcome = json.loads(ended.stdout)
    assert outcome["failures"] == [] and outcome["passed"] == outcome["total"] > 10


_MATPLOTLIB = """
import sys
from dlcourse.cli.main import main

for number, words in enumerate(sys.argv[1:]):
    assert main(["train", *words.split(), f"run.dir=run{number}"]) == 0
    print("found", "matplotlib" in sys.modules)
"""


def test_matplotlib_is_not_imported(tmp_path: Path) -> None:
    glyphs = "data=glyphs data.train_size=40 data.test_size=20 model=cnn model.channels=[4] model.head=[]"
    trained = [*map(" ".join, FAMILIES.values()), " ".join((*TINY, glyphs))]
    words = [*(f"{line} report=light" for line in trained), trained[0]]
    command = [sys.executable, "-c", _MATPLOTLIB, *words]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    found = [line for line in ended.stdout.splitlines() if line.startswith("found")]
    assert found == ["found False"] * len(trained) + ["found True"], ended.stdout + ended.stderr


def test_another_report_is_refused(lab: Lab) -> None:
    lab.train(*MLP, "report=lite", code=2)
    assert lab.err == "dlcourse: error: report must be full or light, got 'lite'\n"
    assert not Path("outputs").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["report=full"], "RUN is missing; write dlcourse resume outputs/NAME/TIME report=full"),
        (["reports/run"], "'reports/run' does not exist"),
        (["run", "reports=full"], "resume cannot change 'reports', only trainer.epochs, "),
        (["run", "report=lite"], "report must be full or light, got 'lite'"),
    ],
)
def test_what_resume_says_of_words_like_it(words: list[str], message: str, light: Path, lab: Lab) -> None:
    before = hashes(light)
    assert main(["resume", *words]) == 2
    assert message in lab.capsys.readouterr().err
    assert hashes(light) == before


def test_a_config_of_before_there_was_such_an_option_has_a_full_report() -> None:
    config = composed(*MLP)
    mapping = config.to_mapping()
    assert mapping.pop("report") == "full"
    assert RunConfig.from_mapping(mapping) == config


def test_hparams_does_not_compare_runs_by_it() -> None:
    assert option_values(composed(*MLP)) == option_values(composed(*MLP, "report=light"))


def test_the_runs_of_a_sweep_draw_nothing_and_one_of_them_does_afterwards(sweeps: Sweeps) -> None:
    folder = sweeps.sweep("optimizer.lr=0.1,0.01", "report=light")
    of_sweep = {"sweep_curves.png", "sweep_parallel.png", "sweep_slices.png"}
    assert pictures(folder) == of_sweep
    run = folder / "2-optimizer.lr=0.01"
    table = (folder / "summary.csv").read_bytes()
    assert sweeps.resume(str(run), "report=full") == 0
    assert pictures(run) >= {"confusion_matrix.png", "learning_curve.png"}
    assert sweeps.resume(str(folder)) == 0
    assert "2 runs   2 are done\n" in sweeps.out
    assert pictures(folder) == of_sweep | {f"{run.name}/{name}" for name in pictures(run)}
    assert len(table.splitlines()) == len((folder / "summary.csv").read_bytes().splitlines()) == 3
