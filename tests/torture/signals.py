"""R6: signals that ask a run to stop, at random moments: saved at the step where it was, and resumed to the bit.

That they are heeded at once is told by what the run did after it heard one, not by a clock.
"""

import mmap
import random
import signal
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torture.outcome import Outcome
from torture.processes import (
    STEPS,
    TRAINING,
    Process,
    TooLateError,
    difference,
    done,
    fork,
    in_time,
    numbered,
    start,
    steps_saved,
    warm_up,
)

_WORDS = (*TRAINING, "trainer.checkpoint.seconds=null", "run.dir=run")
"""Saved only at the beginning, the end, and where a signal comes."""
_EXITS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGUSR1: 143, signal.SIGHUP: 129}
_UNSAVED, _SAT_OUT = "heard in step", "sat out"
_GLANCE = 0.005
_TRAINING, _EVALUATING, _PREPARING, _SAVING = range(1, 5)
_KINDS = ("step",) * 7 + ("evaluation", "prepare", "start")


@dataclass
class Sight:
    """Where a copy of this process is: memory shared with it."""

    memory: mmap.mmap

    @classmethod
    def new(cls) -> "Sight":
        return cls(mmap.mmap(-1, mmap.PAGESIZE))

    @property
    def step(self) -> int:
        """The steps begun."""
        return self._get(0)

    @property
    def phase(self) -> int:
        return self._get(1)

    @property
    def heard(self) -> int:
        """The steps begun when the first signal was heard, -1 before."""
        return self._get(2) - 1

    @property
    def signals(self) -> int:
        """How many were heard."""
        return self._get(3)

    def begin_step(self) -> None:
        self._set(0, self.step + 1)

    def enter(self, phase: int) -> None:
        self._set(1, phase)

    def hear(self) -> None:
        if not self.signals:
            self._set(2, self.step + 1)
        self._set(3, self.signals + 1)

    def _get(self, place: int) -> int:
        return int(struct.unpack_from("<q", self.memory, 8 * place)[0])

    def _set(self, place: int, value: int) -> None:
        struct.pack_into("<q", self.memory, 8 * place, value)


