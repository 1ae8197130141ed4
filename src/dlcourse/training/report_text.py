"""The parts of report.txt: how a run was done and what it reached, in tables and sentences that can be handed in."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dlcourse import __version__
from dlcourse.config.run_config import RunConfig
from dlcourse.console import format_seconds
from dlcourse.device import Device
from dlcourse.metrics.names import metric_name, metric_text
from dlcourse.metrics.report import Report
from dlcourse.spec import Data
from dlcourse.text_table import aligned, counted
from dlcourse.training.history import History


def facts_of_run(config: RunConfig, batch_size: int) -> dict[str, Any]:
    """What report.json says of how a run was done: what a reader asks first, without the whole config."""
    mapping = config.to_mapping()
    return {
        "version": __version__,
        "seed": config.seed,
        "task": config.task.name,
        "optimizer": mapping["optimizer"],
        "scheduler": mapping["scheduler"],
        "batch_size": batch_size,
    }


def settings(config: RunConfig, device: Device, batch_size: int, history: History, ended: datetime) -> list[str]:
    """A line for each thing that was chosen, and for the training itself."""
    accumulate = config.trainer.accumulate
    steps = f", gradients of {accumulate} batches in a step" if accumulate > 1 else ""
    trained = (
        f"{counted(history.epochs[-1], 'epoch')}, {history.steps:,} steps, {format_seconds(history.train_seconds)}"
    )
    rows = [
        ["date", f"{ended:%Y-%m-%d %H:%M}"],
        ["version", f"dlcourse {__version__}"],
        ["seed", str(config.seed)],
        ["device", str(device)],
        ["optimizer", _optimizer(config)],
        ["batch", counted(batch_size, "example") + steps],
        ["training", trained],
    ]
    if config.features.name != "none":
        rows.append(["features", config.features.name])
    return aligned(rows, left=(0, 1))


def _optimizer(config: RunConfig) -> str:
    """`adam, learning rate 0.001, cosine schedule`."""
    rate = config.optimizer.options.get("lr")
    rates = [] if rate is None else [f"learning rate {rate:g}"]
    return ", ".join([config.optimizer.name, *rates, f"{config.scheduler.name} schedule"])


def scores(
    main_metric: str, train: Mapping[str, float], val: Mapping[str, float], test: Mapping[str, float], data: Data
) -> list[str]:
    """A table with a row for each number, the main one first, on training, validation and test set."""
    first = [name for name in (main_metric, "loss") if name in test]
    rows = [["", "training", "validation", "test"]]
    rows.append(["examples", *(f"{len(split):,}" for split in (data.train, data.val, data.test))])
    for name in dict.fromkeys([*first, *test, *val, *train]):
        shown = (metric_text(name, numbers[name]) if name in numbers else "-" for numbers in (train, val, test))
        rows.append([metric_name(name), *shown])
    return aligned(rows)


def findings(test: Report) -> list[str]:
    """What is said of the test besides its numbers: sentences, then tables."""
    facts = [[name, sentence] for name, sentence in test.facts]
    sentences = [*(aligned(facts, left=(0, 1)) if facts else []), *test.highlights]
    return [*sentences, "", *test.lines] if sentences else test.lines
