"""What `predict` is given is recognized, and refused in one line if the run cannot read it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dlcourse.api.inputs import as_names, as_tensor
from dlcourse.errors import ConfigError
from dlcourse.spec import DataSpec

IMAGES = DataSpec("digits", (1, 8, 8), 10, class_names=tuple("0123456789"))
TABLE = DataSpec("wine", (3,), 1, target="value")
TEXT = DataSpec("text", (5,), 4, target="next", vocabulary=tuple("abcd"), tokenizer="characters")
WORDS = DataSpec("copy", (5,), 4, target="sequence", vocabulary=tuple("abcd"), tokenizer="words", output_length=6)


def test_names_are_told_from_arrays() -> None:
    assert as_names("a.png") == ["a.png"]
    assert as_names(Path("a.png")) == [Path("a.png")]
    assert as_names(["a.png", Path("b")]) == ["a.png", Path("b")]
    for array in (np.zeros((1, 3)), torch.zeros(1, 3), [[1.0, 2.0, 3.0]], [], ["a.png", 1.0]):
        assert as_names(array) is None


def test_numbers_of_any_kind_become_float32_and_float64_is_kept() -> None:
    for numbers in (
        [[1, 2, 3]],
        np.array([[1, 2, 3]], np.int16),
        torch.tensor([[1, 2, 3]]),
        np.ones((1, 3), np.float16),
    ):
        assert as_tensor(numbers, TABLE).dtype == torch.float32
    assert as_tensor(np.array([[1.0, 2.0, 3.0]]), TABLE).dtype == torch.float64
    turned = np.arange(6.0)[::-1].reshape(2, 3)
    assert as_tensor(turned, TABLE).tolist() == turned.tolist()
    weights = torch.ones(1, 3, requires_grad=True)
    assert not as_tensor(weights, TABLE).requires_grad


def test_tokens_are_whole_numbers_and_texts_to_continue_of_any_length() -> None:
    assert as_tensor(np.array([[0, 3]], np.uint8), TEXT).dtype == torch.int64
    assert as_tensor(torch.zeros(2, 9, dtype=torch.int32), TEXT).shape == (2, 9)
    assert as_tensor(torch.zeros(2, 5, dtype=torch.int64), WORDS).shape == (2, 5)


@pytest.mark.parametrize(
    ("inputs", "spec", "told"),
    [
        (np.zeros((2, 8, 8)), IMAGES, "inputs have shape (2, 8, 8), and this run reads (B, 1, 8, 8)"),
        (np.zeros((1, 8, 8)), IMAGES, "this run reads (B, 1, 8, 8); write inputs[None] for one example"),
        (
            np.zeros((2, 1, 8, 8), np.uint8),
            IMAGES,
            "inputs are uint8 pixels, and this run reads images as its data give",
        ),
        (np.zeros(3), TABLE, "inputs have shape (3), and this run reads (B, 3); write inputs[None] for one example"),
        (1.0, TABLE, "inputs have shape (), and this run reads (B, 3)"),
        (np.array([[1, 2, 3], [1, np.nan, 3]]), TABLE, "inputs[1] holds NaN or infinity; leave it out, or fill it in"),
        (torch.tensor([[1, float("inf"), 3]]), TABLE, "inputs[0] holds NaN or infinity"),
        (np.zeros((1, 3), complex), TABLE, "inputs are complex128, and this run reads numbers of the kind float32"),
        (np.zeros((1, 3), bool), TABLE, "inputs are bool, and this run reads numbers of the kind float32"),
        ([[1.0, 2.0], [1.0]], TABLE, "inputs are no array of numbers"),
        ([["a.csv", 1.0, 2.0]], TABLE, "expected examples of shape (B, 3), or names of files"),
        (None, TABLE, "inputs are no array of numbers"),
        (np.zeros((1, 5)), TEXT, "inputs are float64, and this run reads tokens: whole numbers from 0 to 3"),
        (np.array([[0, 4]]), TEXT, "inputs hold the token 4, and this run reads whole numbers from 0 to 3"),
        (np.array([[-1, 0]]), TEXT, "inputs hold the token -1"),
        (np.zeros((1, 0), int), TEXT, "inputs have shape (1, 0), and this run reads (B, T)"),
        (np.zeros((1, 4), int), WORDS, "inputs have shape (1, 4), and this run reads (B, 5)"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(inputs: Any, spec: DataSpec, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        as_tensor(inputs, spec)
    assert told in str(caught.value) and "\n" not in str(caught.value)
