"""Folds: scikit-learn's, of the training examples alone, each example in exactly one."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.model_selection import KFold, StratifiedKFold

from dlcourse.config.registry import Choice
from dlcourse.data import DATASETS
from dlcourse.data.folds import held_out
from dlcourse.errors import ConfigError
from dlcourse.spec import Data


def build(name: str, seed: int = 0, **options: object) -> Data:
    return DATASETS.build(Choice(name, options)).build(name=name, seed=seed)


def examples(split: object) -> list[bytes]:
    return [row.numpy().tobytes() for row in split.inputs.reshape(len(split), -1)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("seed", [0, 7])
def test_the_folds_of_classes_are_those_of_scikit_learn(seed: int) -> None:
    targets = torch.tensor(load_iris().target)[torch.randperm(150, generator=torch.Generator().manual_seed(1))]
    splitter = StratifiedKFold(5, shuffle=True, random_state=seed)
    for fold, (train, val) in enumerate(splitter.split(targets, targets)):
        mask = held_out(targets, 5, fold, seed, ("setosa", "versicolor", "virginica"))
        assert mask.nonzero().flatten().tolist() == val.tolist()
        assert (~mask).nonzero().flatten().tolist() == train.tolist()


@pytest.mark.parametrize("name", ["iris", "diabetes", "digits", "sort", "word_order"])
def test_folds_never_overlap_and_are_the_training_set_together(name: str) -> None:
    whole = build(name)
    training = sorted(examples(whole.train) + examples(whole.val))
    folds = [build(name, k_fold=4, fold=fold) for fold in range(4)]
    assert sorted(example for data in folds for example in examples(data.val)) == training
    assert all(sorted(examples(data.train) + examples(data.val)) == training for data in folds)
    assert {data.test.fingerprint() for data in folds} == {whole.test.fingerprint()}


def test_every_fold_has_its_share_of_each_class_and_with_stratify_false_by_chance() -> None:
    counts = [build("iris", k_fold=5, fold=fold).val.targets.bincount().tolist() for fold in range(5)]
    assert counts == [[8, 8, 8]] * 5
    assert build("iris", k_fold=5, fold=0, stratify=False).val.targets.bincount().tolist() != [8, 8, 8]


def test_numbers_are_divided_as_by_kfold_and_another_seed_divides_otherwise() -> None:
    targets = torch.randn(23, 1)
    for fold, (_, val) in enumerate(KFold(5, shuffle=True, random_state=3).split(np.zeros(23))):
        assert held_out(targets, 5, fold, 3).nonzero().flatten().tolist() == val.tolist()
    assert not torch.equal(held_out(targets, 5, 0, 3), held_out(targets, 5, 0, 4))


def test_the_subset_is_taken_first_and_what_is_given_beside_the_folds_is_said() -> None:
    data = build("digits", subset=100, k_fold=5, fold=1, val_fraction=0.3)
    assert (len(data.train), len(data.val)) == (80, 20)
    assert data.notes == ("validation is a fold of data.k_fold=5; data.val_fraction=0.3 is ignored",)
    assert build("digits", subset=100, k_fold=5, fold=1).notes == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k_fold": 1, "fold": 0}, "data.k_fold must be a whole number >= 2 or null, got 1"),
        ({"k_fold": 5, "fold": 5}, "data.fold=5: the folds of data.k_fold=5 are 0 to 4"),
        (
            {"k_fold": 5},
            "data.k_fold=5 makes 5 runs, and this is one; write data.fold=0 for the first of them, or add -m",
        ),
        ({"fold": 2}, "data.fold=2 needs the number of folds, such as data.k_fold=5"),
        ({"k_fold": 41, "fold": 0}, "class 'setosa' has 40 training examples, too few for one in each fold"),
        ({"k_fold": 121, "fold": 0, "stratify": False}, "data.k_fold=121 is more than the 120 training examples"),
    ],
)
def test_what_cannot_be_divided_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        build("iris", **options)
    assert message in str(refusal.value)


def test_as_many_folds_as_a_class_has_examples_are_the_most() -> None:
    assert len(build("iris", k_fold=40, fold=39).val) == 3
