"""The real command: the words of a `dlcourse train`, and its figures, read from what the run has logged."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from bench.contests import NETS, Figures, Work

COMMANDS = ("dlcourse", "dlcourse_compiled", "dlcourse_log", "dlcourse_digits", "dlcourse_mnist", "dlcourse_tiny")
"""As it comes; compiled, which on a CUDA device means recorded; with each step logged; until the first step on digits and on
MNIST; a whole run of the defaults."""

_FIRST_STEP = ("model=mlp", "trainer.epochs=1", "trainer.log_every=1")


def command(loop: str, work: Work, folder: Path) -> list[str]:
    """The command line of one of COMMANDS, which makes its run in that folder."""
    words = [*_words(loop, work), f"run.root={folder}"]
    if loop not in ("dlcourse_digits", "dlcourse_tiny"):
        words += [f"data.root={work.root}"] * (work.root is not None) + ["data.verify=false"] * work.is_quick
    return [sys.executable, "-m", "dlcourse", "train", *words]


def _words(loop: str, work: Work) -> Iterable[str]:
    if loop == "dlcourse_tiny":
        return "data=digits", "model=mlp"
    if loop in ("dlcourse_digits", "dlcourse_mnist"):
        return f"data={loop.removeprefix('dlcourse_')}", *_FIRST_STEP
    words = NETS[work.net].words
    data = () if words[0].startswith("experiment=") else ("data=mnist", "optimizer=adam")
    size = f"data.subset={round(work.size / 0.9)}"  # a tenth of which is set aside for validation
    how = (f"trainer.batch_size={work.batch}", f"trainer.epochs={work.epochs}", f"trainer.eval_every={work.epochs}")
    own = {"dlcourse_log": ("trainer.log_every=1",), "dlcourse_compiled": ("trainer.compile=true",)}.get(loop, ())
    device = () if work.device == "cpu" else (f"device={work.device}",)
    return (*data, *words, size, *how, *own, *device)


def figures(folder: Path) -> Figures:
    """The figures of the run in that folder.

    The first step is done when it is logged, which is at once if each step is; an evaluation ends when the epoch's speed
    is logged, right after it, and begins when the epoch's last step is, if each step is logged.
    """
    (run,) = folder.glob("*/*/metrics.jsonl")
    report = json.loads((run.parent / "report.json").read_text(encoding="utf-8"))
    records = [json.loads(line) for line in run.read_text(encoding="utf-8").splitlines()]
    steps = [record for record in records if "train/loss" in record]
    epochs = [record for record in records if "time/epoch_seconds" in record]
    logs_all = [record["step"] for record in steps[:2]] == [1, 2]
    evaluation_us = 1e6 * (epochs[-1]["time"] - steps[-1]["time"]) / report["data"]["val"]
    return Figures(
        report["model"]["parameters"],
        epochs[-1]["time/samples_per_second"],
        steps[0]["time"] if logs_all else None,
        evaluation_us if logs_all else None,
        sum(record["time/epoch_seconds"] for record in epochs),
    )
