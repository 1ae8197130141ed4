"""Prompts that show a task by examples: questions with their answers in one of several dialects, which is never named.

N is a number of prompts, K of questions, T the length of a prompt.
"""

import string
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from dlcourse.config.options import Count, NonNegativeInt, Range
from dlcourse.data import announced
from dlcourse.data.dataset import DataSet
from dlcourse.data.split import TensorSplit, seeded_generator
from dlcourse.spec import Data, DataSpec

_HELD_OUT = 1000  # prompts for validation, and as many for testing
_LETTERS = string.ascii_lowercase

Letters = Annotated[int, Range(ge=2, le=len(_LETTERS))]


@dataclass(frozen=True, kw_only=True)
class InContext(DataSet):
    """Prompts such as "b b2 d d1 a a3 d d1": letters, each with the word that the prompt's dialect has for it.

    A letter has `words` words, of which each of the `tasks` dialects uses one, drawn at random for each letter. A prompt is
    in one dialect and has `pairs` letters, drawn with replacement; the targets are the next tokens, of which the last is the
    first of another prompt. What the dialect is only the pairs before can tell: behind none, the best answer is the word
    that most dialects use, and behind each more, fewer dialects are left. `size` are the training prompts; `seed` picks the
    draw.
    """

    SPECS = (announced.prompts(18, 32),)

    size: Annotated[int, Range(ge=20)] = 20_000
    letters: Letters = 8
    words: Annotated[int, Range(ge=2)] = 3
    tasks: Count = 16
    pairs: Count = 9
    seed: NonNegativeInt = 0

    def build(self, *, name: str, seed: int) -> Data:
        letters = _LETTERS[: self.letters]
        words = [f"{letter}{word + 1}" for letter in letters for word in range(self.words)]
        vocabulary = (*letters, *words)
        spec = DataSpec(name, (2 * self.pairs,), len(vocabulary), "next", vocabulary=vocabulary, tokenizer="words")
        sizes = enumerate((self.size, _HELD_OUT, _HELD_OUT))
        train, val, test = (self._prompts(size, which, seed) for which, size in sizes)
        return Data(spec, train, val, test)

    def dialects(self) -> Tensor:
        """The token of the word that each dialect has for each letter, `(tasks, K)`."""
        random = seeded_generator("dialects", self.seed)
        chosen = torch.randint(self.words, (self.tasks, self.letters), generator=random)
        return self.letters + self.words * torch.arange(self.letters) + chosen

    def _prompts(self, size: int, which: int, seed: int) -> TensorSplit:
        random = seeded_generator("in context", self.seed, which)
        dialects = self.dialects()[torch.randint(self.tasks, (size,), generator=random)]  # (N, K)
        questions = torch.randint(self.letters, (size, self.pairs), generator=random)
        answers = dialects.gather(1, questions)
        text = torch.stack([questions, answers], dim=2).flatten()  # (N T,), one prompt behind the other
        after = torch.cat([text[1:], questions[0, :1]])
        return TensorSplit(text.view(size, -1), after.view(size, -1), seed)


def best_accuracy(dialects: Tensor, prompts: Tensor) -> Tensor:
    """The share of right answers behind 0, 1, ... pairs, `(pairs,)`, of who knows all dialects `(tasks, K)` and Bayes' rule.

    Prompts are `(N, 2 pairs)` tokens.
    """
    said = dialects[:, prompts[:, 0::2]].permute(1, 2, 0)  # (N, pairs, tasks), what each dialect would have said
    answers = prompts[:, 1::2, None]
    agrees = (said == answers).long()
    possible = torch.cat([torch.ones_like(agrees[:, :1]), agrees.cumprod(1)[:, :-1]], dim=1)
    votes = torch.zeros(*said.shape[:2], int(dialects.max()) + 1, dtype=torch.int64).scatter_add_(2, said, possible)
    most = votes.amax(2, keepdim=True)
    is_best = votes.gather(2, answers) == most
    return (is_best / (votes == most).sum(2, keepdim=True))[:, :, 0].mean(0)  # of equals, any
