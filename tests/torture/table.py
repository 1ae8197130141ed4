"""Which harness tries which goal, and one run of it."""

import contextlib
import importlib
import io
import tempfile
import time
from pathlib import Path

from torture.outcome import Outcome

HARNESSES = {
    "R1": ("kill", 1000),
    "R2": ("real_kill", 20),
    "R3": ("faults", 10_000),
    "R4": ("power", 10_000),
    "R5": ("mutate", 5000),
    "R6": ("signals", 60),
    "R7": ("nan", 30),
    "R8": ("full_disk", 20),
    "R9": ("sweeps", 200),
    "R10": ("misbehaving", 200),
    "R11": ("starts", 200),
    "R13": ("tensorboard", 10),
    "R14": ("searches", 60),
    "S1": ("attacks", 1000),
    "S2": ("fuzz", 12_000),
    "S4": ("swept", 3000),
    "U1": ("bad_input", 1000),
    "L2": ("overhead", 3),
}
"""By goal: the module that tries it, and how many cases it is asked for; one with a fixed list of cases takes fewer."""


def run(goal: str, share: float, seed: int) -> Outcome | None:
    """One harness in a folder of its own, timed; None where this machine does not allow it."""
    name, count = HARNESSES[goal]
    harness = importlib.import_module(f"torture.{name}")
    if hasattr(harness, "is_possible") and not harness.is_possible():
        return None
    started = time.monotonic()
    quiet = contextlib.redirect_stdout(io.StringIO())  # what the runs say is not part of the table
    with tempfile.TemporaryDirectory(prefix=f"torture-{name}-") as folder, quiet:
        outcome: Outcome = harness.run(max(1, round(share * count)), seed, Path(folder))
    outcome.seconds = time.monotonic() - started
    return outcome
