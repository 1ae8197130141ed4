"""The drawings of the lectures' figures by name."""

from dlcourse.config.registry import Registry
from dlcourse.lectures.overfitting import benign, double_descent, holdout
from dlcourse.lectures.regression import fit, likelihood, polynomial, two_heads
from dlcourse.lectures.several import against, bars, curves, evaluated
from dlcourse.metrics.report import Report

FIGURES: Registry[Report] = Registry(
    "lecture",
    {
        "against": against,
        "bars": bars,
        "benign": benign,
        "curves": curves,
        "double_descent": double_descent,
        "evaluated": evaluated,
        "holdout": holdout,
        "likelihood": likelihood,
        "line": fit,
        "polynomial": polynomial,
        "two_heads": two_heads,
    },
    run_time=("runs",),
)
