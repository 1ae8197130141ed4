"""Prompts with a new task in each: pairs of a question and its answer, by a rule that only the pairs before tell.

N is a number of prompts, K the number of symbols, T the length of a prompt.
"""

from dataclasses import dataclass
from typing import Annotated

import torch

from dlcourse.config.options import NonNegativeInt, Range
from dlcourse.data import announced
from dlcourse.data.dataset import DataSet
from dlcourse.data.split import TensorSplit, seeded_generator
from dlcourse.spec import Data, DataSpec

_QUESTIONS, _ANSWERS = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_HELD_OUT = 1000  # prompts for validation, and as many for testing


@dataclass(frozen=True, kw_only=True)
class InContext(DataSet):
    """Prompts such as "b D a A b D c": each has a permutation of its own from small letters to capital ones.

    A prompt has `pairs` letters with their answers, drawn with replacement; the targets are the next tokens, of which the
    last belongs to the next prompt, and as all letters can be anything. No permutation
    can be known beforehand: before the first answer nothing is better than chance, 1 in `symbols`, and later only what
    looks for the letter in the prompt, or leaves out what was the answer to others, knows more. `size` are the training
    prompts; `seed` picks the draw.
    """

    SPECS = (announced.prompts(18, 8),)

    size: Annotated[int, Range(ge=20)] = 20_000
    symbols: Annotated[int, Range(ge=2, le=26)] = 4
    pairs: Annotated[int, Range(ge=1)] = 9
    seed: NonNegativeInt = 0

    def build(self, *, name: str, seed: int) -> Data:
        vocabulary = tuple(_QUESTIONS[: self.symbols] + _ANSWERS[: self.symbols])
        spec = DataSpec(name, (2 * self.pairs,), len(vocabulary), "next", vocabulary=vocabulary, tokenizer="words")
        sizes = enumerate((self.size, _HELD_OUT, _HELD_OUT))
        train, val, test = (self._prompts(size, which, seed) for which, size in sizes)
        return Data(spec, train, val, test)

    def _prompts(self, size: int, which: int, seed: int) -> TensorSplit:
        random = seeded_generator("in context", self.seed, which)
        rules = torch.rand(size, self.symbols, generator=random).argsort(dim=1)  # (N, K), a permutation each
        questions = torch.randint(self.symbols, (size, self.pairs), generator=random)
        answers = self.symbols + rules.gather(1, questions)
        text = torch.stack([questions, answers], dim=2).flatten()  # (N T,), one prompt behind the other
        after = torch.cat([text[1:], questions[0, :1]])
        return TensorSplit(text.view(size, -1), after.view(size, -1), seed)
