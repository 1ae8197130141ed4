"""What a sweep does next: the same trials however long each takes, wherever it is stopped, and whatever is killed."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dlcourse.runs.result import RunResult
from dlcourse.sweeps.agenda import Agenda, Outcome, SearchAgenda
from dlcourse.sweeps.outcome import CutShortError, RunDivergedError, RunFailedError
from dlcourse.sweeps.plan import Plan, PlannedRun, read_plan
from dlcourse.sweeps.search import Choices, Interval, Search

SPACE = {
    "optimizer.lr": Interval(1e-4, 1e-1, log=True),
    "model.dropout": Interval(0.0, 0.5),
    "optimizer": Choices(("a", "b")),
}
SEARCH = Search(words=("data=xor",), space=SPACE, trials=60, jobs=3)
CONFIG: Any = None  # nobody here reads it


def result(run: PlannedRun) -> Outcome:
    """What the run reaches, by its options alone; some diverge, some fail."""
    options = dict(word.split("=") for word in run.varied)
    number = int(run.folder)
    if number in (7, 31):
        return RunDivergedError("the loss became nan") if number == 7 else RunFailedError("a defect")
    reached = 1 - abs(float(options["optimizer.lr"]) - 0.01) - float(options["model.dropout"]) * 0.1
    reached -= 0.001 * int(options.get("seed", 0))
    epochs = int(options.get("trainer.epochs", 1))
    return RunResult(Path(), 1, 1.0, "val/accuracy", "max", {"val/accuracy": reached + epochs / 100}, epochs)


class Doer:
    """Does the runs of an agenda in virtual time: each takes as long as `chance` says, `jobs` at a time."""

    def __init__(self, folder: Path, chance: random.Random, jobs: int = 3) -> None:
        self.folder, self.chance, self.jobs = folder, chance, jobs
        self.done: dict[int, Outcome] = {}
        self.ends = 0

    def agenda(self, search: Search) -> SearchAgenda:
        plan = read_plan(self.folder) if (self.folder / "sweep.json").exists() else Plan((), None, {}, search)
        outcomes = [self.done.get(place) for place in range(len(plan.runs))]
        todo = [place for place, reached in enumerate(outcomes) if reached is None]
        configs = [CONFIG] * len(plan.runs)
        return SearchAgenda(self.folder, plan, configs, todo, outcomes, lambda run: CONFIG)

    def do(
        self, search: Search, stop_after: int | None = None, killed: Callable[[int], bool] = lambda place: False
    ) -> Plan:
        agenda, running = self.agenda(search), dict[int, float]()
        while stop_after is None or self.ends < stop_after:
            while len(running) < self.jobs and (place := agenda.take()) is not None:
                assert place not in running
                self.done.pop(place, None)
                running[place] = self.chance.random()
            if not running:
                return agenda.plan
            place = min(running, key=running.__getitem__)
            now = running.pop(place)
            running = {other: left - now for other, left in running.items()}
            self.ends += 1
            if killed(place):
                agenda.ended(place, CutShortError("killed"))
                continue
            self.done[place] = result(agenda.plan.runs[place])
            agenda.ended(place, self.done[place])
        return agenda.plan


@pytest.fixture
def folders(tmp_path: Path) -> Callable[[], Path]:
    def make() -> Path:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        return folder

    return make


HALVING = replace(SEARCH, method="halving", trials=27, epochs=9, jobs=2)


@pytest.mark.parametrize("search", [SEARCH, replace(SEARCH, trials=20, seeds=3), HALVING, replace(HALVING, seeds=2)])
def test_a_search_is_the_same_however_long_each_run_takes_and_wherever_it_is_stopped(
    search: Search, folders: Callable[[], Path]
) -> None:
    whole = Doer(folders(), random.Random(0)).do(search)
    assert len(whole.runs) == search.trials * search.repetitions
    for seed in range(1, 5):
        chance = random.Random(seed)
        doer = Doer(folders(), chance)
        for stop in sorted(chance.sample(range(1, 60), 4)):
            doer.do(search, stop_after=stop)
        assert doer.do(search, killed=lambda place, chance=chance: chance.random() < 0.05) == whole  # type: ignore[misc]
        assert read_plan(doer.folder) == whole


def test_a_search_that_does_not_wait_depends_on_who_is_quicker(
    folders: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the test above, which would see it."""
    monkeypatch.setattr(SearchAgenda, "_is_known", lambda self, trials: True)
    plans = [Doer(folders(), random.Random(seed)).do(SEARCH) for seed in range(2)]
    assert plans[0] != plans[1]


def test_a_run_that_is_killed_is_tried_once_more_and_not_again(folders: Callable[[], Path]) -> None:
    doer = Doer(folders(), random.Random(0))
    doer.do(replace(SEARCH, trials=5), killed=lambda place: place == 2)
    assert doer.ends == 6 and sorted(doer.done) == [0, 1, 3, 4]


def test_halving_lets_the_best_third_go_on(folders: Callable[[], Path]) -> None:
    doer = Doer(folders(), random.Random(0))
    plan = doer.do(HALVING)
    epochs = [int(run.words[-1].partition("=")[2]) for run in plan.runs]
    assert sorted(epochs) == [1] * 18 + [3] * 6 + [9] * 3
    assert doer.ends == 27 + 9 + 3
    first = [
        reached.best if isinstance(reached := result(replace(run, varied=run.varied[:-1])), RunResult) else -1
        for run in plan.runs
    ]
    assert {place for place, count in enumerate(epochs) if count > 1} == set(
        sorted(range(27), key=lambda p: -first[p])[:9]
    )
    agenda = doer.agenda(HALVING)
    assert agenda.parts == (39, 39) and agenda.take() is None


def test_a_list_is_done_in_order() -> None:
    plan = Plan(tuple(PlannedRun((), (), str(number)) for number in range(4)))
    agenda = Agenda(plan, [CONFIG] * 4, [1, 3])
    assert (agenda.total, agenda.parts) == (4, (4, 2))
    assert [agenda.take() for _ in range(3)] == [1, 3, None]
