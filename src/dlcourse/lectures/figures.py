"""The drawings of the lectures' figures by name."""

from dlcourse.config.registry import Registry
from dlcourse.lectures.several import against, bars, curves, evaluated
from dlcourse.metrics.report import Report

FIGURES: Registry[Report] = Registry(
    "lecture",
    {
        "against": against,
        "bars": bars,
        "curves": curves,
        "evaluated": evaluated,
    },
    run_time=("runs",),
)
