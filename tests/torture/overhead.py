"""L2: how much of a training's time goes into saving it, at the default interval.

Real trainings of small and large models, long enough that one is saved by time at least; run it on an idle machine.
"""

import json
import subprocess
import sys
from pathlib import Path

from torture.outcome import Outcome

MOST = 0.035

TRAININGS = (
    ("data=digits", "model=mlp", "trainer.epochs=1500"),
    ("data=digits", "model=cnn", "trainer.epochs=300"),
    ("data=shapes", "model=resnet9", "data.subset=1000", "trainer.epochs=4"),
)
"""0.05, 0.11 and 6.6 million parameters; over a minute each on one core."""


def run(count: int, seed: int, folder: Path) -> Outcome:
    """The first `count` trainings, whose share of saving must be small."""
    shares = []
    outcome = Outcome("L2", "")
    for number, words in enumerate(TRAININGS[:count]):
        place = folder / str(number)
        fixed = ("device=cpu", "device.threads=1", f"seed={seed}", f"run.dir={place}")
        done = subprocess.run(
            [sys.executable, "-m", "dlcourse", "train", *words, *fixed], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            outcome.count(False, f"{' '.join(words)}: {done.stderr}")
            continue
        share = _share(place / "metrics.jsonl")
        shares.append(f"{100 * share:.2f} %")
        outcome.count(share <= MOST, f"{' '.join(words)}: {100 * share:.2f} % of the time is saving")
    outcome.what = f"saving takes at most {100 * MOST:g} % of a training's time: {', '.join(shares)}"
    return outcome


def _share(metrics: Path) -> float:
    """The seconds of saving for each second of training."""
    records = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    training = sum(record.get("time/epoch_seconds", 0.0) for record in records)
    return float(sum(record.get("time/saving_seconds", 0.0) for record in records)) / training
