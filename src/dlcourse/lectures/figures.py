"""The drawings of the lectures' figures by name."""

from dlcourse.config.registry import Registry
from dlcourse.lectures.landscapes import landscape
from dlcourse.lectures.optimizers import optimizers
from dlcourse.lectures.several import against, bars, curves, evaluated
from dlcourse.lectures.small_networks import activations, backprop, universal
from dlcourse.lectures.units import units
from dlcourse.metrics.report import Report

FIGURES: Registry[Report] = Registry(
    "lecture",
    {
        "activations": activations,
        "against": against,
        "backprop": backprop,
        "bars": bars,
        "curves": curves,
        "evaluated": evaluated,
        "landscape": landscape,
        "optimizers": optimizers,
        "units": units,
        "universal": universal,
    },
    run_time=("runs",),
)
