"""R1: trainings of every family are killed with SIGKILL at random moments, and must end as if nothing had happened.

Each run is killed up to a few times, while it starts, trains, saves, resumes, tests or reports, and gone on with by
`resume=auto` or `dlcourse resume`. What it leaves is compared with the uninterrupted run, to the bit. The controls leave
one part of the state out when a run resumes: none of them may end the same.
"""

import contextlib
import dataclasses
import functools
import json
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dlcourse.cli import resume
from dlcourse.config.run_config import RunConfig
from dlcourse.errors import ConfigError
from dlcourse.optim.ema import MovingAverage
from dlcourse.optim.step import ScheduledOptimizer
from dlcourse.runs.find import find_started
from dlcourse.tasks.variational import Variational
from dlcourse.training import session, trainer
from dlcourse.training.trainer import Trainer
from hooks import after_step
from torture.families import NAMES, family
from torture.outcome import Outcome
from torture.same import differences
from torture.warm import in_child, wait, warm_up

_MOST_KILLS = 8
"""of one run, before it is left to end."""

_SEEDS = 10

WORDS = ["model=mlp", "seed=0"]
"""What stands for the words of the command line, which must come through too."""

State = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Reference:
    """An uninterrupted run, and how long it took."""

    config: RunConfig
    folder: Path
    seconds: float

    @property
    def report(self) -> State:
        """What its report.json says."""
        report: State = json.loads((self.folder / "report.json").read_text())
        return report

    @classmethod
    def of(cls, config: RunConfig, folder: Path) -> "Reference":
        started = time.monotonic()
        code = wait(in_child(lambda: start(config, folder), folder.with_suffix(".log")))
        assert code == 0, folder.with_suffix(".log").read_text()
        return cls(config, folder, time.monotonic() - started)


def start(config: RunConfig, folder: Path) -> None:
    """What `dlcourse train ... run.dir=FOLDER resume=auto` does: begin, or go on."""
    session.run(dataclasses.replace(config, run=dataclasses.replace(config.run, dir=str(folder)), resume="auto"), WORDS)


def go_on(config: RunConfig, folder: Path) -> int:
    """`dlcourse resume FOLDER`, or what started the run where there is no run yet."""
    try:
        find_started(str(folder))
    except ConfigError:
        start(config, folder)
        return 0
    return resume.main([str(folder)])


