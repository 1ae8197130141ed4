"""Measures dlcourse against loops by hand and other libraries on the same work, and prints tables in Markdown.

In a round the competitors of a contest take turns, each in a process of its own, and who goes first rotates; the speed is
that of the last epoch, when everything is warm. Numbers are medians over the rounds; a ratio is to the loop by hand in the
same round. Libraries that are not installed are left out and named: `.venv/bin/python -m pip install -e '.[bench]'` gets
them all. Run it on a machine that does nothing else.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])  # where Python has put this folder when it was told to run it

from bench import machine, rounds  # noqa: E402
from bench.contests import CONTESTS, Contest  # noqa: E402
from bench.measure import LoopError, Run  # noqa: E402
from bench.table import LOOPS, markdown  # noqa: E402

_NAMED = ("torch", "lightning", "keras", "jax", "skorch")


def main() -> int:
    """Measure and print, or print again what was measured."""
    arguments = _arguments()
    if arguments.table:
        print(markdown(json.loads(arguments.table.read_text(encoding="utf-8"))), end="")
        return 0
    try:
        results = _results(arguments)
    except LoopError as error:
        print(f"a loop failed: {error}", file=sys.stderr)
        return 1
    table = markdown(results)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "bench.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        (arguments.out / "bench.md").write_text(table, encoding="utf-8")
    print(table, end="")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench/run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    contests = list(dict.fromkeys(_short(contest) for contest in CONTESTS))
    parser.add_argument("--root", type=_absolute, help="folder with MNIST/raw, as data.root= of dlcourse")
    parser.add_argument("--rounds", type=_positive, default=5, help="how often each competitor runs (default 5)")
    parser.add_argument("--only", nargs="+", choices=contests, metavar="WHAT", help=f"some of: {', '.join(contests)}")
    parser.add_argument("--loops", nargs="+", choices=list(LOOPS), metavar="LOOP", help=f"some of: {', '.join(LOOPS)}")
    parser.add_argument("--threads", type=_positive, help="for all competitors (default: what each takes by itself)")
    parser.add_argument("--quick", action="store_true", help="one round of a few steps: whether everything works")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write bench.json and bench.md there")
    parser.add_argument(
        "--table", type=Path, metavar="FILE.json", help="measure nothing, print the tables of that file"
    )
    return parser.parse_args()


def _absolute(text: str) -> str:
    return str(Path(text).expanduser().resolve())


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return number


def _short(contest: Contest) -> str:
    """What --only calls a contest: `mlp`, `start`, `tiny-run`."""
    return contest.net if contest.kind == "speed" else contest.kind.replace(" ", "-")


def _results(arguments: argparse.Namespace) -> dict[str, Any]:
    """Everything that was measured, in the form of the JSON file."""
    settings = rounds.Settings(
        1 if arguments.quick else arguments.rounds, arguments.quick, arguments.threads, arguments.root
    )
    chosen = [contest for contest in CONTESTS if not arguments.only or _short(contest) in arguments.only]
    missing = rounds.missing({loop for contest in chosen for loop in _wanted(contest, arguments.loops)})
    loads: list[dict[str, object]] = []
    runs: list[Run] = []
    for contest in chosen:
        loops = [loop for loop in _wanted(contest, arguments.loops) if loop not in missing]
        _measure(contest, loops, settings, loads, runs)
    found = machine.described()
    return {
        "machine": found,
        "versions": _versions(found["packages"]),
        "settings": asdict(settings) | {"root": None},
        "missing": missing,
        "contests": [asdict(contest) | {"name": contest.name} for contest in chosen],
        "busy": rounds.busy(loads, runs),
        "loads": loads,
        "runs": [asdict(run) for run in runs],
    }


def _wanted(contest: Contest, loops: Iterable[str] | None) -> list[str]:
    return [loop for loop in contest.loops if not loops or loop in loops]


def _measure(
    contest: Contest, loops: list[str], settings: rounds.Settings, loads: list[dict[str, object]], runs: list[Run]
) -> None:
    """Add the loads and the runs of a contest, and say each as it comes."""
    if not loops:
        return
    for found in rounds.run(contest, loops, settings):
        if isinstance(found, Run):
            runs.append(found)
            print(_line(found), file=sys.stderr, flush=True)
        else:
            loads.append(found)
    rounds.require_equal_parameters(contest, [run for run in runs if run.contest == contest.name])


def _line(run: Run) -> str:
    speed = f"{run.samples_per_second:>10,.0f} samples/s"
    return f"round {run.round}  {run.contest:<16} {run.loop:<16} {speed} {run.seconds:6.1f} s in all"


def _versions(packages: Any) -> dict[str, str]:
    return {name: packages[name] for name in _NAMED if name in packages}


if __name__ == "__main__":
    sys.exit(main())
