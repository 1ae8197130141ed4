"""What a course of training on one batch tells, for courses made up."""

import pytest
from torch import nn

from dlcourse.errors import FaultError
from dlcourse.training.debug.findings import refuse_faults
from dlcourse.training.debug.one_batch_training import Course
from dlcourse.training.debug.verdict import faults_of_loss, faults_of_parameters, is_memorized

MODEL = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
NAMES = frozenset(name for name, _ in MODEL.named_parameters())
FIRST = frozenset({"0.weight", "0.bias"})


def course(
    first: float = 2.0, last: float = 0.01, fits: tuple[float, float] | None = (0.1, 1.0), **what: object
) -> Course:
    losses = [first + (last - first) * step / 99 for step in range(100)]
    before, after = fits if fits else (None, None)
    usual = {"changed": NAMES, "reached": NAMES, "pushed": NAMES, "largest_lr": 0.1}
    return Course(losses, before, after, **{**usual, **what})


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ({}, []),
        ({"changed": frozenset(), "largest_lr": 0.0}, ["learning rate 0"]),
        ({"changed": frozenset()}, ["frozen layer"]),
        ({"changed": NAMES - FIRST}, ["frozen layer"]),
        ({"changed": NAMES - FIRST, "reached": NAMES - FIRST, "pushed": NAMES - FIRST}, ["detached graph"]),
        ({"changed": NAMES - FIRST, "pushed": NAMES - FIRST}, ["gradient 0"]),
        ({"changed": frozenset(), "reached": frozenset(), "pushed": frozenset()}, ["detached graph"]),
    ],
)
def test_what_became_of_the_parameters_names_the_fault(what: dict, names: list[str]) -> None:
    found = faults_of_parameters(MODEL, course(**what))
    assert [finding.name for finding in found] == names
    assert [finding.name for finding in found if not finding.is_fault] == [
        name for name in names if name == "gradient 0"
    ]


@pytest.mark.parametrize(
    ("own", "other", "names"),
    [
        (course(2.3, 1.46), course(2.3, 0.01), ["wrong loss"]),  # softmax twice: all right, and far from zero
        (course(2.3, 0.9), course(2.3, 0.8), []),  # slow, as cross-entropy is
        (course(2.3, 2.0, (0.1, 0.3)), course(2.3, 0.01, (0.1, 1.0)), ["wrong loss"]),
        (course(2.3, 2.0, (0.1, 0.3)), course(2.3, 2.0, (0.1, 0.3)), []),  # a model that is too small for both
        (course(-2.3, -9.0, (0.1, 0.0)), course(2.3, 0.01), ["wrong loss"]),
    ],
)
def test_a_classifier_is_compared_with_the_same_on_cross_entropy(own: Course, other: Course, names: list[str]) -> None:
    assert [finding.name for finding in faults_of_loss(own, other)] == names


def test_squared_errors_that_stay_high_are_not_compared() -> None:
    assert faults_of_loss(course(0.11, 0.05), course(2.3, 0.01), is_comparable=False) == []


@pytest.mark.parametrize(
    ("own", "names"),
    [
        (course(1.0, -5.0, (0.0, -4.0)), ["wrong loss"]),
        (course(1.0, 0.98, (0.0, 0.015)), []),  # slow
        (course(1.0, 1.1, (0.0, -0.1)), ["loss does not fall"]),
        (course(3.0, 3.1, None), ["loss does not fall"]),
        (course(3.0, 2.9, None), []),
    ],
)
def test_other_losses_must_fall_and_fit_better(own: Course, names: list[str]) -> None:
    assert [finding.name for finding in faults_of_loss(own)] == names


def test_a_batch_is_memorized_only_if_it_is_predicted_and_the_loss_goes_to_zero_from_above() -> None:
    assert is_memorized(course()) and is_memorized(course(fits=None))
    assert not is_memorized(course(fits=(0.1, 0.5)))
    assert not is_memorized(course(2.0, 1.0))
    assert not is_memorized(course(-2.0, -9.0))


def test_one_line_names_all_faults() -> None:
    frozen = faults_of_parameters(MODEL, course(changed=NAMES - FIRST))
    wrong = faults_of_loss(course(3.0, 3.1, None))
    with pytest.raises(
        FaultError, match=r"^frozen layer: 0.weight, 0.bias did not change .* \(also found: loss does not"
    ):
        refuse_faults([*frozen, *wrong])
    refuse_faults([])
