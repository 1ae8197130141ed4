"""The parts of report.txt: how a run was done and what it reached, in tables and sentences that can be handed in."""

import math
from collections.abc import Mapping, Sequence
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


def averages(main_metric: str, history: History, names: Sequence[str]) -> list[str]:
    """A table of what raw and averaged weights reached on validation in the epoch that is kept, and which of them are."""
    rows = [["weights, validation", *map(metric_name, _metrics(main_metric))]]
    for name in ("raw", *names):
        numbers = history.numbers("val" if name == "raw" else name, history.kept_epoch)
        mark = " (kept)" if name == history.kept_weights else ""
        rows.append([f"{name}{mark}", *(_known(key, numbers[key]) for key in _metrics(main_metric))])
    return aligned(rows)


def compared(main_metric: str, history: History, names: Sequence[str]) -> str:
    """`accuracy 97.20 %, ema 97.50 %`, in the epoch that is kept."""
    shown = [f"{name} {_known(main_metric, history.numbers(name, history.kept_epoch)[main_metric])}" for name in names]
    raw = metric_text(main_metric, history.numbers("val", history.kept_epoch)[main_metric])
    return ", ".join([f"{metric_name(main_metric)} {raw}", *shown])


def _metrics(main_metric: str) -> list[str]:
    return list(dict.fromkeys((main_metric, "loss")))


def _known(key: str, value: float) -> str:
    return "-" if math.isnan(value) else metric_text(key, value)


def findings(test: Report) -> list[str]:
    """What is said of the test besides its numbers: sentences, then tables."""
    facts = [[name, sentence] for name, sentence in test.facts]
    sentences = [*(aligned(facts, left=(0, 1)) if facts else []), *test.highlights]
    return [*sentences, "", *test.lines] if sentences else test.lines
