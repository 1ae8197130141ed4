"""R10: a sweep of which some runs raise, exit, end their process, kill it or hang: the others finish, these are named."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from torture.outcome import Outcome
from torture.sweeps import _sweep, _table, is_possible

__all__ = ["is_possible", "run"]

_LIMIT = 1200.0


def _raise() -> None:
    raise RuntimeError("a defect")


def _exit() -> None:
    sys.exit(3)


def _end() -> None:
    os._exit(0)


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _hang() -> None:
    while True:
        time.sleep(1)


BEHAVIOUR: tuple[tuple[Callable[[], None], int], ...] = ((_raise, 10), (_exit, 5), (_end, 5), (_kill, 5), (_hang, 5))
"""What how many of two hundred runs do instead of training on."""

_PROGRAM = """
import sys
from dlcourse.cli.main import command
from torture.misbehaving import let_misbehave
let_misbehave(int(sys.argv.pop(1)))
command()
"""


def let_misbehave(count: int) -> None:
    """Let the first seeds do these things in their third step, in this process and those forked from it."""
    from dlcourse.tasks.classification import Classification
    from dlcourse.training import session

    acts = [act for act, share in BEHAVIOUR for _ in range(max(1, share * count // 200))]
    run, step = session.run, Classification.train_step

    def marked(config, overrides):  # type: ignore[no-untyped-def]
        steps = 0

        def train_step(self, batch):  # type: ignore[no-untyped-def]
            nonlocal steps
            steps += 1
            if steps == 3 and config.seed < len(acts):
                acts[config.seed]()
            return step(self, batch)

        Classification.train_step = train_step  # type: ignore[method-assign]
        return run(config, overrides)

    session.run = marked


def run(count: int, seed: int, folder: Path) -> Outcome:
    """A sweep of so many runs, of which at least one does each thing."""
    count = max(count, 12)
    bad = sum(max(1, share * count // 200) for _, share in BEHAVIOUR)
    words = [
        *("train", "-m", "data=xor", "data.size=60", "model=mlp", "model.hidden=[4]", "trainer.batch_size=8"),
        *("trainer.epochs=1", "device=cpu", "hydra.launcher.jobs=2", "hydra.launcher.minutes=0.4"),
    ]
    out = folder / "out"
    code = _sweep_of(count, words, folder)
    outcome = Outcome("R10", f"sweeps of {count} runs, of which {bad} raise, exit, are killed or hang")
    outcome.count(code == 4, f"it ended with {code}: {out.read_text()[-500:]}")
    rows = _table(_sweep(folder))
    for row in rows:
        is_bad = int(row["seed"]) < bad
        outcome.count(bool(row["error"]) == is_bad == (not row["rank"]), f"seed {row['seed']}: {row}")
    outcome.count(len(rows) == count, f"{len(rows)} rows")
    named = re.findall(r"^failed  seed=", (_sweep(folder) / "summary.txt").read_text(), re.MULTILINE)
    outcome.count(len(named) == bad, f"{len(named)} are named")
    outcome.count(_left(folder) == [], "processes are left")
    in_one = [*(word for word in words if not word.startswith("hydra.launcher.")), "hydra/launcher=dlcourse"]
    _sweep_of(count, in_one, folder / "control")
    is_whole = (_sweep(folder / "control") / "summary.csv").exists()
    outcome.controls.append(("all in one process, to their end", int(is_whole), 1))
    return outcome


def _sweep_of(count: int, words: list[str], folder: Path) -> int:
    """Run the sweep in a folder, its output in `out`; returns its exit code."""
    folder.mkdir(exist_ok=True)
    with (folder / "out").open("wb") as file:
        return subprocess.run(
            [sys.executable, "-c", _PROGRAM, str(count), *words, f"seed=range(0,{count})"],
            cwd=folder,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])},
            timeout=_LIMIT,
            check=False,
        ).returncode


def _left(folder: Path) -> list[str]:
    """The processes that still work in this folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").resolve() == folder.resolve():
                found.append(process.name)
        except OSError:
            continue
    return found
