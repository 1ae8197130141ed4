"""What was found by watching a training, in words for the report and the console, and in numbers for programs."""

from collections.abc import Mapping, Sequence
from typing import Any

from dlcourse.text_table import counted
from dlcourse.training.watch import Watch

_VANISHED = 1e-3
"""A layer learns next to nothing if the root mean square of its gradient is below this share of the largest layer's."""
_EXPLODED = 10.0
"""A step is about to replace the weights if the norm of their gradient is more than this many times their own."""


def found(watch: Watch) -> list[str]:
    """A sentence on each layer with dead units, and on each whose gradient vanishes or explodes."""
    return [*_dead(watch.units, watch.examples), *_gradients(watch.gradients)]


def _dead(units: Mapping[str, Sequence[int]], examples: int) -> list[str]:
    if not units:
        return []
    lines = [
        f"layer {number} ({name}): {dead} of {counted(count, 'unit')} {'is' if dead == 1 else 'are'} dead "
        f"({100 * dead / count:.1f} %): 0 for all {examples:,} validation examples"
        for number, (name, (dead, count)) in enumerate(units.items(), start=1)
        if dead
    ]
    return lines or [f"no dead units: each was nonzero for some of {examples:,} validation examples"]


def _gradients(gradients: Mapping[str, Sequence[float]]) -> list[str]:
    if not gradients:
        return []
    largest, of = max((rms, name) for name, (_, rms, _) in gradients.items())
    lines = []
    for name, (norm, rms, weights) in gradients.items():
        if rms < _VANISHED * largest:
            lines.append(f"vanishing gradient in {name}: root mean square {rms:.2g}, against {largest:.2g} in {of}")
        if norm > _EXPLODED * weights > 0:
            lines.append(f"exploding gradient in {name}: norm {norm:.3g}, against {weights:.3g} of the weights")
    return lines or ["no vanishing or exploding gradients"]


def as_numbers(watch: Watch) -> dict[str, Any]:
    """The same for report.json."""
    return {
        "epoch": watch.epoch,
        "examples": watch.examples,
        "dead_units": {
            name: {"dead": dead, "units": count, "share": dead / count} for name, (dead, count) in watch.units.items()
        },
        "gradients": {
            name: {"norm": norm, "root_mean_square": rms, "norm_of_weights": weights}
            for name, (norm, rms, weights) in watch.gradients.items()
        },
    }
