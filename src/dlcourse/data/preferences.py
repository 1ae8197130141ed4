"""Pairs of short texts, of which an imagined labeller with a taste prefers one: what a reward model learns from.

N is a number of pairs, T the length of a text.
"""

from dataclasses import dataclass
from typing import Annotated

import torch

from dlcourse.config.options import Count, NonNegativeInt, Range
from dlcourse.data import announced
from dlcourse.data.dataset import DataSet
from dlcourse.data.download import DataFiles
from dlcourse.data.split import TensorSplit, seeded_generator
from dlcourse.data.text import TinyShakespeare
from dlcourse.errors import ConfigError
from dlcourse.metrics.taste import liking
from dlcourse.spec import Data, DataSpec, Split

_HELD_OUT = 1000  # pairs for validation, and as many for testing


@dataclass(frozen=True, kw_only=True)
class Preferences(DataFiles, DataSet):
    """Two texts of `length` characters of Shakespeare, one behind the other: inputs `(2 T,)`, targets 0 or 1.

    The labeller likes the symbol `taste`: the second of two texts is preferred with probability s(m) if it has m more of
    them than the first, with s the sigmoid (Bradley and Terry 1952). So even who knows the taste errs at times. `size` are
    the training pairs; validation and test come from other parts of the plays. `seed` picks the draw.
    """

    SPECS = (announced.preferences(24, 65),)

    size: Annotated[int, Range(ge=20)] = 6000
    length: Count = 24
    taste: str = "o"
    seed: NonNegativeInt = 0

    @property
    def is_here(self) -> bool:
        return self._source.is_here

    @property
    def _source(self) -> TinyShakespeare:
        return TinyShakespeare(root=self.root, download=self.download, verify=self.verify, context=self.length)

    def build(self, *, name: str, seed: int) -> Data:
        text = self._source.build(name=name, seed=0)
        if self.taste not in text.spec.vocabulary:
            raise ConfigError(f"data.taste='{self.taste}' must be one of the characters of the text, such as o")
        spec = DataSpec(
            name=name,
            input_shape=(2 * self.length,),
            num_outputs=1,
            target="preference",
            vocabulary=text.spec.vocabulary,
            tokenizer=text.spec.tokenizer,
            taste=self.taste,
        )
        sizes = (self.size, _HELD_OUT, _HELD_OUT)
        parts = enumerate(zip((text.train, text.val, text.test), sizes, strict=True))
        train, val, test = (self._pairs(spec, part, size, which, seed) for which, (part, size) in parts)
        return Data(spec, train, val, test)

    def _pairs(self, spec: DataSpec, part: Split, size: int, which: int, seed: int) -> TensorSplit:
        """That many pairs of windows of a part of the text, and which of the two is preferred."""
        generator = seeded_generator("preferences", self.seed, which)
        windows = torch.cat([batch.inputs for batch in part.batches(4096)])  # (n, T)
        first, second = windows[torch.randint(len(windows), (2, size), generator=generator)]  # (N, T) both
        margin = liking(second, spec) - liking(first, spec)
        prefers_second = torch.rand(size, generator=generator) < margin.sigmoid()
        return TensorSplit(torch.cat([first, second], dim=1), prefers_second.long(), seed)
