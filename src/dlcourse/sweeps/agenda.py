"""What a sweep is to do next: the runs of a list one after the other, or the trials of a search as their turn comes."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dlcourse.config.run_config import RunConfig
from dlcourse.runs.result import RunResult
from dlcourse.sweeps.grid import job_name
from dlcourse.sweeps.outcome import CutShortError, RunDivergedError
from dlcourse.sweeps.plan import Plan, PlannedRun, write_plan
from dlcourse.sweeps.search import EPOCHS, Search, Trial, best, propose, worst

Outcome = RunResult | Exception | None


class Agenda:
    """The runs of a plan at these places, in order; `configs` are those of all runs of the plan."""

    def __init__(self, plan: Plan, configs: Sequence[RunConfig], todo: Sequence[int]) -> None:
        self.plan = plan
        self.configs = list(configs)
        self._todo = list(todo)

    @property
    def total(self) -> int:
        """The runs of the whole sweep, with those that are not chosen yet."""
        return len(self.plan.runs)

    @property
    def parts(self) -> tuple[int, int]:
        """Of how many parts the work consists, and how many were done before: a run that goes on later is several."""
        return self.total, self.total - len(self._todo)

    def take(self) -> int | None:
        """The place of the run to begin now; None if there is none, or it depends on one that runs."""
        return self._todo.pop(0) if self._todo else None

    def ended(self, place: int, reached: Outcome) -> None:
        """Note how the run there has ended."""


class SearchAgenda(Agenda):
    """The trials of a search: each is chosen, and added to the sweep's list of runs, once those it depends on have ended.

    `outcomes` are those of the runs of the plan so far, and `compose` makes the config of a run.
    """

    def __init__(
        self,
        folder: Path,
        plan: Plan,
        configs: Sequence[RunConfig],
        todo: Sequence[int],
        outcomes: Sequence[Outcome],
        compose: Callable[[PlannedRun], RunConfig],
    ) -> None:
        super().__init__(plan, configs, todo)
        assert plan.search is not None
        self._folder = folder
        self._search: Search = plan.search
        self._compose = compose
        self._outcomes = {place: reached for place, reached in enumerate(outcomes) if place not in set(todo)}
        self._again: set[int] = set()

    @property
    def total(self) -> int:
        """The runs of all trials."""
        return self._search.trials * self._search.repetitions

    @property
    def parts(self) -> tuple[int, int]:
        """As in Agenda; each stage of a run is a part."""
        stages = self._search.stages
        begun = sum(1 for run in self.plan.runs for _, until in stages if until <= _epochs(run))
        return sum(count for count, _ in stages) * self._search.repetitions, begun - len(self._todo)

    def take(self) -> int | None:
        """As in Agenda; whatever is chosen is written down before it begins."""
        while not self._todo and self._choose():
            pass
        return super().take()

    def ended(self, place: int, reached: Outcome) -> None:
        """Note it; a run whose process was killed is tried once more, as the trials after it depend on what it reaches."""
        if isinstance(reached, CutShortError | None) and place not in self._again:
            self._again.add(place)
            self._todo.insert(0, place)
            return
        self._outcomes[place] = reached

    def _choose(self) -> bool:
        """Choose the next trial, or the runs that go on; False if there is nothing to choose, or not yet."""
        search = self._search
        number = len(self.plan.runs) // search.repetitions
        if number < search.trials:
            return self._is_known(search.seen_by(number)) and self._begin(number)
        return self._is_known(search.trials) and self._go_on()

    def _is_known(self, trials: int) -> bool:
        return all(place in self._outcomes for place in range(trials * self._search.repetitions))

    def _begin(self, number: int) -> bool:
        """Add the runs of a trial to the plan; raises ConfigError for options that do not go together."""
        search = self._search
        seen = search.seen_by(number)
        before = [self._trial(trial, is_running=trial >= seen) for trial in range(number)]
        options = propose(search, number, before, self._direction())
        words = [f"{option}={word}" for option, word in options.items()]
        runs = []
        for place in range(len(self.plan.runs), len(self.plan.runs) + search.repetitions):
            varied = (*words, *search.repetition(place % search.repetitions))
            run = PlannedRun((*search.words, *varied), varied, job_name(place + 1, self.total, ()))
            runs.append(_until(run, search.stages[0][1]))
        self._plan_anew(dict(enumerate(runs, start=len(self.plan.runs))))
        return True

    def _go_on(self) -> bool:
        """Let the best third of the runs that have come so far go on; False if all stages are done."""
        search = self._search
        epochs = [_epochs(run) for run in self.plan.runs[:: search.repetitions]]
        for (_, before), (count, until) in itertools.pairwise(search.stages):
            if max(epochs) == before:
                reached = [
                    self._trial(trial).reached if known == before else None for trial, known in enumerate(epochs)
                ]
                chosen = best(reached, count, self._direction())
                places = [trial * search.repetitions + each for trial in chosen for each in range(search.repetitions)]
                self._plan_anew({place: _until(self.plan.runs[place], until) for place in places})
                return bool(places)
        return False

    def _plan_anew(self, runs: Mapping[int, PlannedRun]) -> None:
        """Write down these runs at their places, and then let them be done."""
        planned, configs = dict(enumerate(self.plan.runs)) | dict(runs), dict(enumerate(self.configs))
        configs |= {place: self._compose(run) for place, run in runs.items()}
        self.plan = replace(self.plan, runs=tuple(planned.values()))
        self.configs = list(configs.values())
        write_plan(self._folder, self.plan)
        for place in runs:
            self._outcomes.pop(place, None)
            self._todo.append(place)

    def _trial(self, number: int, *, is_running: bool = False) -> Trial:
        first = number * self._search.repetitions
        run = self.plan.runs[first]
        words = {option: word for option, _, word in (word.partition("=") for word in run.varied)}
        if is_running:
            return Trial(words, is_running=True)
        reached = [self._reached(place) for place in range(first, first + self._search.repetitions)]
        known = [value for value in reached if value is not None]
        return Trial(words, math.fsum(known) / len(known) if len(known) == len(reached) else None)

    def _reached(self, place: int) -> float | None:
        reached = self._outcomes.get(place)
        if isinstance(reached, RunDivergedError):
            return worst(self._direction())
        return reached.best if isinstance(reached, RunResult) else None

    def _direction(self) -> str:
        """Which numbers are better, as the results say, which are all of one task or compared by one number."""
        modes = [reached.mode for reached in self._outcomes.values() if isinstance(reached, RunResult)]
        return modes[0] if modes else "max"


def _until(run: PlannedRun, epochs: int) -> PlannedRun:
    """The run as one of so many epochs; 0 leaves it as it is."""
    if not epochs:
        return run
    words, varied = ([word for word in known if not word.startswith(f"{EPOCHS}=")] for known in (run.words, run.varied))
    return replace(run, words=(*words, f"{EPOCHS}={epochs}"), varied=(*varied, f"{EPOCHS}={epochs}"))


def _epochs(run: PlannedRun) -> int:
    """The epochs of a run of `halving`."""
    return next((int(word.partition("=")[2]) for word in run.words if word.startswith(f"{EPOCHS}=")), 0)
