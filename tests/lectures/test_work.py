"""The work of figures: every run once, those that others start from first, and drawings as soon as their runs have ended."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dlcourse.cli import lecture_plan
from dlcourse.cli.train import load_session
from dlcourse.lectures.drawing import draw
from dlcourse.lectures.entry import Lecture, read_lecture
from dlcourse.lectures.work import Work
from dlcourse.runs.folder import RunFolder
from dlcourse.signals import Stop
from own_figure import write_figure

FIRST = "data=iris model=softmax trainer.epochs=1 optimizer.lr=0.1"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield


def figure(folder: str, *runs: str) -> Lecture:
    """A figure of these runs, in a folder of its own."""
    place = write_figure(Path(folder), '", "'.join(runs), {"optimizer.lr=0.1 test/accuracy": "a"}) / "lecture/mine.yaml"
    text = place.read_text(encoding="utf-8").replace('{"a"', '{"parameters"').replace("{a", "{lowest")
    place.write_text(
        text.replace("draw: curves", "draw: against").replace("number: a", "number: lowest"), encoding="utf-8"
    )
    return read_lecture(place)


def done(*lectures: Lecture) -> tuple[list[str], list[str]]:
    """What is said of the runs, in order, and the problems of the figures."""
    asked = lecture_plan.Asked(lectures, {"option": "trainer.epochs"}, ())
    root = Path("outputs/lectures")
    figures = [
        replace(figure, folder=root / f"figure-{place}")
        for place, figure in enumerate(lecture_plan.planned(asked, root, full=False, config_dir=None))
    ]
    said: list[str] = []
    (root / "runs").mkdir(parents=True, exist_ok=True)
    with Stop() as stop, stop.deferred(), RunFolder(root / "runs").locked() as locked:
        work = Work(figures, "en", load_session(), draw, lambda label, line: said.append(f"{label} {line.split()[-1]}"))
        problems = [ended.problem for ended in work.do(locked, stop)]
    return said, problems


def test_a_run_that_starts_from_another_comes_after_it() -> None:
    lecture = figure("a", FIRST, f"{FIRST} trainer.epochs=2 init_from={{1}}".replace("trainer.epochs=1 ", ""))
    said, problems = done(lecture)
    assert problems == [""]
    assert [line.split()[0] for line in said] == ["run", "done", "run", "done"]


def test_a_run_of_two_figures_is_made_once() -> None:
    two = FIRST.replace("epochs=1", "epochs=1,2")
    said, problems = done(figure("a", two), figure("b", two))
    assert problems == ["", ""]
    assert sum(line.startswith("run") for line in said) == 2
    said, _ = done(figure("c", two))
    assert said == [], "they are used again"


def test_a_figure_whose_run_fails_is_not_drawn() -> None:
    said, problems = done(figure("a", "data=line model=linreg optimizer=sgd optimizer.lr=1e30 trainer.epochs=1,2"))
    assert any(line.startswith("failed") for line in said)
    assert "became" in problems[0]
    assert not Path("outputs/lectures/figure-0/figure.png").exists()
