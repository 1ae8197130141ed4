"""The numbers of a report by the names that people read, with their intervals: of report.json in any version of it."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from dlcourse.console import format_metric, is_share
from dlcourse.pages.parts import Fact, Table, shortened

_NAMES = {
    "loss": "Loss",
    "accuracy": "Accuracy",
    "accuracy_tokens": "Accuracy of tokens",
    "balanced_accuracy": "Balanced accuracy",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "support": "Support",
    "ece": "ECE (expected calibration error)",
    "roc_auc": "AUC (area under the ROC curve)",
    "average_precision": "Average precision (area under the precision-recall curve)",
    "mcc": "Matthews correlation",
    "nll": "Negative log-likelihood",
    "brier": "Brier score",
    "perplexity": "Perplexity",
    "bits_per_character": "Bits per character",
    "bits_per_dim": "Bits per dimension",
    "mse": "Mean squared error",
    "rmse": "Root mean squared error",
    "mae": "Mean absolute error",
    "r2": "R²",
    "explained": "Share of the variance explained",
    "reconstruction": "Reconstruction (nats)",
    "kl": "KL divergence (nats)",
    "active_units": "Active dimensions of the code",
    "loss_discriminator": "Loss of the discriminator",
    "loss_generator": "Loss of the generator",
    "d_real": "Discriminator's probability for real examples",
    "d_fake": "Discriminator's probability for generated examples",
    "importance_weighted": "Importance-weighted bound",
    "baselines": "Baseline",
    "baseline": "Baseline",
    "macro": "Macro average",
    "objective": "Objective",
}
_LOSSES = {
    "classification": "Loss (cross-entropy, nats)",
    "language": "Loss (nats per token)",
    "seq2seq": "Loss (nats per token)",
    "variational": "Loss (-ELBO, nats)",
    "reconstruction": "Loss (mean squared error)",
    "diffusion": "Loss (squared error of the noise)",
    "adversarial": "Loss (of the discriminator)",
}
"""What the loss of a task is."""
_SHORT = {
    "loss": {"classification": "cross-entropy", "language": "nats per token", "variational": "-ELBO, nats"},
}
_NO_NUMBERS = {
    *("run", "tags", "command", "data", "model", "monitor", "mode", "epochs", "steps", "best_epoch", "kept_epoch"),
    *("seconds", "samples_per_second", "train", "val", "test", "classes", "confusion_matrix", "loss_by_position"),
    *("accuracy_by_length", "loses_to", "seed", "batch_size", "train_seconds"),
}
"""Keys of a report that are shown elsewhere, or are too long for a table."""
_AVERAGES = ("macro", "weighted")
_SPLITS = {"train": "Training", "val": "Validation", "test": "Test"}
_MOST_TOGETHER = 12
_INTERVAL = "_interval"
_TILES = 4
_MOST_NUMBERS = 60


def name_of(metric: str, task: str = "") -> str:
    """`Top-3 accuracy` for `top3`; of a name that is not known, its words."""
    if metric == "loss" and task in _LOSSES:
        return _LOSSES[task]
    if match := re.fullmatch(r"top([0-9]{1,6})", metric):
        return f"Top-{match[1]} accuracy"
    words = metric.replace("_", " ").strip()
    return _NAMES.get(metric) or words[:1].upper() + words[1:]


def number(value: Any) -> float | None:
    """The value if it is a number, also one that is not finite; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def shown(metric: str, value: Any) -> str:
    """The number as its kind is read, `-` for what is none."""
    found = number(value)
    if found is None:
        return "-"
    if (type(value) is int or metric == "active_units") and not is_share(metric) and math.isfinite(found):
        return f"{found:,.0f}"
    return format_metric(metric, found)


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is a section of a report, or else an empty one."""
    return value if isinstance(value, dict) else {}


def interval(report: Mapping[str, Any], metric: str) -> str:
    """`95.67 to 98.87 %`, if the report has an interval for the test's number of this name."""
    bounds = report.get(f"{metric}{_INTERVAL}")
    if not isinstance(bounds, list) or len(bounds) != 2 or None in map(number, bounds):
        return ""
    low, high = (shown(metric, bound) for bound in bounds)
    return f"{low.removesuffix(' %')} to {high}"


