"""R2: the installed command killed by SIGKILL at random moments, and resumed: it ends as if nothing had happened."""

import random
import time
from pathlib import Path

from torture.outcome import Outcome
from torture.processes import (
    STEPS,
    STEPS_PER_EPOCH,
    TRAINING,
    Process,
    difference,
    done,
    epoch_saved,
    numbered,
    start,
    steps_saved,
)

_WORDS = (*TRAINING, "trainer.checkpoint.steps=3", "run.dir=run")
_LAST_TARGET = STEPS - 6
_FORGETS_RANDOM_STATE = "import dlcourse.trainer as trainer; trainer.set_random_state = lambda *_: None"


def run(count: int, seed: int, folder: Path) -> Outcome:
    """`count` runs: every fourth killed twice in one epoch, others killed before the first checkpoint or anywhere.

    What an outcome cannot show is in `what`: how many were killed how.
    """
    rng, started = random.Random(seed), time.monotonic()
    folders = numbered(folder)
    reference = next(folders) / "run"
    assert not (problem := done(start(_WORDS, reference.parent))), problem
    kinds = {"twice": 0, "early": 0, "once": 0, "unborn": 0}
    outcome = Outcome("R2", "")
    for number in range(count):
        kind = ("twice", "early", "once", "once")[number % 4]
        case = next(folders)
        kind, problem = _KINDS[kind](case, rng)
        kinds[kind] += 1
        problem = problem or difference(case / "run", reference)
        outcome.count(not problem, f"case {number} of seed {seed}, {kind}: {problem}")
    case = next(folders)
    _kill_at(start(_WORDS, case), case, rng.randint(6, STEPS // 2), rng)
    problem = done(start(("resume", "run"), case, before=_FORGETS_RANDOM_STATE)) or difference(case / "run", reference)
    outcome.controls.append(("random state forgotten", int(not problem), 1))
    outcome.what = "kill -9 of the command: " + ", ".join(f"{number} {kind}" for kind, number in kinds.items())
    outcome.seconds = time.monotonic() - started
    return outcome


def _twice(case: Path, rng: random.Random) -> tuple[str, str]:
    """Killed twice in the same epoch, which is checked."""
    epoch = rng.randrange(STEPS // STEPS_PER_EPOCH)
    first, second = sorted(rng.sample(range(3, STEPS_PER_EPOCH - 9, 3), 2))
    _kill_at(start(_WORDS, case), case, epoch * STEPS_PER_EPOCH + first, rng)
    before = epoch_saved(case / "run"), steps_saved(case / "run")
    _kill_at(start(("resume", "run"), case), case, epoch * STEPS_PER_EPOCH + second + 6, rng)
    is_same = before[0] == epoch_saved(case / "run")
    kind = "twice" if is_same and steps_saved(case / "run") > before[1] else "once"
    return kind, done(start(("resume", "run"), case))


def _once(case: Path, rng: random.Random) -> tuple[str, str]:
    """Killed anywhere between the first checkpoint and the last."""
    _kill_at(start(_WORDS, case), case, rng.randint(0, _LAST_TARGET), rng)
    return "once", done(start(("resume", "run"), case))


def _early(case: Path, rng: random.Random) -> tuple[str, str]:
    """Killed before the first checkpoint; where not even the config is there, it is to be started again."""
    process = start(_WORDS, case)
    waits_for = rng.choice(("config.yaml", "config.yaml", "spec.json"))
    process.wait_until(lambda: (case / "run" / waits_for).exists())
    process.kill()
    if steps_saved(case / "run") >= 0:
        kind = "once"
    elif (case / "run" / "config.yaml").exists():
        kind = "early"
    else:
        (case / "run").rename(case / "unborn")
        return "unborn", done(start(_WORDS, case))
    return kind, done(start(("resume", "run"), case))


def _kill_at(process: Process, case: Path, step: int, rng: random.Random) -> None:
    """Kill it a moment after its checkpoint of a step has come."""
    process.wait_until(lambda: steps_saved(case / "run") >= step)
    time.sleep(rng.random() * 0.02)
    process.kill()


_KINDS = {"twice": _twice, "once": _once, "early": _early}