def run(count: int, seed: int, folder: Path) -> Outcome:
    """`count` signals to warm copies of this process; of ten, seven in a step, one each in evaluation, prepare and start.

    One of sixteen goes to the real command, and one of twenty is followed by a second Ctrl-C while it is being saved.
    """
    rng, started = random.Random(seed), time.monotonic()
    warm_up(folder)
    folders = numbered(folder)
    reference = next(folders) / "run"
    assert not (problem := done(fork(_WORDS, reference.parent))), problem
    outcome = Outcome("R6", "SIGINT, SIGTERM, SIGUSR1, SIGHUP: saved, stopped, resumed")
    for number in range(count):
        kind = _KINDS[number % len(_KINDS)]
        if number % 16 == 15:
            kind = "command"
        elif number % 20 == 10:
            kind = "second"
        sent = list(_EXITS)[(number + number // len(_KINDS)) % len(_EXITS)]
        problem = in_time(lambda case, kind=kind, sent=sent: _case(kind, case, sent, rng, reference), folders)  # type: ignore[misc]
        outcome.count(not problem, f"case {number} of seed {seed}, {sent.name} in {kind}: {problem}")
    controls = max(1, count // 20)
    unsaved = [
        in_time(lambda case: _in_a_step(case, signal.SIGTERM, rng, _not_saving), folders) for _ in range(controls)
    ]
    assert all(not found or found.startswith(_UNSAVED) for found in unsaved), unsaved
    outcome.controls.append(("no checkpoint at a signal", unsaved.count(""), controls))
    sat_out = _in_a_phase(next(folders), signal.SIGTERM, rng, _EVALUATING, _not_at_once)
    assert not sat_out or sat_out.startswith(_SAT_OUT), sat_out
    outcome.controls.append(("evaluation not thrown away", int(not sat_out), 1))
    outcome.seconds = time.monotonic() - started
    return outcome


def _case(kind: str, case: Path, sent: signal.Signals, rng: random.Random, reference: Path) -> str:
    if kind == "step":
        problem = _in_a_step(case, sent, rng)
    elif kind == "command":
        problem = _to_the_command(case, sent, rng)
    elif kind == "start":
        return _at_the_start(case, sent, rng) or _resumed(case, reference)
    elif kind == "second":
        return second_ctrl_c(case) or _resumed(case, reference)
    else:
        problem = _in_a_phase(case, sent, rng, {"evaluation": _EVALUATING, "prepare": _PREPARING}[kind])
    return problem or _says_stopped(case) or _resumed(case, reference)


def _in_a_step(case: Path, sent: signal.Signals, rng: random.Random, *defects: Callable[[], None]) -> str:
    """Sent while it trains; the checkpoint must be of the step in which it was heard, or of the one after."""
    sight, target = Sight.new(), rng.randint(1, STEPS - 20)
    process = fork(_WORDS, case, *defects, lambda: _watched(sight))
    process.wait_until(lambda: sight.step >= target)
    time.sleep(rng.random() * 0.005)
    problem = _stopped(process, sent)
    heard, saved = sight.heard, steps_saved(case / "run")
    if heard < 0:
        _require_unfinished(case)
    return problem or ("" if saved - heard in (0, 1) else f"{_UNSAVED} {heard}, saved step {saved}")


def _in_a_phase(case: Path, sent: signal.Signals, rng: random.Random, phase: int, *defects: Callable[[], None]) -> str:
    """Sent in the middle of an evaluation or preparation that lasts: it is thrown away, and all steps are saved."""
    sight, epoch = Sight.new(), rng.randint(0, 2)
    after = epoch * STEPS // 3 if phase == _EVALUATING else 0
    process = fork(_WORDS, case, *defects, lambda: _watched(sight, phase, after))
    if not process.wait_until(lambda: sight.phase == phase):
        return f"never came to phase {phase}: {process.err[-300:]}"
    time.sleep(rng.random() * 0.1)
    problem = _stopped(process, sent)
    if not problem and sight.phase != phase:
        return f"{_SAT_OUT}: phase {phase} went on after the signal"
    step, saved = sight.step, steps_saved(case / "run")
    expected = -1 if phase == _PREPARING else step
    return problem or ("" if saved == expected else f"in phase {phase} after step {step}, saved step {saved}")


def _to_the_command(case: Path, sent: signal.Signals, rng: random.Random) -> str:
    """Sent to the installed command, a moment after its first checkpoint."""
    process = start(_WORDS, case)
    process.wait_until(lambda: steps_saved(case / "run") >= 0)
    time.sleep(rng.random() * 0.3)
    problem = _stopped(process, sent)
    if steps_saved(case / "run") == STEPS:
        _require_unfinished(case)
    saved = len(list((case / "run" / "checkpoints").iterdir()))
    return problem or ("" if saved == 2 else f"{saved} checkpoints after the signal, which are to be 2")


def _at_the_start(case: Path, sent: signal.Signals, rng: random.Random) -> str:
    """Sent before the run folder is there, or about when it is made: it ends without a word of an error."""
    process = fork(_WORDS, case)
    process.wait_until((case / "run" / "config.yaml").exists, 0.02 + rng.random() * 0.3)
    problem = _stopped(process, sent)
    _require_unfinished(case)
    if problem:
        return problem
    if not (case / "run" / "config.yaml").exists():
        if (case / "run").exists():
            (case / "run").rename(case / "unborn")
        return done(fork(_WORDS, case))
    return ""


def second_ctrl_c(case: Path) -> str:
    """A second Ctrl-C while a checkpoint is written ends the process before it is there, and those before stay."""
    sight = Sight.new()
    process = fork(_WORDS, case, lambda: _watched(sight, _SAVING, 1))
    process.wait_until(lambda: sight.step >= 20)
    process.send(signal.SIGINT)
    process.wait_until(lambda: sight.phase == _SAVING)
    problem = _stopped(process, signal.SIGINT)
    if problem:
        return problem
    return "" if steps_saved(case / "run") == 0 else f"step {steps_saved(case / 'run')} was saved all the same"


def _stopped(process: Process, sent: signal.Signals) -> str:
    """Nothing where the signal ends the process with its code and without an error."""
    process.send(sent)
    code = process.wait()
    return f"exit {code}: {process.err.strip()[-300:]}" if code != _EXITS[sent] or process.err else ""


def _require_unfinished(case: Path) -> None:
    """Raise TooLateError where the run was done when its signal came."""
    status = case / "run" / "run.json"
    if status.exists() and '"status": "done"' in status.read_text(encoding="utf-8"):
        raise TooLateError


def _says_stopped(case: Path) -> str:
    status = (case / "run" / "run.json").read_text(encoding="utf-8")
    return "" if '"status": "stopped"' in status else f"run.json says {status}"


def _resumed(case: Path, reference: Path) -> str:
    """Nothing where the run, resumed if it needs to be, is the reference."""
    return done(fork(("resume", "run"), case)) or difference(case / "run", reference)


def _watched(sight: Sight, lasting: int = _TRAINING, after: int = 0) -> None:
    """In the copy: tell where it is. Once there were `after` steps, the phase `lasting` waits for one more signal.

    Unless the signal ends it, it is over then, and the phase is training again.
    """
    from dlcourse import signals
    from dlcourse.runs.checkpoints import Checkpoints
    from dlcourse.tasks.classification import Classification
    from dlcourse.tasks.task import LossTask
    from dlcourse.training import trainer

    def wrap(owner: Any, name: str, before: Callable[[], None]) -> None:
        original = getattr(owner, name)

        def wrapped(*arguments: Any, **options: Any) -> Any:
            before()
            return original(*arguments, **options)

        setattr(owner, name, wrapped)

    def last() -> None:
        if sight.step >= after:
            before = sight.signals
            sight.enter(lasting)
            while sight.signals == before:
                time.sleep(_GLANCE)
            sight.enter(_TRAINING)

    wrap(LossTask, "train_step", sight.begin_step)
    wrap(signals.Stop, "_handle", sight.hear)
    places = {
        _EVALUATING: (trainer, "evaluate"),
        _PREPARING: (Classification, "prepare"),
        _SAVING: (Checkpoints, "save"),
    }
    if lasting in places:
        wrap(*places[lasting], last)


def _not_saving() -> None:
    """The defect of the control: what a signal asks for is not done."""
    from dlcourse.runs.saver import Saver

    original = Saver.save

    def save(self: Saver, step: int, *rest: Any) -> None:
        if step == 0:
            original(self, step, *rest)

    Saver.save = save  # type: ignore[method-assign]


def _not_at_once() -> None:
    """The defect of the control: what can be thrown away is finished first."""
    from dlcourse.signals import Stop

    Stop.at_once = Stop.deferred  # type: ignore[method-assign]
