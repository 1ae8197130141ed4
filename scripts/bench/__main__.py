"""Measures dlcourse against loops by hand and other libraries on the same work, and prints tables in Markdown.

In a round the competitors of a contest take turns, each in a process of its own, and who goes first rotates; the speed is
that of the last epoch, when everything is warm. Numbers are medians over the rounds; a ratio is to the loop by hand in the
same round. Libraries that are not installed are left out and named: `.venv/bin/python -m pip install -e '.[bench]'` gets
them all. Run it on a machine that does nothing else.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])  # where Python has put this folder when it was told to run it

from bench.contests import CONTESTS, ON_CUDA, QUICK_BATCH, Contest  # noqa: E402
from bench.mnist import write_random  # noqa: E402
from bench.results import Results, Settings  # noqa: E402
from bench.table import LOOPS, markdown  # noqa: E402


def main() -> int:
    """Measure and print, or print again what was measured; 1 if a loop failed."""
    arguments = _arguments()
    if arguments.table:
        print(markdown(json.loads(arguments.table.read_text(encoding="utf-8"))), end="")
        return 0
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        if arguments.quick:
            write_random(Path(folder))
            arguments.root, arguments.rounds = folder, 1
        return _bench(arguments)


def _bench(arguments: argparse.Namespace) -> int:
    settings = Settings(arguments.rounds, arguments.quick, arguments.threads, arguments.root, arguments.device)
    chosen = _chosen(arguments)
    results = Results(settings, {loop for _, loops in chosen for loop in loops})
    for contest, loops in chosen:
        results.measure(contest, loops)
        if arguments.out:
            _write(arguments.out, results.record())  # after each contest: a long measurement may be cut short
    print(markdown(results.record()), end="")
    return int(bool(results.failed))


def _write(folder: Path, record: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    (folder / "bench.md").write_text(markdown(record), encoding="utf-8")


def _chosen(arguments: argparse.Namespace) -> list[tuple[Contest, list[str]]]:
    """The contests and loops asked for; a quick bench takes each network once."""
    chosen = [contest for contest in CONTESTS if not arguments.only or _short(contest) in arguments.only]
    if arguments.quick:
        chosen = [contest for contest in chosen if contest.batch == QUICK_BATCH]
    usual = ON_CUDA if arguments.device == "cuda" else [loop for loop in LOOPS if loop != "dlcourse_compiled"]
    wanted = [loop for loop in arguments.loops or usual if arguments.device == "cpu" or loop in ON_CUDA]
    asked = [(contest, [loop for loop in contest.loops if loop in wanted]) for contest in chosen]
    return [(contest, loops) for contest, loops in asked if loops]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench/run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    contests = list(dict.fromkeys(_short(contest) for contest in CONTESTS))
    parser.add_argument("--root", type=_absolute, help="folder with MNIST/raw, as data.root= of dlcourse")
    parser.add_argument("--rounds", type=_positive, default=5, help="how often each competitor runs (default 5)")
    parser.add_argument("--only", nargs="+", choices=contests, metavar="WHAT", help=f"some of: {', '.join(contests)}")
    parser.add_argument("--loops", nargs="+", choices=list(LOOPS), metavar="LOOP", help=f"some of: {', '.join(LOOPS)}")
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help=f"on cuda {', '.join(ON_CUDA)} compete"
    )
    parser.add_argument("--threads", type=_positive, help="for all competitors (default: what each takes by itself)")
    parser.add_argument(
        "--quick", action="store_true", help="one round of a few steps on random images: whether it works"
    )
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


if __name__ == "__main__":
    sys.exit(main())
