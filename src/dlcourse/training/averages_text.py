"""What averaged weights reached on validation beside the raw ones, in words for report and console, and as numbers."""

import math
from typing import Any

from dlcourse.config.run_config import TrainerConfig
from dlcourse.metrics.names import metric_name, metric_text
from dlcourse.text_table import aligned
from dlcourse.training.averages import RAW
from dlcourse.training.history import History


def numbers(config: TrainerConfig, history: History) -> dict[str, dict[str, float]]:
    """The validation numbers of raw and averaged weights in the epoch that is kept; an average may not have begun."""
    measured = {name: history.numbers("val" if name == RAW else name, history.kept_epoch) for name in _names(config)}
    return {name: each for name, each in measured.items() if not math.isnan(each["loss"])}


def as_numbers(config: TrainerConfig, history: History) -> dict[str, Any]:
    """What report.json says of averages, if there are any."""
    if not config.averages:
        return {}
    return {"kept_weights": history.kept_weights, "val_by_weights": numbers(config, history)}


def table(config: TrainerConfig, main_metric: str, history: History) -> list[str]:
    """A row for raw weights and for each average, with a mark on those that are kept; none without averages."""
    if not config.averages:
        return []
    keys = list(dict.fromkeys((main_metric, "loss")))
    rows = [["weights, validation", *map(metric_name, keys)]]
    known = numbers(config, history)
    for name in _names(config):
        shown = [metric_text(key, known[name][key]) if name in known else "-" for key in keys]
        rows.append([f"{name} (kept)" if name == history.kept_weights else name, *shown])
    return [*aligned(rows), ""]


def compared(config: TrainerConfig, main_metric: str, history: History) -> list[str]:
    """`accuracy 97.20 %, ema 97.50 %`, a line for the console; none without averages."""
    if not config.averages:
        return []
    known = numbers(config, history)
    shown = {
        name: metric_text(main_metric, known[name][main_metric]) if name in known else "-" for name in _names(config)
    }
    raw = f"{metric_name(main_metric)} {shown.pop(RAW)}"
    return [", ".join([raw, *(f"{name} {number}" for name, number in shown.items())])]


def _names(config: TrainerConfig) -> tuple[str, ...]:
    return (RAW, *config.averages)