def results(report: Mapping[str, Any], task: str) -> Table:
    """Every number of the three splits, by the epoch whose weights were kept, and further ones of the test set."""
    splits = {split: mapping(report.get(split)) for split in _SPLITS}
    metrics = list(dict.fromkeys(name for split in ("test", "val", "train") for name in splits[split]))[:_MOST_NUMBERS]
    metrics.sort(key=lambda name: name != _monitor(report))
    rows = [
        [
            name_of(metric, task),
            *(shown(metric, splits[split].get(metric)) for split in _SPLITS),
            interval(report, metric),
        ]
        for metric in metrics
    ]
    rows += [[name, "", "", value, ""] for name, value in further(report, splits["test"])]
    head = ["Number", *_SPLITS.values(), "95 % interval"]
    if not any(row[-1] for row in rows):
        head, rows = head[:-1], [row[:-1] for row in rows]
    note = "The training numbers were taken while training, in the epoch whose weights were kept."
    return Table.of("Numbers", head, rows, note=note)


def further(report: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Numbers of a report besides those of the splits, alone or a few together under a name."""
    for key, value in report.items():
        if key in _NO_NUMBERS or key in known or key.endswith(_INTERVAL) or (key in _AVERAGES and "classes" in report):
            continue
        if number(value) is not None:
            yield name_of(key), shown(key, value)
        elif 0 < len(section := mapping(value)) <= _MOST_TOGETHER and None not in map(number, section.values()):
            for name, part in section.items():
                yield f"{name_of(key)}: {in_line(name)}", shown(name, part)


def in_line(name: str) -> str:
    """A name in the middle of a line: `precision`, but `F1`."""
    found = name_of(name)
    return found if found.isupper() or not found[1:2].islower() else found[:1].lower() + found[1:]


def _monitor(report: Mapping[str, Any]) -> str:
    """The number that the task watches."""
    return str(report.get("monitor", "")).removeprefix("val/")


def tiles(report: Mapping[str, Any], task: str) -> list[Fact]:
    """The test's most important numbers, the one that the task watches first."""
    test = mapping(report.get("test"))
    metrics = sorted(test, key=lambda name: (name != _monitor(report), not is_share(name)))[:_TILES]
    return [
        Fact(shortened(_tile_name(metric, task)), shown(metric, test[metric]), _tile_note(report, metric, task))
        for metric in metrics
    ]


def _tile_name(metric: str, task: str) -> str:
    if metric == "loss":
        return "Test loss"
    name = name_of(metric, task).partition(" (")[0]
    return f"Test {in_line(metric) if name == name_of(metric) else name}"


def _tile_note(report: Mapping[str, Any], metric: str, task: str) -> str:
    bounds = interval(report, metric)
    return f"95 % interval: {bounds}" if bounds else _SHORT.get(metric, {}).get(task, "")


def classes(report: Mapping[str, Any], most: int) -> Table | None:
    """Precision, recall, F1 and whatever else a report has of each class; None if it has none."""
    found = {name: mapping(scores) for name, scores in mapping(report.get("classes")).items()}
    if not found:
        return None
    known = ("precision", "recall", "f1")
    others = dict.fromkeys(score for scores in found.values() for score in scores)
    scores = [*known, *(name for name in others if name not in (*known, "support")), "support"][:_MOST_TOGETHER]
    rows = [[name, *(shown(score, values.get(score)) for score in scores)] for name, values in found.items()]
    note = f"and {len(rows) - most:,} more in report.json" if len(rows) > most else ""
    rows = rows[:most]
    total = sum(number(values.get("support")) or 0 for values in found.values())
    for kind in _AVERAGES:
        if average := mapping(report.get(kind)):
            shares = (shown(score, average.get(score)) for score in scores[:-1])
            rows.append([f"{kind} average", *shares, f"{total:,.0f}"])
    return Table.of("The classes of the test set", ["Class", *map(name_of, scores)], rows, note=note)


def supports(report: Mapping[str, Any]) -> dict[str, str]:
    """How many test examples each class has."""
    found = mapping(report.get("classes"))
    return {name: shown("support", mapping(scores).get("support")) for name, scores in found.items()}
