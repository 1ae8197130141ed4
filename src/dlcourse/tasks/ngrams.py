"""Next-token prediction by counting single tokens and pairs: what a language model has to beat.

V is the size of the vocabulary, P the number of different pairs seen.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from dlcourse.spec import Batch


@dataclass(frozen=True)
class NGrams:
    """Counts of tokens `(V,)`, as first of a pair and as second, and of pairs: `(P,)` codes in order with `(P,)` counts.

    Every count is one higher in use than what was seen (Laplace), so that nothing is impossible.
    """

    firsts: Tensor
    seconds: Tensor
    pairs: Tensor
    pair_counts: Tensor

    @classmethod
    def fit(cls, batches: Iterable[Batch], vocab_size: int) -> "NGrams":
        """Counts of the tokens in batches of inputs and the targets after them."""
        first, second = _flat(batches)
        pairs, counts = torch.unique(first * vocab_size + second, return_counts=True)
        return cls(
            firsts=torch.bincount(first, minlength=vocab_size),
            seconds=torch.bincount(second, minlength=vocab_size),
            pairs=pairs,
            pair_counts=counts,
        )

    def losses(self, batches: Iterable[Batch]) -> dict[str, float]:
        """The mean loss in nats of the `unigram` and of the `bigram` prediction of each target."""
        first, second = _flat(batches)
        vocab_size = len(self.seconds)
        code = first * vocab_size + second
        place = torch.searchsorted(self.pairs, code).clamp(max=len(self.pairs) - 1)
        seen = torch.where(self.pairs[place] == code, self.pair_counts[place], 0)
        unigram = (self.seconds[second] + 1) / (self.seconds.sum() + vocab_size)
        bigram = (seen + 1) / (self.firsts[first] + vocab_size)
        return {"unigram": float(-unigram.log().mean()), "bigram": float(-bigram.log().mean())}


def _flat(batches: Iterable[Batch]) -> tuple[Tensor, Tensor]:
    """All inputs and all targets, `(n,)` both, on the CPU."""
    inputs, targets = zip(*((batch.inputs.flatten(), batch.targets.flatten()) for batch in batches), strict=True)
    return torch.cat(inputs).cpu(), torch.cat(targets).cpu()