class Bench:
    """Kills runs of all families, each of which is run once without a kill, when it is first needed."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._warm = folder, warm_up(folder)
        self._references: dict[str, Reference] = {}
        self._hits: Counter[str] = Counter()
        self._runs = self._at_steps = self._early = 0
        self.outcome = Outcome("R1", "")
        (folder / "whole").mkdir()
        (folder / "killed").mkdir()

    def at_set_steps(self) -> None:
        """Kill once at each place where a control matters; then go on as it should be, and with each defect."""
        killed = self._folder / "at-steps"
        controls = {title: (defect, self._steps(places)) for title, (defect, places) in CONTROLS.items()}
        for name, step in sorted({place for _, places in controls.values() for place in places}):
            kill_at(step, self._reference(name), killed / f"{name}-{step}")
            wrong = self._resume(no_defect, name, step)
            self.outcome.count(not wrong, f"{name} killed at step {step}: {wrong}")
            self._at_steps, self._runs = self._at_steps + 1, self._runs + 1
        for title, (defect, places) in controls.items():
            spoilt = [not self._resume(defect, name, step) for name, step in places]
            self.outcome.controls.append((title, sum(spoilt), len(spoilt)))

    def at_random(self, count: int, chance: random.Random) -> None:
        """Kill so many times, each family at least once where there are twice as many kills as families."""
        left = count
        while left > 0 and not self.outcome.failures:
            waiting = [name for name in NAMES if not self._hits[name]]
            name = waiting[0] if waiting else chance.choice(NAMES)
            times = min(chance.randint(1, _MOST_KILLS), max(1, left // max(1, len(waiting))), left)
            left -= self._kill_often(name, chance, times)
        assert count < 2 * len(NAMES) or self.outcome.failures or all(self._hits[name] for name in NAMES)

    def say(self) -> Outcome:
        """What was done, and how it ended."""
        families = len(self._references)
        at_random = sum(self._hits.values())
        self.outcome.what = (
            f"kill -9, the end bit-exact: {at_random} at random, {self._at_steps} at set steps, {self._early} before the "
            f"first checkpoint; {self._runs} runs of {families} families"
        )
        return self.outcome

    def _steps(self, places: "list[Place]") -> list[tuple[str, int]]:
        """The places with the steps that follow from how the uninterrupted run went."""
        return [(name, step(self._reference(name)) if callable(step) else step) for name, step in places]

    def _reference(self, name: str) -> Reference:
        if name not in self._references:
            config = family(name, self._folder / "data", self._warm)
            if name == "patience":
                self._references[name] = self._with_an_early_best(config)
            else:
                self._references[name] = Reference.of(config, self._folder / "whole" / name)
        return self._references[name]

    def _with_an_early_best(self, config: RunConfig) -> Reference:
        """The run with the first seed that shows whether its best epoch is forgotten."""
        for seed in range(_SEEDS):
            reference = Reference.of(
                dataclasses.replace(config, seed=seed), self._folder / "whole" / f"patience-{seed}"
            )
            if has_an_early_best(reference):
                return reference
        raise AssertionError(f"with none of {_SEEDS} seeds does the run go on after its best epoch; choose other words")

    def _resume(self, defect: Callable[[], contextlib.AbstractContextManager[None]], name: str, step: int) -> str:
        """What differs where a copy of the run that was killed at that step goes on with a defect."""
        reference, place = self._reference(name), self._folder / "resumed"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self._folder / "at-steps" / f"{name}-{step}", place)

        def resume_badly() -> int:
            with defect():
                return resume.main([str(place)])

        log = place.with_suffix(".log")
        assert wait(in_child(resume_badly, log)) == 0, log.read_text()[-1500:]
        return "; ".join(differences(place, reference.folder))

    def _kill_often(self, name: str, chance: random.Random, times: int) -> int:
        """The kills of one run, each of which counts as good where the run ends as if nothing had happened."""
        place = self._folder / "killed" / f"{self._runs}-{name}"
        kills, early, failure = kill_often(self._reference(name), place, chance, times)
        for _ in range(kills or bool(failure)):
            self.outcome.count(not failure, f"run {self._runs} of {name}, {kills} kills: {failure}")
        self._runs += 1
        self._hits[name] += kills
        self._early += early
        if not failure:
            shutil.rmtree(place)
        return kills


def run(count: int, seed: int, folder: Path, part: str = "both") -> Outcome:
    """Kill `count` times: once at each place where a control matters, else at random.

    `part`: "both", or "controls", those places alone, or "kills", random moments alone.
    """
    started = time.monotonic()
    bench = Bench(folder)
    if part != "kills":
        bench.at_set_steps()
    if part != "controls":
        bench.at_random(count - bench.outcome.total, random.Random(seed))
    outcome = bench.say()
    outcome.what += f" (seed {seed})"
    outcome.seconds = time.monotonic() - started
    return outcome


def kill_often(reference: Reference, place: Path, chance: random.Random, times: int) -> tuple[int, int, str]:
    """Kill a run so many times, as long as it lasts, then let it end.

    Returns the kills that hit, how many of them before there was a checkpoint, and what is wrong.
    """
    kills, early, log = 0, 0, place.with_suffix(".log")
    while True:
        work = chance.choice([start, go_on])
        is_last = kills == times
        child = in_child(functools.partial(work, reference.config, place), log)
        longest = reference.seconds if kills == 0 else reference.seconds / 2  # one that goes on has less to do
        try:
            code = wait(child, None if is_last else chance.uniform(0, longest))
        except TimeoutError as error:
            return kills, early, str(error)
        if code == -signal.SIGKILL:
            kills += 1
            early += not any(place.glob("checkpoints/step-*"))
        elif code != 0:
            return kills, early, f"exit code {code}: {log.read_text()[-1500:]}"
        else:
            return kills, early, "; ".join(differences(place, reference.folder))


def kill_at(step: int, reference: Reference, place: Path) -> None:
    """Train until that step is done, and be killed there."""

    def train_until() -> None:
        after_step(pytest.MonkeyPatch(), step, lambda: os.kill(os.getpid(), signal.SIGKILL))
        start(reference.config, place)

    place.parent.mkdir(exist_ok=True)
    log = place.with_suffix(".log")
    assert wait(in_child(train_until, log)) == -signal.SIGKILL, log.read_text()[-1500:]


def _without(owner: Any, change: Callable[[State], State]) -> Callable[[], contextlib.AbstractContextManager[None]]:
    """The owner's `load_state_dict` gets another state than was saved."""

    @contextlib.contextmanager
    def defect() -> Iterator[None]:
        loads = owner.load_state_dict
        owner.load_state_dict = lambda self, state: loads(self, change(state))
        yield
        owner.load_state_dict = loads

    return defect


