"""Whether targets go with inputs: neighbors of real and of shuffled tables."""

import pytest
import torch

from dlcourse.data.sklearn_data import Diabetes, Digits, Iris
from dlcourse.spec import Batch, Data
from dlcourse.training.debug.labels import agreement, of_neighbors, of_predictions
from dlcourse.training.debug.pairing import NEIGHBORS


def batch_of(data: Data, *, shuffled: bool) -> Batch:
    inputs, targets = next(iter(data.train.batches(NEIGHBORS, epoch=1)))
    order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(3))
    return Batch(inputs, targets[order] if shuffled else targets)


@pytest.mark.parametrize("source", [Digits(), Iris(), Diabetes()])
def test_neighbors_tell_real_targets_from_shuffled_ones(source: Digits | Iris | Diabetes) -> None:
    data = source.build(name="table", seed=0)
    true = of_neighbors(batch_of(data, shuffled=False), data.spec)
    assert not true.is_chance and true.is_better
    assert of_neighbors(batch_of(data, shuffled=True), data.spec).is_chance


def test_neighbors_that_never_agree_are_no_chance() -> None:
    """Bits whose nearest neighbors differ in one of them have another parity."""
    inputs = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 6)
    spec = Iris().build(name="iris", seed=0).spec
    found = of_neighbors(Batch(inputs, inputs.sum(1).long() % 2), spec)
    assert found.value == 0 and not found.is_chance and not found.is_better


def test_predictions_are_compared_with_the_most_frequent_class() -> None:
    targets = torch.tensor([0] * 60 + [1] * 40)
    same = of_predictions(torch.zeros(100, dtype=torch.int64), targets)
    assert (same.value, same.chance) == (0.6, 0.6) and not same.is_better
    assert of_predictions(targets, targets).is_better


def test_numbers_agree_by_their_correlation() -> None:
    numbers = torch.arange(12.0).view(6, 2)
    assert agreement(numbers, 3 * numbers + 1) == pytest.approx(1)
    assert agreement(numbers, -numbers) == pytest.approx(-1)
    assert agreement(numbers, torch.ones(6, 2)) == 0
    assert of_predictions(numbers, numbers).deviation == pytest.approx(6**-0.5)
