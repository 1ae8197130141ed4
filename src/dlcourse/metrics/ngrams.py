"""Next-token prediction by counting n-grams of 1, 2 and 3 tokens: the baselines of a language model.

V is the size of the vocabulary, n a number of predictions, P and C are numbers of different n-grams and contexts.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from dlcourse.spec import Batch

ORDERS = ("unigram", "bigram", "trigram")

_USUAL_DISCOUNT = 0.5


class NGrams:
    """Interpolated Kneser-Ney smoothing of n-grams up to trigrams.

    A count of the full n-gram is lowered by a discount, and what that frees goes to the prediction from a shorter context:

        p(c | ab) = max(N(abc) - d, 0) / N(ab) + d T(ab) / N(ab) p(c | b)

    where N(ab) counts the occurrences of the context and T(ab) the different tokens seen after it. The shorter predictions
    do not count how often an n-gram occurs but after how many different tokens; the shortest is mixed with the uniform
    distribution over the vocabulary, so that nothing is impossible (Kneser and Ney 1995; Chen and Goodman 1999, section 3).
    """

    def __init__(self, text: Tensor, vocab_size: int) -> None:
        """Count the n-grams of a text `(m,)` of int64 tokens below `vocab_size`, m >= 1."""
        assert vocab_size ** len(ORDERS) < 2**63, f"trigrams of {vocab_size:,} tokens do not fit into 64 bits"
        self._vocab_size = vocab_size
        self._full: list[_Counts] = []
        """By the length of the context: how often each n-gram occurs."""
        self._continuations: list[_Counts] = []
        """The same, but after how many different tokens."""
        for size in range(1, len(ORDERS) + 1):
            codes, counts = torch.unique(self._encode(_runs(text, size)), return_counts=True)
            self._full.append(_Counts.of(codes, counts, vocab_size))
            if size > 1:
                ends, befores = torch.unique(codes % vocab_size ** (size - 1), return_counts=True)
                self._continuations.append(_Counts.of(ends, befores, vocab_size))

    @classmethod
    def fit(cls, batches: Iterable[Batch], vocab_size: int) -> "NGrams":
        """Count a text that comes in windows next to each other, inputs and the targets after them."""
        return cls(_text(batches), vocab_size)

    def losses(self, batches: Iterable[Batch]) -> dict[str, float]:
        """The mean loss in nats of each order's prediction of the targets, after the tokens before them in the text.

        The first target of all has one token before it: there the trigram's prediction is the bigram's.
        """
        text = _text(batches)
        ngrams = (_runs(text[1:], 1), _runs(text, 2), _runs(text, 3))
        unigram, bigram, trigram = (self.probabilities(runs[:, :-1], runs[:, -1]) for runs in ngrams)
        found = zip(ORDERS, (unigram, bigram, torch.cat([bigram[:1], trigram])), strict=True)
        return {name: float(-probabilities.log().mean()) for name, probabilities in found}

    def probabilities(self, contexts: Tensor, tokens: Tensor) -> Tensor:
        """The probability `(n,)` float64 of each token `(n,)` after its context `(n, 0)`, `(n, 1)` or `(n, 2)`, int64."""
        longest = contexts.shape[1]
        found = torch.full(tokens.shape, 1 / self._vocab_size, dtype=torch.float64)
        for length in range(longest + 1):
            counts = self._full[length] if length == longest else self._continuations[length]
            found = counts.interpolate(self._encode(contexts[:, longest - length :]), tokens, found)
        return found

    def _encode(self, ngrams: Tensor) -> Tensor:
        """Each row's tokens as one number, `(n, size) -> (n,)`."""
        codes = torch.zeros(len(ngrams), dtype=torch.int64)
        for column in ngrams.unbind(1):
            codes = codes * self._vocab_size + column
        return codes


@dataclass(frozen=True)
class _Counts:
    """Counts `(P,)` of n-grams in the order of their codes `(P,)`; of each context `(C,)` its total and its n-grams."""

    codes: Tensor
    counts: Tensor
    contexts: Tensor
    totals: Tensor
    types: Tensor
    discount: float
    vocab_size: int

    @classmethod
    def of(cls, codes: Tensor, counts: Tensor, vocab_size: int) -> "_Counts":
        contexts, place, types = torch.unique(codes // vocab_size, return_inverse=True, return_counts=True)
        totals = torch.zeros_like(types).index_add(0, place, counts)
        return cls(codes, counts, contexts, totals, types, discount_for(counts), vocab_size)

    def interpolate(self, contexts: Tensor, tokens: Tensor, shorter: Tensor) -> Tensor:
        """The probabilities `(n,)` after contexts `(n,)`, from those after shorter ones; after unseen ones the same."""
        counts = _look_up(contexts * self.vocab_size + tokens, self.codes, self.counts)
        totals, types = (_look_up(contexts, self.contexts, values) for values in (self.totals, self.types))
        mixed = ((counts - self.discount).clamp(min=0) + self.discount * types * shorter) / totals.clamp(min=1)
        return torch.where(totals > 0, mixed, shorter)


def _runs(text: Tensor, size: int) -> Tensor:
    """All n-grams of that size in a text, in order: `(m,) -> (m - size + 1, size)`, none if it is shorter."""
    count = max(0, len(text) - size + 1)
    return torch.stack([text[first : first + count] for first in range(size)], dim=1)


def discount_for(counts: Tensor) -> float:
    """n1 / (n1 + 2 n2), of n1 n-grams counted once and n2 counted twice (Ney, Essen and Kneser 1994).

    If either is missing, as in a short text or of a few characters, that is 0, 1 or nothing; then it is a half.
    """
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    return once / (once + 2 * twice) if once and twice else _USUAL_DISCOUNT


def _look_up(wanted: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """The value `(n,)` float64 of each wanted key, 0 for those that are missing; keys are in order."""
    if not len(keys):  # a text of fewer tokens than the n-gram has
        return torch.zeros(wanted.shape, dtype=torch.float64)
    places = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
    return torch.where(keys[places] == wanted, values[places], 0).double()


def _text(batches: Iterable[Batch]) -> Tensor:
    """The whole text `(m,)` on the CPU, from windows `(B, T)` next to each other and the targets after each token."""
    inputs, targets = zip(*((batch.inputs.flatten(), batch.targets.flatten()) for batch in batches), strict=True)
    before, after = torch.cat(inputs).cpu(), torch.cat(targets).cpu()
    assert torch.equal(before[1:], after[:-1]), "the windows do not lie next to each other"
    return torch.cat([before, after[-1:]])
