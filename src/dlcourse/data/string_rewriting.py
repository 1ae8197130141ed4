"""Strings of digits to be rewritten as other strings: copied, turned round or sorted, the first sequence-to-sequence tasks.

N is a number of examples, T the length of the longest input.
"""

import dataclasses
import string
from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from dlcourse.config.options import Count, NonNegativeInt, Range
from dlcourse.data import announced
from dlcourse.data.dataset import Source, Tables, TableSource
from dlcourse.data.split import seeded_generator
from dlcourse.data.transforms import ImageTransform
from dlcourse.errors import ConfigError
from dlcourse.spec import DataSpec
from dlcourse.tokens import END, PAD, SPECIAL

_SYMBOLS = string.digits + string.ascii_lowercase

Size = Annotated[int, Range(ge=20)]
Symbols = Annotated[int, Range(ge=2, le=len(_SYMBOLS))]


@dataclass(frozen=True, kw_only=True)
class _Rewriting(TableSource, Source):
    """Inputs of `min_length` to `length` symbols, then PAD; targets of as many, then END, then PAD.

    `symbols` of them are in use: digits, then letters. `size` counts training and test examples together, no two of which
    are the same; `seed` picks the draw, and the run's seed does not change it.
    """

    SPECS = (announced.rewritten(10, 13),)

    size: Size = 10_000
    length: Count = 10
    min_length: Count = 5
    symbols: Symbols = 10
    seed: NonNegativeInt = 0

    def load(self) -> Tables:
        if self.min_length > self.length:
            raise ConfigError(
                f"data.min_length={self.min_length} is more than data.length={self.length}; use a smaller one"
            )
        inputs, lengths = self._draw(seeded_generator("sequences", self.seed))
        is_symbol = torch.arange(self.length) < lengths[:, None]  # (N, T)
        targets = torch.full((self.size, self.length + 1), PAD)
        targets[:, :-1][is_symbol] = self.rewrite(inputs, lengths)[is_symbol]
        targets[torch.arange(self.size), lengths] = END
        return self.divide(inputs, targets, vocabulary=(*SPECIAL, *_SYMBOLS[: self.symbols]))

    @abstractmethod
    def rewrite(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """What becomes of inputs `(N, T)` of these lengths `(N,)`; what stands behind a length has no meaning."""

    def _draw(self, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Different inputs `(size, T)` and their lengths, drawn in twice the number to have some in reserve."""
        tokens = torch.randint(0, self.symbols, (2 * self.size, self.length), generator=random) + len(SPECIAL)
        lengths = torch.randint(self.min_length, self.length + 1, (2 * self.size,), generator=random)
        tokens[torch.arange(self.length) >= lengths[:, None]] = PAD
        _, group = torch.unique(tokens, dim=0, return_inverse=True)
        first = torch.full((len(tokens),), len(tokens)).scatter_reduce(0, group, torch.arange(len(tokens)), "amin")
        chosen = first[first < len(tokens)].sort().values[: self.size]  # the first place of each input
        if len(chosen) < self.size:
            raise ConfigError(
                f"data.size={self.size}: only {len(chosen):,} distinct inputs of {self.min_length} to {self.length} of "
                f"{self.symbols} symbols were found; use a smaller data.size or a larger data.length"
            )
        return tokens[chosen], lengths[chosen]

    def _spec(self, name: str, tables: Tables, shape: torch.Size, transform: ImageTransform | None) -> DataSpec:
        spec = super()._spec(name, tables, shape, transform)
        return dataclasses.replace(
            spec, num_outputs=len(tables.vocabulary), target="sequence", output_length=self.length + 1
        )


@dataclass(frozen=True, kw_only=True)
class Copy(_Rewriting):
    """The same symbols again: each output looks at the input in its own place."""

    def rewrite(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        return inputs


@dataclass(frozen=True, kw_only=True)
class Reverse(_Rewriting):
    """The symbols from the last to the first: attention draws the other diagonal."""

    def rewrite(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        places = lengths[:, None] - 1 - torch.arange(self.length)  # (N, T), negative behind the end
        return inputs.gather(1, places.clamp(min=0))


@dataclass(frozen=True, kw_only=True)
class Sort(_Rewriting):
    """The symbols in rising order, digits before letters: where an output looks depends on what stands there."""

    def rewrite(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        behind_all = len(SPECIAL) + self.symbols
        return inputs.masked_fill(inputs == PAD, behind_all).sort(dim=1).values
