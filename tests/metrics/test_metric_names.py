"""Numbers are called by words that a reader knows."""

import pytest

from dlcourse.metrics.names import NAMES, metric_name, metric_text


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("top3", "top-3 accuracy"),
        ("top10", "top-10 accuracy"),
        ("r2", "R^2"),
        ("bits_per_character", "bits per character"),
        ("accuracy", "accuracy"),
        ("loss", "loss"),
        ("some_other", "some other"),
    ],
)
def test_a_key_has_its_words(key: str, name: str) -> None:
    assert metric_name(key) == name


def test_no_two_keys_have_one_name() -> None:
    assert len(set(NAMES.values())) == len(NAMES) and all("_" not in name for name in NAMES.values())


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("top3", 0.98, "98.00 %"),
        ("good", 0.5, "50.00 %"),
        ("modes", 7.0, "7"),
        ("loss", 0.12345, "0.1235"),
        ("mse", 30521.4, "3.052e+04"),
    ],
)
def test_a_number_is_written_as_its_kind_is_read(key: str, value: float, text: str) -> None:
    assert metric_text(key, value) == text
