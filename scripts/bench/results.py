"""What a bench finds: rounds in which the loops of a contest take turns, and who goes first rotates; all of it as JSON."""

import importlib.util
import os
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench import machine
from bench.contests import Contest, work_of
from bench.loops import NEEDS
from bench.measure import LoopError, Run, measure

_KERAS_LSTM = 512
"""Parameters of torch's LSTM that Keras' has not: torch keeps two vectors of biases, of which only the sum counts."""

_NAMED = ("torch", "lightning", "keras", "jax", "skorch")


@dataclass(frozen=True)
class Settings:
    """How to measure; see --help."""

    rounds: int
    quick: bool
    threads: int | None
    root: str | None
    device: str = "cpu"


@dataclass(frozen=True)
class Load:
    """The load average of the minute before a round, this bench's own work included, at a time in seconds."""

    contest: str
    round: int
    time: float
    load: float


class Results:
    """Grows with each contest."""

    def __init__(self, settings: Settings, loops: Iterable[str]) -> None:
        self._settings = settings
        self._missing = missing(loops)
        self._machine = machine.described()
        self._contests: list[Contest] = []
        self._loads: list[Load] = []
        self._runs: list[Run] = []
        self.failed: dict[str, str] = {}

    def measure(self, contest: Contest, loops: Sequence[str]) -> None:
        """All rounds of a contest; a loop that fails is left out of the others."""
        self._contests.append(contest)
        for number in range(1, self._settings.rounds + 1):
            self._loads.append(Load(contest.name, number, time.time(), os.getloadavg()[0]))
            for loop in rotated([loop for loop in loops if loop not in self._missing], number):
                if f"{contest.name} {loop}" not in self.failed:
                    self._run(contest, loop, number)
        require_equal_parameters(contest, [run for run in self._runs if run.contest == contest.name])

    def _run(self, contest: Contest, loop: str, number: int) -> None:
        settings = self._settings
        work = work_of(contest, loop, settings.root, quick=settings.quick, device=settings.device)
        try:
            run = measure(contest, loop, work, number, settings.threads)
        except LoopError as error:
            self.failed[f"{contest.name} {loop}"] = str(error)
            print(f"{contest.name} {loop} failed: {error}", file=sys.stderr, flush=True)
            return
        self._runs.append(run)
        speed = f"{run.samples_per_second:>10,.0f} samples/s {run.seconds:6.1f} s in all"
        print(f"round {number}  {contest.name:<16} {loop:<16} {speed}", file=sys.stderr, flush=True)

    def record(self) -> dict[str, Any]:
        """Everything, for the JSON file; the machine's paths are left out."""
        packages = self._machine["packages"]
        return {
            "machine": self._machine,
            "gpu": machine.gpu() if self._settings.device == "cuda" else None,
            "versions": {name: packages[name] for name in _NAMED if name in packages},
            "settings": {name: value for name, value in asdict(self._settings).items() if name != "root"},
            "missing": self._missing,
            "failed": self.failed,
            "busy": busy(self._loads, self._runs),
            "contests": [asdict(contest) | {"name": contest.name} for contest in self._contests],
            "loads": [asdict(load) for load in self._loads],
            "runs": [asdict(run) for run in self._runs],
        }


def missing(loops: Iterable[str]) -> dict[str, str]:
    """The loops that cannot run here, each with a package that is not installed."""
    absent = {loop: [need for need in NEEDS.get(loop, ()) if importlib.util.find_spec(need) is None] for loop in loops}
    return {loop: needs[0] for loop, needs in sorted(absent.items()) if needs}


def rotated(loops: Sequence[str], number: int) -> list[str]:
    """The order of round `number`, which begins with 1."""
    start = (number - 1) % max(1, len(loops))
    return [*loops[start:], *loops[:start]]


def require_equal_parameters(contest: Contest, runs: Iterable[Run]) -> None:
    """All loops of a contest on speed must train as many parameters, or they do not do the same work."""
    if contest.kind != "speed":
        return
    found = {run.loop: run.parameters for run in runs}
    if contest.net == "lstm" and "keras_jax" in found:
        found["keras_jax"] += _KERAS_LSTM
    assert len(set(found.values())) <= 1, f"{contest.name}: different networks: {found}"


def busy(loads: Sequence[Load], runs: Sequence[Run]) -> list[str]:
    """A line for each sign that others used the machine: the load before the first round, their processors in a run."""
    lines = []
    if loads and loads[0].load > machine.BUSY:
        lines.append(f"the load average was {loads[0].load:.2f} before the first round")
    shares = [run.others for run in runs if run.others is not None and run.others > machine.BUSY]
    if shares:
        lines.append(f"others used up to {max(shares):.2f} processors during {len(shares)} of {len(runs)} runs")
    return lines
