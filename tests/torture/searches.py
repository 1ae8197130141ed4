"""R14: searches whose driver and whose runs are killed at random moments.

They must try the same options as an undisturbed one, and reach the same. The control does not wait for the results that a
trial is to know.
"""

import random
from pathlib import Path

from torture.outcome import Outcome
from torture.sweeps import _TRAINING, _compare, _finish, _started, _sweep, _table, is_possible

__all__ = ["is_possible", "run"]

_FEWEST_TRIALS = 16
"""The first ten are drawn at random, whatever the others reach."""
_LATE = """
import random, time
from dlcourse.cli.main import command
from dlcourse.training import session
run = session.run
def late(config, words):
    time.sleep(DELAY)
    return run(config, words)
session.run = late
"""
_AT_RANDOM = _LATE.replace("DELAY", "random.SystemRandom().uniform(0, 0.8)") + "command()"
_IMPATIENT = (
    _LATE.replace("DELAY", "1.5 * (int(config.run.dir.rpartition('/')[2]) % 2)")
    + """
from dlcourse.sweeps.agenda import SearchAgenda
SearchAgenda._is_known = lambda self, trials: True
command()
"""
)


def run(count: int, seed: int, folder: Path) -> Outcome:
    """A search of so many trials, a tenth of them killed, and its driver as often."""
    count = max(count, _FEWEST_TRIALS)
    ranges = ("optimizer.lr=tag(log,interval(1e-3,1e-1))", "model.dropout=interval(0,0.5)", "optimizer=sgd,adam")
    training = [word for word in _TRAINING if not word.startswith("model.dropout=")]
    words = [*training, *ranges, "hydra/sweeper=search", f"hydra.sweeper.trials={count}", "resume=auto"]
    kills = max(1, count // 10)
    outcome = Outcome("R14", f"searches of {count} trials, their driver killed {kills} times and single runs as often")
    whole = _compare(words, count, random.Random(seed), folder, outcome, "-c", _AT_RANDOM)
    assert _finish(_started(words, folder / "control", "-c", _IMPATIENT)) == 0
    is_same = _table(_sweep(folder / "control")) == _table(whole)
    outcome.controls.append(("that does not wait for results, the same", int(is_same), 1))
    return outcome
