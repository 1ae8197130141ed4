"""Runs the harnesses at full length and prints one table; exits with 1 where a case failed or a control passed."""

import argparse
import importlib
import sys
import tempfile
import time
from pathlib import Path

from torture.outcome import Outcome

COUNTS = {
    "kill": 1000,
    "real_kill": 20,
    "faults": 10_000,
    "power": 10_000,
    "mutate": 5000,
    "signals": 60,
    "nan": 30,
    "full_disk": 20,
    "starts": 200,
    "tensorboard": 10,
    "attacks": 1000,
    "fuzz": 12_000,
    "bad_input": 1000,
}
"""How many cases each harness is asked for; those with a fixed list of cases take fewer."""

_SHOWN = 5


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="scripts/torture", description=__doc__)
    parser.add_argument("harness", nargs="*", choices=[[], *COUNTS], help=f"which (default: all): {', '.join(COUNTS)}")
    parser.add_argument("--seed", type=int, default=0, help="for all random choices (default 0)")
    parser.add_argument("--share", type=float, default=1.0, help="0.1 runs a tenth of the cases (default 1)")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}, share {arguments.share:g}", flush=True)
    outcomes = []
    for name in arguments.harness or COUNTS:
        outcomes.append(run(name, max(1, round(arguments.share * COUNTS[name])), arguments.seed))
        print(outcomes[-1].row(), flush=True)
        for failure in outcomes[-1].failures[:_SHOWN]:
            print(f"     FAILED {failure}", flush=True)
    bad = [outcome.goal for outcome in outcomes if not outcome.is_good]
    print(f"not as it must be: {', '.join(bad)}" if bad else "all as it must be")
    return int(bool(bad))


def run(name: str, count: int, seed: int) -> Outcome:
    """One harness in a folder of its own, timed."""
    harness = importlib.import_module(f"torture.{name}")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"torture-{name}-") as folder:
        outcome: Outcome = harness.run(count, seed, Path(folder))
    outcome.seconds = time.monotonic() - started
    return outcome


if __name__ == "__main__":
    sys.exit(main())