def after_the_best(reference: Reference) -> int:
    """The step after the first checkpoint of the epoch that follows the best.

    Where the best is forgotten there, that epoch is taken for it, whatever the numbers are: a run that is killed there
    cannot end the same.
    """
    assert has_an_early_best(reference), reference.report
    report, every = reference.report, reference.config.trainer.checkpoint.steps
    assert every is not None and every <= report["steps"] // report["epochs"], "an epoch without a checkpoint"
    end_of_best = report["best_epoch"] * report["steps"] // report["epochs"]
    return int(end_of_best // every * every + every + 1)


def has_an_early_best(reference: Reference) -> bool:
    """Whether the run goes on for longer than an epoch after its best one."""
    return bool(reference.report["best_epoch"] + 1 < reference.report["epochs"])


@contextlib.contextmanager
def _no_random_state() -> Iterator[None]:
    restores = trainer.set_random_state
    trainer.set_random_state = lambda state, device: None  # type: ignore[attr-defined]
    yield
    trainer.set_random_state = restores  # type: ignore[attr-defined]


@contextlib.contextmanager
def no_defect() -> Iterator[None]:
    """Resume as it should be: the way a control is killed has to be harmless by itself."""
    yield


_NO_MEANS: State = {"sums": {}, "size": 0}
_NOT_PENDING: State = {"names": [], "values": None, "sizes": []}

Place = tuple[str, int | Callable[[Reference], int]]

CONTROLS: dict[str, tuple[Callable[[], contextlib.AbstractContextManager[None]], list[Place]]] = {
    "no random state": (_no_random_state, [("mlp", 10), ("vae", 15), ("gan", 16), ("diffusion", 9)]),
    "no optimizer state": (
        _without(ScheduledOptimizer, lambda state: state | {"optimizer": [{} for _ in state["optimizer"]]}),
        [("mlp", 10), ("cnn", 15), ("polynomial", 9), ("frozen", 16)],
    ),
    "no scheduler position": (
        _without(ScheduledOptimizer, lambda state: state | {"backwards": 0}),
        [("mlp", 10), ("cnn", 15), ("regression", 9), ("diffusion", 22)],
    ),
    "no gradients on the way": (
        _without(ScheduledOptimizer, lambda state: state | {"gradients": [], "backwards": state["backwards"] // 4 * 4}),
        [("accumulate", 10), ("accumulate", 15), ("accumulate", 24)],
    ),
    "no count of averages": (
        _without(MovingAverage, lambda state: {"updates": 0}),
        [("diffusion", 9), ("diffusion", 22)],
    ),
    "no place in the epoch": (
        _without(Trainer, lambda state: state | {"batches_done": 0}),
        [("mlp", 10), ("cnn", 15), ("language", 9), ("images", 9)],
    ),
    "no means of the loss": (
        _without(Trainer, lambda state: state | {"epoch_means": _NO_MEANS, "pending": _NOT_PENDING}),
        [("mlp", 8), ("cnn", 15), ("seq2seq", 16)],
    ),
    "no best epoch": (
        _without(Trainer, lambda state: state | {"history": state["history"] | {"best_score": None, "since_best": 0}}),
        [("patience", after_the_best)],
    ),
    "no count of warm-up": (_without(Variational, lambda state: state | {"steps": 0}), [("vae", 10), ("gaussian", 9)]),
}
"""What is left out, how, and in which families it matters, with the step at which they are killed, or what tells it."""


if __name__ == "__main__":
    result = run(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), *sys.argv[4:])
    print(json.dumps(dataclasses.asdict(result)))
    sys.exit(not result.is_good)
