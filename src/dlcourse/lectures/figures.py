"""The drawings of the lectures' figures by name."""

from dlcourse.config.registry import Registry
from dlcourse.lectures.criterion import criterion
from dlcourse.lectures.loop import loop
from dlcourse.lectures.several import against, bars, curves, evaluated
from dlcourse.metrics.report import Report

FIGURES: Registry[Report] = Registry(
    "lecture",
    {
        "against": against,
        "bars": bars,
        "criterion": criterion,
        "curves": curves,
        "evaluated": evaluated,
        "loop": loop,
    },
    run_time=("runs",),
)
