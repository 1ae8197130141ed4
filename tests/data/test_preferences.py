"""Preferences: pairs of windows of a text, preferred as Bradley and Terry say by who likes a letter."""

from pathlib import Path

import pytest
import torch

from dlcourse.data import DATASETS
from dlcourse.data.preferences import Preferences
from dlcourse.errors import ConfigError
from dlcourse.metrics.taste import liking
from dlcourse.spec import Data

_TEXT = "It was the best of times, it was the worst of times, so good a moon of old.\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "tinyshakespeare.txt").write_text(_TEXT * 60)
    return tmp_path


def built(root: Path, **options: object) -> Data:
    return Preferences(root=str(root), verify=False, **options).build(name="preferences", seed=0)  # type: ignore[arg-type]


def test_the_labeller_prefers_more_of_the_letter_with_the_probability_of_bradley_and_terry(root: Path) -> None:
    data = built(root, size=20_000, length=10)
    (batch,) = data.train.batches(20_000)
    assert batch.inputs.shape == (20_000, 20) and batch.targets.shape == (20_000,)
    first, second = batch.inputs.chunk(2, dim=1)
    gap = liking(second, data.spec) - liking(first, data.spec)
    assert gap.unique().numel() > 3
    for margin in gap.unique().tolist():
        found = batch.targets[gap == margin].float()
        if len(found) > 400:
            assert float(found.mean()) == pytest.approx(torch.tensor(margin).sigmoid().item(), abs=0.06)


def test_all_texts_are_windows_of_their_part_of_the_text(root: Path) -> None:
    data = built(root, size=50, length=8, taste="e")
    decoded = ["".join(data.spec.vocabulary[token] for token in row) for row in _rows(data)]
    assert len(decoded) == 2 * (50 + 1000 + 1000) and all(text in _TEXT * 3 for text in decoded)
    assert liking(torch.tensor([[data.spec.vocabulary.index(letter) for letter in "the e"]]), data.spec).item() == 2
    assert data.train.fingerprint() != built(root, size=50, length=8, taste="e", seed=1).train.fingerprint()


def _rows(data: Data) -> list[list[int]]:
    return [
        text
        for split in (data.train, data.val, data.test)
        for batch in split.batches(500)
        for text in torch.cat(batch.inputs.chunk(2, dim=1)).tolist()
    ]


def test_a_taste_that_no_text_meets_is_refused(root: Path) -> None:
    assert DATASETS["preferences"] is Preferences
    with pytest.raises(ConfigError, match=r"^data.taste='oo' must be one of the characters of the text, such as o$"):
        built(root, taste="oo")
