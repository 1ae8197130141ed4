"""The faults that show when a model is trained on one batch: in its parameters, its loss and its fit."""

from torch import nn

from dlcourse.training.debug.findings import Finding, listed
from dlcourse.training.debug.first_step import detached
from dlcourse.training.debug.one_batch_training import Course

_NEAR_ZERO = 0.05
_STAYS_HIGH = 0.3
_MUCH = 3.0
"""Shares of the first loss."""
_FITS = 0.95
_GAIN, _NO_GAIN = 0.1, 0.02
"""A fit is better than another from the first number on, and no better up to the second."""
_FELL = 0.2
"""The share of its first value by which a loss must fall to count as falling."""


def is_memorized(course: Course) -> bool:
    """Whether the loss went from above zero to near it, and the batch is predicted."""
    fits = course.last_fit is None or course.last_fit >= _FITS
    return course.losses[0] >= 0 and 0 <= course.losses[-1] <= _NEAR_ZERO * course.losses[0] and fits


def faults_of_parameters(model: nn.Module, course: Course) -> list[Finding]:
    """Parameters that no gradient reaches, or that do not change, or a learning rate that is 0."""
    names = [name for name, _ in model.named_parameters()]
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    missed = [name for name in trained if name not in course.reached | course.changed]
    unchanged = [name for name in trained if name not in course.changed]
    kept = [name for name in unchanged if name in course.pushed]
    if unchanged == trained and course.largest_lr == 0 and course.reached:
        return [
            Finding(
                "learning rate 0",
                f"no parameter changed in {course.steps} steps: the learning rate was always 0",
                "a learning rate above 0",
                "check optimizer.lr and the schedule; scheduler=constant keeps the learning rate constant",
            )
        ]
    if missed:
        return [detached(missed, course.reached, names)]
    if kept:
        return [
            Finding(
                "frozen layer",
                f"{listed(kept)} did not change in {course.steps} steps, although gradients reach them",
                "parameters that are trained",
                "check that the optimizer gets them",
            )
        ]
    if unchanged:
        return [
            Finding(
                "gradient 0",
                f"the gradient of {listed(unchanged)} is always 0, so they never change",
                "",
                "units may be dead, or the loss may not depend on them (a critic's does not on its last bias)",
                is_fault=False,
            )
        ]
    return []


def faults_of_loss(course: Course, reference: Course | None = None, *, is_comparable: bool = True) -> list[Finding]:
    """A loss that falls although the fit does not get better, or that does not fall.

    `reference` is the course of the same model on cross-entropy, if it was made. `is_comparable`: the loss should fall as
    that does, or as the squared error; not so squared errors of classes, and a likelihood with a deviation of its own.
    """
    first, last = course.losses[0], course.losses[-1]
    went = f"the loss went from {first:.3g} to {last:.3g} in {course.steps} steps"
    before, after = course.first_fit, course.last_fit
    if before is None or after is None:
        return [] if course.steps == 1 or course.falls else [_no_fall(went)]
    if reference is not None:
        return _compared(course, reference, went, is_same_kind=is_comparable)
    if is_comparable and first - last > _FELL * abs(first) and after - before < _NO_GAIN and after < _FITS:
        return [_wrong(f"{went}, but R^2 from {before:.3g} to {after:.3g}", "a better fit with a lower loss")]
    return [] if course.steps == 1 or course.falls or after >= _FITS else [_no_fall(went)]


def _compared(course: Course, reference: Course, went: str, *, is_same_kind: bool) -> list[Finding]:
    assert course.last_fit is not None and reference.last_fit is not None
    ours, theirs = f"{course.last_fit:.0%}".replace("%", " %"), f"{reference.last_fit:.0%}".replace("%", " %")
    if reference.last_fit > course.last_fit + _GAIN:
        return [
            _wrong(
                f"{went} and {ours} of the batch are right",
                f"{theirs}, as with cross-entropy",
            )
        ]
    if is_same_kind and course.share_left > max(_STAYS_HIGH, _MUCH * reference.share_left):
        near_zero = f"a loss near zero: cross-entropy fell to {reference.losses[-1]:.3g}"
        return [_wrong(f"{went} although {ours} of the batch are right", near_zero)]
    return []


def _wrong(seen: str, expected: str) -> Finding:
    advice = "check the task's losses: their sign, the axis of their mean, a softmax applied twice"
    return Finding("wrong loss", seen, expected, advice)


def _no_fall(went: str) -> Finding:
    advice = "try a lower optimizer.lr; if that does not help, check the task's losses"
    return Finding("loss does not fall", went, "a falling loss", advice)
