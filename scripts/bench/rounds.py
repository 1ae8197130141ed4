"""The rounds: in each, all loops of a contest take turns, and who goes first rotates."""

import importlib.util
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bench import machine
from bench.contests import Contest, work_of
from bench.loops import NEEDS
from bench.measure import Run, measure

KERAS_LSTM = 512
"""Parameters of the torch LSTM that Keras' has not: torch keeps two vectors of biases, of which only the sum counts."""


@dataclass(frozen=True)
class Settings:
    """How to measure; see --help."""

    rounds: int
    quick: bool
    threads: int | None
    root: str | None


def missing(loops: Iterable[str]) -> dict[str, str]:
    """The loops that cannot run here, each with a package that is not installed."""
    absent = {loop: [need for need in NEEDS.get(loop, ()) if importlib.util.find_spec(need) is None] for loop in loops}
    return {loop: needs[0] for loop, needs in absent.items() if needs}


def rotated(loops: Sequence[str], number: int) -> list[str]:
    """The order of round `number`, which begins with 1."""
    start = (number - 1) % len(loops)
    return [*loops[start:], *loops[:start]]


def load() -> dict[str, object]:
    """The load average of the last minute, this bench's own earlier work included, and the time."""
    return {"time": time.time(), "load": os.getloadavg()[0]}


def run(contest: Contest, loops: Sequence[str], settings: Settings) -> Iterator[Run | dict[str, object]]:
    """Before each round the load, then the run of each loop."""
    for number in range(1, settings.rounds + 1):
        yield {"contest": contest.name, "round": number} | load()
        for loop in rotated(loops, number):
            work = work_of(contest, loop, settings.root, quick=settings.quick)
            yield measure(contest, loop, work, number, settings.threads)


def require_equal_parameters(contest: Contest, runs: Iterable[Run]) -> None:
    """All loops of a contest on speed must train as many parameters, or they do not do the same work."""
    if contest.kind == "speed":
        found = {run.loop: run.parameters for run in runs}
        if contest.net == "lstm" and "keras_jax" in found:
            found["keras_jax"] += KERAS_LSTM
        assert len(set(found.values())) == 1, f"{contest.name}: different networks: {found}"


def busy(loads: Sequence[dict[str, object]], runs: Sequence[Run]) -> list[str]:
    """A line for each sign that others used the machine too: the load at the start, and their processors during a run."""
    lines = []
    if loads and float(str(loads[0]["load"])) > machine.BUSY:
        lines.append(f"the load average was {loads[0]['load']:.2f} before the first round")
    disturbed = [run for run in runs if run.others is not None and run.others > machine.BUSY]
    if disturbed:
        most = max(run.others or 0.0 for run in disturbed)
        lines.append(f"others used up to {most:.2f} processors during {len(disturbed)} of {len(runs)} runs")
    return lines
