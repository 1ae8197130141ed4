"""The process of one loop: `python -m bench.child LOOP WORK`, with the work as JSON, prints its figures as JSON."""

import importlib
import json
import sys
from dataclasses import asdict

from bench.contests import Work


def main() -> None:
    """Run the loop."""
    loop, work = sys.argv[1:3]
    figures = importlib.import_module(f"bench.loops.{loop}").run(Work(**json.loads(work)))
    print(
        "\n" + json.dumps(asdict(figures)), flush=True
    )  # on a line of its own, behind what a library may have written


if __name__ == "__main__":
    main()
