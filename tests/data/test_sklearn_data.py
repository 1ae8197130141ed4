"""The data sets of scikit-learn: the numbers published for them, their names, and how they are divided."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn import datasets
from sklearn.linear_model import LogisticRegression

from dlcourse.data.sklearn_data import BreastCancer, Diabetes, Digits, Iris, Wine


def all_rows(tables):
    return torch.cat([tables.train_inputs, tables.test_inputs]), torch.cat([tables.train_targets, tables.test_targets])


def rows_as_set(inputs, targets):
    return sorted(
        (*row.flatten().tolist(), *np.atleast_1d(target)) for row, target in zip(inputs, targets, strict=True)
    )


@pytest.mark.parametrize(
    ("source", "loader", "counts", "names"),
    [
        (Iris(), datasets.load_iris, [50, 50, 50], ("setosa", "versicolor", "virginica")),
        (Wine(), datasets.load_wine, [59, 71, 48], ("class_0", "class_1", "class_2")),
        (BreastCancer(), datasets.load_breast_cancer, [212, 357], ("malignant", "benign")),
    ],
)
def test_class_tables_hold_every_row_once(source, loader, counts, names):
    tables, bunch = source.load(), loader()
    inputs, targets = all_rows(tables)
    assert inputs.dtype == torch.float32 and targets.dtype == torch.int64
    assert targets.bincount().tolist() == counts
    assert tables.class_names == names
    assert tables.feature_names == tuple(bunch.feature_names) and len(tables.feature_names) == inputs.shape[1]
    assert rows_as_set(inputs, targets) == rows_as_set(bunch.data.astype(np.float32), bunch.target)


@pytest.mark.parametrize("source", [Iris(), Wine(), BreastCancer(), Digits()])
def test_a_fifth_of_each_class_is_for_testing(source):
    tables = source.load()
    for index in range(len(tables.class_names)):
        test, train = (tables.test_targets == index).sum().item(), (tables.train_targets == index).sum().item()
        assert abs(test - (test + train) / 5) <= 1


def test_diabetes_is_the_raw_table():
    tables = Diabetes().load()
    inputs, targets = all_rows(tables)
    assert inputs.shape == (442, 10) and targets.shape == (442, 1)
    assert inputs.dtype == targets.dtype == torch.float32
    assert tables.class_names == () and tables.feature_names[:4] == ("age", "sex", "bmi", "bp")
    assert targets.min() == 25 and targets.max() == 346 and targets.mean().item() == pytest.approx(152.133, abs=1e-3)
    ages = inputs[:, 0]
    assert ages.min() == 19 and ages.max() == 79


def test_digits_are_images_of_256_gray_levels():
    tables = Digits().load()
    inputs, targets = all_rows(tables)
    assert inputs.shape == (1797, 1, 8, 8) and inputs.dtype == torch.uint8
    assert inputs.unique().tolist() == [round(ink * 255 / 16) for ink in range(17)]
    assert tables.class_names == tuple("0123456789")
    assert targets.bincount().tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_digits_keep_their_labels():
    tables = Digits().load()
    model = LogisticRegression(max_iter=500).fit(tables.train_inputs.flatten(1) / 255, tables.train_targets)
    assert model.score(tables.test_inputs.flatten(1) / 255, tables.test_targets) > 0.94


def test_what_a_run_does_to_its_digits_does_not_reach_the_next():
    """Their file is read once in a process."""
    tables = Digits().load()
    before = [tensor.clone() for tensor in all_rows(tables)]
    for tensor in (tables.train_inputs, tables.train_targets, tables.test_inputs, tables.test_targets):
        tensor.fill_(7)
    assert all(torch.equal(*pair) for pair in zip(before, all_rows(Digits().load()), strict=True))


def test_the_test_rows_do_not_depend_on_the_seed_of_the_run():
    first, second = Iris().build(name="iris", seed=0), Iris().build(name="iris", seed=1)
    assert torch.equal(first.test.inputs, second.test.inputs)
    assert not torch.equal(first.val.inputs, second.val.inputs)
    assert first.spec.input_shape == (4,) and first.spec.num_outputs == 3 and first.spec.target == "class"


def test_diabetes_announces_one_value():
    spec = Diabetes().build(name="diabetes", seed=0).spec
    assert (spec.input_shape, spec.num_outputs, spec.target) == ((10,), 1, "value")


def test_digits_come_from_scikit_learn_where_its_file_is_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = Digits().load()
    monkeypatch.setattr(Path, "is_file", lambda path: False)
    found = Digits().load()
    assert torch.equal(found.train_inputs, expected.train_inputs) and torch.equal(
        found.test_targets, expected.test_targets
    )
    assert found.class_names == expected.class_names
