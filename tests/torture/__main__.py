"""Runs the harnesses at full length and prints one table; exits with 1 where a case failed or a control passed."""

import argparse
import multiprocessing
import secrets
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])  # where Python has put this folder when it was told to run it

from torture.outcome import Outcome  # noqa: E402
from torture.table import HARNESSES, run  # noqa: E402

_SHOWN = 5


def main() -> int:
    """Run what the command line asks for."""
    known = ", ".join(f"{goal} ({name})" for goal, (name, _) in HARNESSES.items())
    parser = argparse.ArgumentParser(prog="scripts/torture", description=__doc__)
    parser.add_argument("goal", nargs="*", help=f"which (default: all): {known}")
    fresh_seed = secrets.randbelow(2**16)
    parser.add_argument("--seed", type=int, default=fresh_seed, help="for all random choices (default: a fresh one)")
    parser.add_argument("--share", type=float, default=1.0, help="0.1 runs a tenth of the cases (default 1)")
    parser.add_argument("--jobs", type=int, default=1, help="harnesses at a time (default 1)")
    arguments = parser.parse_args()
    goals = [word.upper() for word in arguments.goal] or list(HARNESSES)
    for goal in goals:
        if goal not in HARNESSES:
            parser.error(f"there is no goal '{goal}'; expected some of {known}")
    print(f"seed {arguments.seed}, share {arguments.share:g}", flush=True)
    fresh = multiprocessing.get_context("spawn")  # a process for each: they fork, patch and count threads
    with ProcessPoolExecutor(arguments.jobs, mp_context=fresh, max_tasks_per_child=1) as pool:
        runs = [pool.submit(run, goal, arguments.share, arguments.seed) for goal in goals]
        outcomes = {goal: _shown(goal, run.result()) for goal, run in zip(goals, runs, strict=True)}
    bad = [goal for goal, outcome in outcomes.items() if outcome is not None and not outcome.is_good]
    print(f"not as it must be: {', '.join(bad)}" if bad else "all as it must be")
    return int(bool(bad))


def _shown(goal: str, outcome: Outcome | None) -> Outcome | None:
    if outcome is None:
        print(f"{goal}: SKIPPED, this machine does not allow it", flush=True)
        return None
    print(outcome.row(), flush=True)
    for failure in outcome.failures[:_SHOWN]:
        print(f"     FAILED {failure}", flush=True)
    return outcome


if __name__ == "__main__":
    sys.exit(main())
