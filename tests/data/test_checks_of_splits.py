"""Checks of splits and texts in memory, and the examples that are shown of them."""

import dataclasses
from pathlib import Path

import pytest
import torch

from dlcourse.config.registry import Choice
from dlcourse.data import DATASETS
from dlcourse.data.checks import splits, text
from dlcourse.data.image_folder import ImageFolder
from dlcourse.data.looks import augmented, spread
from dlcourse.data.split import TensorSplit
from dlcourse.data.transforms import Augment, flip_images
from dlcourse.spec import Data, DataSpec
from odd_photos import photos


def glyphs(**options: object) -> Data:
    return DATASETS.build(Choice("glyphs", {"train_size": 200, "test_size": 40, **options})).build(
        name="glyphs", seed=0
    )


def told(data: Data) -> list[str]:
    return [str(finding) for finding in splits.check_splits(data)]


def test_good_images_have_nothing_odd_and_copies_in_the_test_set_are_numbered() -> None:
    data = glyphs()
    assert told(data) == []
    assert isinstance(data.train, TensorSplit) and isinstance(data.test, TensorSplit)
    data.test.inputs[[3, 17]] = data.train.inputs[[50, 7]]
    (copies,) = told(data)
    assert copies.startswith("training and test images 50 and 3, 7 and 17: 2 pairs of nearly the same images")


def test_different_images_of_one_class_are_not_nearly_the_same() -> None:
    source = DATASETS.build(Choice("shapes", {"train_size": 1500, "test_size": 300}))
    assert told(source.build(name="shapes", seed=0)) == []


def test_a_feature_that_never_changes_and_rows_in_both_splits_are_named() -> None:
    train, test = torch.randn(30, 3), torch.randn(10, 3)
    train[:, 1], test[4] = 2.0, train[9]
    spec = DataSpec("", (3,), 1, "value", feature_names=("a", "b", "c"))
    parts = [TensorSplit(rows, torch.zeros(len(rows), 1)) for rows in (train, train[:2], test)]
    constant, rows = told(Data(spec, *parts))
    assert constant.startswith("feature b: the same value in all training rows")
    assert rows.startswith("training and test rows 9 and 4 (counted from 0): the same")


def test_counts_of_classes_are_those_of_the_targets() -> None:
    data = glyphs()
    counts = splits.class_counts(data)
    assert {part: sum(of.values()) for part, of in counts.items()} == {"train": 180, "val": 20, "test": 40}
    targets = torch.cat([batch.targets for batch in data.test.batches(7)])
    assert counts["test"]["3"] == int((targets == 3).sum())
    assert torch.equal(splits.targets_of(data.test), targets)


TEXT = 2 * ("a line that is long enough to be no accident at all\n" + "abc " * 50)
ODD_TEXTS = [
    (TEXT, "abc", []),
    (TEXT, "abc\u00e9", ["characters '\u00e9': only in the held-out part"]),
    (TEXT + "\x07\x07", "", ["characters U+0007: control characters"]),
    (TEXT + "~", "", ["characters '~': only once in the training part"]),
    (TEXT, TEXT[:52], ["1 line, such as 'a line that is long enough to be no acci': in both training and"]),
]


@pytest.mark.parametrize(("training", "held_out", "messages"), ODD_TEXTS)
def test_what_is_odd_about_a_text(training: str, held_out: str, messages: list[str]) -> None:
    found = [str(finding) for finding in text.check_text(training, held_out, "characters")]
    assert len(found) == len(messages)
    assert all(line.startswith(message) for line, message in zip(found, messages, strict=True))


def test_examples_are_equally_many_of_each_class_in_their_order() -> None:
    targets = torch.tensor([1, 0, 2, 1, 0, 2, 1, 0, 2, 0])
    assert targets[spread(targets, 3, 6)].tolist() == [0, 0, 1, 1, 2, 2]
    assert spread(targets, 3, 2).tolist() == [0, 9]
    assert spread(torch.zeros(5, 1), 0, 20).tolist() == [0, 1, 2, 3, 4]


def test_augmented_examples_are_the_same_ones_changed() -> None:
    plain = glyphs()
    chosen = torch.arange(20)
    before = plain.train.pictures(chosen)
    assert before is not None and augmented(plain.train, chosen, plain.spec) is None
    data = glyphs(augment=dataclasses.asdict(Augment(flip=True)))
    after = augmented(data.train, chosen, data.spec)
    assert after is not None
    mirrored = flip_images(before, torch.ones(20, dtype=torch.bool))
    is_plain, is_mirrored = (torch.isclose(after, each, atol=1e-3).flatten(1).all(1) for each in (before, mirrored))
    assert bool((is_plain | is_mirrored).all()) and 0 < int(is_mirrored.sum()) < 20


def test_augmented_photos_are_in_the_order_of_the_plain_ones(tmp_path: Path) -> None:
    photos(tmp_path, cat=15, dog=15)
    source = ImageFolder(
        folder=str(tmp_path), size=24, augment=dataclasses.replace(ImageFolder().augment, brightness=0.01)
    )
    data = source.build(name="images", seed=0)
    chosen = torch.arange(12)
    before, after = data.train.pictures(chosen), augmented(data.train, chosen, data.spec)
    assert before is not None and after is not None
    distances = (after[:, None] - before[None]).abs().flatten(2).mean(2)  # (12, 12)
    assert distances.argmin(1).tolist() == list(range(12)) and not torch.equal(before, after)
