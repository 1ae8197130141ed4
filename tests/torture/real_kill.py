"""R2: the installed command killed by SIGKILL at random moments, and resumed: it ends as if nothing had happened."""

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from torture.outcome import Outcome
from torture.processes import (
    STEPS,
    STEPS_PER_EPOCH,
    TRAINING,
    TooLateError,
    difference,
    done,
    epoch_saved,
    in_time,
    numbered,
    start,
    steps_saved,
)

Words = tuple[str, ...]
Kill = Callable[[Path, random.Random], tuple[str, Words]]
"""Starts a run in a folder and kills it; returns how, and the command that goes on with it."""

_WORDS = (*TRAINING, "trainer.checkpoint.steps=3", "run.dir=run")
_GO_ON = ("resume", "run")
_LAST_TARGET = STEPS - 6
_MOMENT = 0.02
"""In seconds."""
_FORGETS_RANDOM_STATE = "import dlcourse.training.trainer as trainer; trainer.set_random_state = lambda *_: None"


def run(count: int, seed: int, folder: Path) -> Outcome:
    """`count` runs: every fourth killed twice in one epoch, every fourth before the first checkpoint, others anywhere.

    A run that was done before it was killed, or that was killed elsewhere than it was to be, is drawn again.
    """
    rng, started = random.Random(seed), time.monotonic()
    folders = numbered(folder)
    reference = next(folders) / "run"
    assert not (problem := done(start(_WORDS, reference.parent))), problem
    kinds = {"twice in an epoch": 0, "before the first checkpoint": 0, "once": 0, "before there was a config": 0}
    outcome = Outcome("R2", "")
    for number in range(count):
        kind, problem = _case(_ORDER[number % len(_ORDER)], folders, rng, reference)
        kinds[kind] += not problem
        outcome.count(not problem, f"case {number} of seed {seed}, {kind}: {problem}")
    early = kinds["before the first checkpoint"] + kinds["before there was a config"]
    if kinds["twice in an epoch"] < count // 4 or early < min(1, count // 2):
        outcome.failures.append(f"too few were killed as they were to be: {kinds}")
        outcome.passed = 0
    outcome.controls.append(
        ("random state forgotten", in_time(lambda case: _forgotten(case, rng, reference), folders), 1)
    )
    outcome.what = "kill -9 of the command: " + ", ".join(f"{number} {kind}" for kind, number in kinds.items())
    outcome.seconds = time.monotonic() - started
    return outcome


def _case(kill: Kill, folders: Iterator[Path], rng: random.Random, reference: Path) -> tuple[str, str]:
    """How a run was killed, and what is wrong with it after it went on."""

    def attempt(case: Path) -> tuple[str, str]:
        kind, words = kill(case, rng)
        return kind, done(start(words, case)) or difference(case / "run", reference)

    try:
        return in_time(attempt, folders)
    except (RuntimeError, TimeoutError) as error:
        return "once", str(error)


def _forgotten(case: Path, rng: random.Random, reference: Path) -> int:
    """1 where a run ends as the reference although its random state is forgotten; 0 where it ends with other numbers."""
    start(_WORDS, case).kill_at(case / "run", rng.randint(6, STEPS // 2), rng, _MOMENT)
    assert not (problem := done(start(_GO_ON, case, before=_FORGETS_RANDOM_STATE))), problem
    found = difference(case / "run", reference)
    assert "cannot be compared" not in found, found
    return int(not found)


def _twice(case: Path, rng: random.Random) -> tuple[str, Words]:
    """Killed twice in the same epoch, which is checked."""
    epoch = rng.randrange(STEPS // STEPS_PER_EPOCH)
    first, second = sorted(rng.sample(range(3, STEPS_PER_EPOCH - 9, 3), 2))
    start(_WORDS, case).kill_at(case / "run", epoch * STEPS_PER_EPOCH + first, rng, _MOMENT)
    before = epoch_saved(case / "run"), steps_saved(case / "run")
    start(_GO_ON, case).kill_at(case / "run", epoch * STEPS_PER_EPOCH + second + 6, rng, _MOMENT)
    if epoch_saved(case / "run") != before[0] or steps_saved(case / "run") <= before[1]:
        raise TooLateError
    return "twice in an epoch", _GO_ON


def _once(case: Path, rng: random.Random) -> tuple[str, Words]:
    """Killed anywhere between the first checkpoint and the last."""
    start(_WORDS, case).kill_at(case / "run", rng.randint(0, _LAST_TARGET), rng, _MOMENT)
    return "once", _GO_ON


def _early(case: Path, rng: random.Random) -> tuple[str, Words]:
    """Killed before the first checkpoint; where not even the config is there, it is to be started again."""
    process = start(_WORDS, case)
    waits_for = rng.choice(("config.yaml", "config.yaml", "spec.json"))
    process.wait_until(lambda: (case / "run" / waits_for).exists())
    process.kill()
    process.require_killed()
    if steps_saved(case / "run") >= 0:
        raise TooLateError
    if (case / "run" / "config.yaml").exists():
        return "before the first checkpoint", _GO_ON
    (case / "run").rename(case / "unborn")
    return "before there was a config", _WORDS


_ORDER: tuple[Kill, ...] = (_twice, _early, _once, _once)
