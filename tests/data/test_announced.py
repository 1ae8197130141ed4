"""What data sets announce: specs of the right kind, from which examples can be made."""

import pytest
import torch

from dlcourse.data import announced
from dlcourse.spec import DataSpec


@pytest.mark.parametrize(
    ("spec", "shape", "outputs", "target"),
    [
        (announced.numbers(4, classes=3), (2, 4), 3, "class"),
        (announced.numbers(20, 3), (2, 20, 3), 1, "value"),
        (announced.numbers(1, values=5), (2, 1), 5, "value"),
        (announced.images(3, 8, classes=4), (2, 3, 8, 8), 4, "class"),
        (announced.images(1, 9), (2, 1, 9, 9), 1, "value"),
        (announced.sentences(7, 30, classes=2), (2, 7), 2, "class"),
        (announced.rewritten(7, 12), (2, 7), 12, "sequence"),
        (announced.text(16), (2, 16), 100, "next"),
        (announced.prompts(7, 8), (2, 7), 8, "next"),
        (announced.preferences(5, 9), (2, 10), 1, "preference"),
    ],
)
def test_examples_have_the_shape_and_targets_announced(
    spec: DataSpec, shape: tuple[int, ...], outputs: int, target: str
) -> None:
    zeros = spec.zeros(2)
    assert zeros.shape == shape and zeros.dtype == (torch.int64 if spec.is_tokens else torch.float32)
    assert (spec.num_outputs, spec.target) == (outputs, target)
    assert len(spec.class_names) == (outputs if target == "class" else 0)
    assert spec.is_tokens is (len(spec.vocabulary) > 0) is bool(spec.tokenizer)
    if spec.is_image:
        torch.testing.assert_close(spec.to_pixels(spec.from_pixels(torch.ones(2, *shape[1:]))), torch.ones(shape))


def test_what_is_rewritten_is_one_token_longer_for_its_end() -> None:
    assert announced.rewritten(7, 12).output_length == 8 and len(announced.rewritten(7, 12).vocabulary) == 12
    assert len(announced.sentences(7, 30, classes=2).vocabulary) == 30
