"""The examples in a data card: of every kind of data, from the training set alone, and none if the data have changed."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dlcourse.data import DATASETS
from dlcourse.device import cpu
from dlcourse.errors import DataError
from dlcourse.pages import parts
from dlcourse.pages.examples import Examples, chosen, in_turn, read_examples
from dlcourse.spec import Data
from dlcourse.training.build import build_data
from lab import composed
from tiny_data import tiny_data

# Those that are read from files of many megabytes, or with libraries for them, are of the same kinds as others.
QUICK = (
    "digits",
    "iris",
    "diabetes",
    "moons",
    "blobs",
    "line",
    "shapes",
    "sine",
    "adding",
    "word_order",
    "copy",
    "mnist",
)


def data_of(*words: str) -> Data:
    return build_data(composed(*words), cpu())


class Untouchable:
    """A test set of which a page must not ask anything."""

    def __getattr__(self, name: str) -> None:
        raise AssertionError(f"the test set is asked for {name}")


@pytest.mark.parametrize("name", QUICK)
def test_every_kind_of_data_has_examples_of_the_training_set(name: str, tmp_path: Path) -> None:
    data = data_of(*tiny_data(name, tmp_path))
    shown = chosen(Data(data.spec, data.train, Untouchable(), Untouchable()))  # type: ignore[arg-type]
    assert bool(shown.images) + (shown.table is not None) + (shown.text is not None) == 1
    if shown.table is not None:
        assert shown.table.rows and all(len(row) == len(shown.table.head) for row in shown.table.rows)


def test_the_quick_ones_exist() -> None:
    assert set(QUICK) <= set(DATASETS)


def test_images_are_the_training_images_one_of_each_class_first() -> None:
    data = data_of("data=digits")
    shown = chosen(data).images
    assert [image.title for image in shown[:10]] == [str(digit) for digit in range(10)]
    assert len(shown) == 12 and isinstance(shown[0], parts.Figure)
    first = next(place for place, target in enumerate(next(data.train.batches(240)).targets) if target == 3)
    expected = data.train.pictures(torch.tensor([first]))[0, 0].numpy() * 255
    found = np.asarray(Image.open(io.BytesIO(shown[3].content)))
    assert np.array_equal(found, expected.round().astype(np.uint8))


def test_in_turn() -> None:
    assert in_turn([2, 2, 0, 1, 0, 2], 4) == [2, 3, 0, 4]
    assert in_turn([], 4) == []


def test_a_row_has_the_numbers_of_the_training_set() -> None:
    data = data_of("data=iris")
    table = chosen(data).table
    assert table is not None
    assert table.head == (*data.spec.feature_names, "target")
    batch = next(data.train.batches(1))
    assert table.rows[0] == (
        *(f"{value:.4g}" for value in batch.inputs[0].tolist()),
        data.spec.class_names[int(batch.targets[0])],
    )


def test_the_start_of_a_game_has_no_target() -> None:
    data = data_of("data=cartpole", "data.size=20")
    table = chosen(data).table
    assert table is not None and table.head == ("position", "velocity", "angle", "angular_velocity")
    assert all(len(row) == 4 for row in table.rows)


def test_of_many_columns_the_first_are_shown() -> None:
    table = chosen(data_of("data=breast_cancer")).table
    assert table is not None and len(table.head) == 9
    assert table.note == "22 of the 30 columns are left out."


def test_a_text_is_shown_from_its_beginning(tmp_path: Path) -> None:
    text = "".join(f"Line {number} of a text.\n" for number in range(400))
    (tmp_path / "a.txt").write_text(text)
    shown = chosen(data_of("data=text", f"data.file={tmp_path / 'a.txt'}")).text
    assert shown is not None and shown.content == f"{text[:450]}…"


def test_data_that_are_gone_or_others_are_told_and_nothing_is_downloaded(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("It was the best of times.\n" * 60)
    config = composed("data=text", f"data.file={file}", "model=gru")
    data = build_data(config, cpu())
    assert read_examples(config, data.spec, len(data.train)).text is not None
    assert read_examples(config, data.spec, None).text is not None
    assert "not those that the run was trained on" in read_examples(config, data.spec, 7).missing
    file.write_text("It was the worst of all times!\n" * 60)
    changed = read_examples(config, data.spec, None)  # as many as before, for all that is known
    assert changed.text is None and "not those that the run was trained on" in changed.missing
    file.unlink()
    assert "a.txt does not exist" in read_examples(config, data.spec, len(data.train)).missing
    nowhere = composed("data=mnist", f"data.root={tmp_path}")
    assert "cannot be read any more" in read_examples(nowhere, data.spec, 1).missing
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_turns_out_to_be_damaged_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(data: Data) -> Examples:
        raise DataError("7.png is damaged; remove it")

    monkeypatch.setattr("dlcourse.pages.examples.chosen", damaged)
    missing = read_examples(composed("data=digits"), data_of("data=digits").spec, None).missing
    assert missing == "No examples: the data cannot be read any more (7.png is damaged)."
