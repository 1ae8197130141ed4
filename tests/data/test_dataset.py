"""What every data set shares: subset, classes, label noise, validation, and the order of an epoch."""

from collections import Counter
from dataclasses import dataclass

import pytest
import torch

from dlcourse.data.dataset import ClassSource, Tables
from dlcourse.data.split import TensorSplit, seeded_generator
from dlcourse.errors import ConfigError
from dlcourse.spec import Data

SIZES = (600, 300, 100)
NAMES = ("cat", "dog", "owl")


@dataclass(frozen=True, kw_only=True)
class Animals(ClassSource):
    """Rows whose first feature is their number, so that they can be recognized; three classes of unequal size."""

    def load(self) -> Tables:
        targets = torch.repeat_interleave(torch.arange(3), torch.tensor(SIZES))
        inputs = torch.arange(len(targets), dtype=torch.float32)[:, None]
        return Tables(inputs, targets, inputs + 10_000, targets, NAMES)


def build(seed: int = 0, **options: object) -> Data:
    return Animals(**options).build(name="animals", seed=seed)


def rows(split: TensorSplit) -> list[int]:
    return split.inputs[:, 0].int().tolist()


def test_validation_is_carved_from_training_and_never_from_the_test_set() -> None:
    data = build(val_fraction=0.2)
    assert (len(data.train), len(data.val), len(data.test)) == (800, 200, 1000)
    assert sorted(rows(data.train) + rows(data.val)) == list(range(1000))
    assert min(rows(data.test)) == 10_000


@pytest.mark.parametrize("stratify", [True, False])
def test_stratified_parts_keep_the_shares_of_the_classes(stratify: bool) -> None:
    counts = [
        Counter(build(seed, subset=100, val_fraction=0.5, stratify=stratify).val.targets.tolist()) for seed in range(8)
    ]
    exact = all(abs(count[label] - share) <= 1 for count in counts for label, share in ((0, 30), (1, 15), (2, 5)))
    assert exact == stratify
    assert all(sum(count.values()) == 50 for count in counts)


def test_the_seed_decides_the_split() -> None:
    assert rows(build(1).val) == rows(build(1).val)
    assert rows(build(1).val) != rows(build(2).val)
    assert rows(build(1).test) == rows(build(2).test)


def test_the_test_rows_of_a_table_are_the_same_in_every_run() -> None:
    from dlcourse.data.sklearn_data import Iris

    first, second = (
        Iris(stratify=stratify).build(name="iris", seed=seed).test.inputs for stratify, seed in ((True, 0), (False, 1))
    )
    assert torch.equal(first, second)


def test_an_empty_test_set_is_refused() -> None:
    from dlcourse.data.sklearn_data import Iris

    with pytest.raises(ConfigError, match="no example is left in the test set of 'iris'"):
        Iris(test_fraction=0.005, classes=("setosa", "virginica")).build(name="iris", seed=0)


def test_classes_are_kept_by_name_or_number_in_the_order_given() -> None:
    data = build(classes=("owl", 0))
    assert data.spec.class_names == ("owl", "cat")
    assert len(data.train) + len(data.val) == SIZES[2] + SIZES[0]
    numbers, targets = data.test.inputs[:, 0] - 10_000, data.test.targets
    assert torch.equal(targets == 1, numbers < SIZES[0])


@pytest.mark.parametrize("classes", [("cat",), ("cat", "cat"), ("cat", 0), ()])
def test_fewer_than_two_different_classes_are_refused(classes: tuple[str | int, ...]) -> None:
    with pytest.raises(ConfigError, match="must name at least two different classes"):
        build(classes=classes)


def test_label_noise_changes_that_share_of_training_labels_only() -> None:
    clean, noisy = build(), build(label_noise=0.3)
    changed = clean.train.targets != noisy.train.targets
    assert changed.sum().item() == round(0.3 * len(clean.train))
    assert torch.equal(clean.val.targets, noisy.val.targets)
    assert torch.equal(clean.test.targets, noisy.test.targets)
    assert set(noisy.train.targets.tolist()) == {0, 1, 2}


def test_each_epoch_sees_every_example_once_in_an_order_of_its_own() -> None:
    train = build().train
    orders = [
        torch.cat([batch.inputs[:, 0] for batch in train.batches(64, epoch=epoch)]).tolist() for epoch in (1, 1, 2)
    ]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]
    assert sorted(orders[0]) == sorted(orders[2]) == sorted(rows(train))
    plain = torch.cat([batch.inputs[:, 0] for batch in train.batches(64)])
    assert plain.tolist() == rows(train)


def test_seeds_are_mixed_well() -> None:
    seeds = [("a", 0), ("b", 0), ("a", 1), ("a", 0, 1)]
    assert len({int(torch.randint(2**31, (), generator=seeded_generator(*which))) for which in seeds}) == 4
    draws = torch.cat([torch.rand(1, generator=seeded_generator("a", 0, epoch)) for epoch in range(1000)])
    assert draws.mean().item() == pytest.approx(0.5, abs=0.05)
