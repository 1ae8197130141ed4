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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dlcourse import train, trainer
from dlcourse.commands import resume
from dlcourse.config import RunConfig
from dlcourse.descent import Descent
from dlcourse.errors import ConfigError
from dlcourse.resuming import find_started
from dlcourse.tasks.averaging import MovingAverage
from dlcourse.tasks.variational import Variational
from dlcourse.trainer import Trainer
from torture.families import NAMES, family
from torture.outcome import Outcome
from torture.same import differences
from torture.warm import in_child, wait, warm_up

_MOST_KILLS = 8
"""of one run, before it is left to end."""

WORDS = ["model=mlp", "seed=0"]
"""What stands for the words of the command line, which must come through too."""

State = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Reference:
    """An uninterrupted run, and how long it took."""

    config: RunConfig
    folder: Path
    seconds: float

    @classmethod
    def of(cls, config: RunConfig, folder: Path) -> "Reference":
        started = time.monotonic()
        code = wait(in_child(lambda: start(config, folder), folder.with_suffix(".log")))
        assert code == 0, folder.with_suffix(".log").read_text()
        return cls(config, folder, time.monotonic() - started)


def start(config: RunConfig, folder: Path) -> None:
    """What `dlcourse train ... run.dir=FOLDER resume=auto` does: begin, or go on."""
    train.run(dataclasses.replace(config, run=dataclasses.replace(config.run, dir=str(folder)), resume="auto"), WORDS)


def go_on(config: RunConfig, folder: Path) -> int:
    """`dlcourse resume FOLDER`, or what started the run where there is no run yet."""
    try:
        find_started(str(folder))
    except ConfigError:
        start(config, folder)
        return 0
    return resume.main([str(folder)])


def run(count: int, seed: int, folder: Path) -> Outcome:
    """Kill `count` times: once at each place where a control matters, else at random.

    At those places runs are killed again for the controls, which are not counted.
    """
    started, chance = time.monotonic(), random.Random(seed)
    outcome = Outcome("R1", "kill -9 at random moments, the end bit-exact")
    warm = warm_up(folder)
    references: dict[str, Reference] = {}

    def reference(name: str) -> Reference:
        if name not in references:
            references[name] = Reference.of(family(name, folder / "data", warm), folder / "whole" / name)
        return references[name]

    (folder / "whole").mkdir()
    (folder / "killed").mkdir()
    for name, step in sorted({place for _, places in CONTROLS.values() for place in places}):
        exact = is_exact_without(no_defect, reference(name), step, folder / "killed" / f"{name}-{step}")
        outcome.count(exact, f"{name} killed at step {step}: {folder / 'killed'}")
    for title, (defect, places) in CONTROLS.items():
        spoilt = [is_exact_without(defect, reference(name), step, folder / "control") for name, step in places]
        outcome.controls.append((title, sum(spoilt), len(spoilt)))
    number = 0
    while outcome.total < count:
        name = NAMES[number % len(NAMES)]
        place = folder / "killed" / f"{number}-{name}"
        times = min(chance.randint(1, _MOST_KILLS), count - outcome.total)
        kills, failure = kill_often(reference(name), place, chance, times)
        for _ in range(kills):
            outcome.count(not failure, f"seed {seed}, run {number} of {name}, {kills} kills: {failure}")
        if failure and not kills:
            outcome.count(False, f"seed {seed}, run {number} of {name}, no kill: {failure}")
        if not failure:
            shutil.rmtree(place)
        number += 1
    outcome.seconds = time.monotonic() - started
    return outcome


def kill_often(reference: Reference, place: Path, chance: random.Random, times: int) -> tuple[int, str]:
    """Kill a run so many times, as long as it lasts, then let it end; returns the kills that hit, and what is wrong."""
    kills, log = 0, place.with_suffix(".log")
    while True:
        work = chance.choice([start, go_on])
        is_last = kills == times
        child = in_child(functools.partial(work, reference.config, place), log)
        longest = reference.seconds if kills == 0 else reference.seconds / 2  # one that goes on has less to do
        code = wait(child, None if is_last else chance.uniform(0, longest))
        if code == -signal.SIGKILL:
            kills += 1
        elif code != 0:
            return kills, f"exit code {code}: {log.read_text()[-1500:]}"
        else:
            return kills, "; ".join(differences(place, reference.folder))


def kill_at(step: int, config: RunConfig, place: Path) -> None:
    """Train until that step is done, and be killed there."""

    def train_step(self: Trainer, batch: Any) -> None:
        trains(self, batch)
        if self.history.steps == step:
            os.kill(os.getpid(), signal.SIGKILL)

    trains, Trainer._train_step = Trainer._train_step, train_step  # type: ignore[method-assign]
    start(config, place)


def is_exact_without(
    defect: Callable[[], contextlib.AbstractContextManager[None]], reference: Reference, step: int, place: Path
) -> bool:
    """Whether a run that is killed at a step, and resumed with a defect, ends as the uninterrupted one."""
    log = place.with_suffix(".log")
    shutil.rmtree(place, ignore_errors=True)
    assert wait(in_child(lambda: kill_at(step, reference.config, place), log)) == -signal.SIGKILL, log.read_text()[
        -1500:
    ]

    def resume_badly() -> int:
        with defect():
            return go_on(reference.config, place)

    assert wait(in_child(resume_badly, log)) == 0, log.read_text()[-1500:]
    return not differences(place, reference.folder)


def _without(owner: Any, change: Callable[[State], State]) -> Callable[[], contextlib.AbstractContextManager[None]]:
    """The owner's `load_state_dict` gets another state than was saved."""

    @contextlib.contextmanager
    def defect() -> Iterator[None]:
        loads = owner.load_state_dict
        owner.load_state_dict = lambda self, state: loads(self, change(state))
        yield
        owner.load_state_dict = loads

    return defect


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

CONTROLS: dict[str, tuple[Callable[[], contextlib.AbstractContextManager[None]], list[tuple[str, int]]]] = {
    "no random state": (_no_random_state, [("mlp", 10), ("vae", 15), ("gan", 16), ("diffusion", 9)]),
    "no optimizer state": (
        _without(Descent, lambda state: state | {"optimizer": [{} for _ in state["optimizer"]]}),
        [("mlp", 10), ("cnn", 15), ("polynomial", 9), ("frozen", 16)],
    ),
    "no scheduler position": (
        _without(Descent, lambda state: state | {"backwards": 0}),
        [("mlp", 10), ("cnn", 15), ("regression", 9), ("diffusion", 22)],
    ),
    "no gradients on the way": (
        _without(Descent, lambda state: state | {"gradients": [], "backwards": state["backwards"] // 4 * 4}),
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
        [("patience", 20)],
    ),
    "no count of warm-up": (_without(Variational, lambda state: state | {"steps": 0}), [("vae", 10), ("gaussian", 9)]),
}
"""What is left out, how, and in which families it matters, with the step at which they are killed."""


if __name__ == "__main__":
    result = run(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
    print(json.dumps(dataclasses.asdict(result)))
    sys.exit(not result.is_good)
