"""Scaled dot-product attention with several heads, over the sequence itself or over another, and a way to look at it.

Vaswani et al., "Attention Is All You Need" (2017). B is the batch size, T the queries, S the keys, D the width, H the
heads, each of size D / H.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

_ROTARY_BASE = 10_000.0

Recorder = Callable[[Tensor], None]


class Attention(nn.Module):
    """Abstract: queries `(B, H, T, D/H)` attend to keys and values `(B, H, S, D/H)`."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.output = nn.Linear(width, width)
        self.recorder: Recorder | None = None

    def _split_heads(self, tensor: Tensor) -> Tensor:
        batch, steps, width = tensor.shape
        return tensor.view(batch, steps, self.heads, width // self.heads).transpose(1, 2)  # (B, T, D) -> (B, H, T, D/H)

    def _attend(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
        """`mask`, which broadcasts to `(B, H, T, S)`, is true where a query may see a key."""
        dropout = self.dropout if self.training else 0.0
        if self.recorder is None:
            mixed = functional.scaled_dot_product_attention(
                queries, keys, values, attn_mask=mask, dropout_p=dropout, is_causal=causal
            )
        else:
            weights = attention_weights(queries, keys, mask, causal)
            self.recorder(weights.detach())
            mixed = functional.dropout(weights, dropout) @ values
        joined = mixed.transpose(1, 2).flatten(2)  # (B, H, T, D/H) -> (B, T, D)
        return self.output(joined)


class SelfAttention(Attention):
    """Every step of a sequence attends to every step of it, or, if causal, to itself and those before.

    Rotary attention knows positions up to `length`.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0, *, rotary: bool = False, length: int = 0) -> None:
        super().__init__(width, heads, dropout)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.rotary = Rotary(width // heads, length) if rotary else None

    def forward(self, stream: Tensor, mask: Tensor | None = None, causal: bool = False) -> Tensor:
        """`stream` and the result are `(B, T, D)`; `mask` `(B, 1, 1, T)` is true where a step may be seen."""
        parts = self.queries_keys_values(stream).chunk(3, dim=-1)  # 3 of (B, T, D)
        queries, keys, values = (self._split_heads(part) for part in parts)
        if self.rotary is not None:
            queries, keys = self.rotary(queries), self.rotary(keys)
        return self._attend(queries, keys, values, mask, causal)


class CrossAttention(Attention):
    """Every step of one sequence attends to every step of another, the memory."""

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__(width, heads, dropout)
        self.queries = nn.Linear(width, width)
        self.keys_values = nn.Linear(width, 2 * width)

    def forward(self, stream: Tensor, memory: Tensor, mask: Tensor | None = None) -> Tensor:
        """`stream` and the result are `(B, T, D)`, `memory` is `(B, S, D)`, `mask` `(B, 1, 1, S)`."""
        keys, values = self.keys_values(memory).chunk(2, dim=-1)  # 2 of (B, S, D)
        queries = self._split_heads(self.queries(stream))
        return self._attend(queries, self._split_heads(keys), self._split_heads(values), mask, causal=False)


class Rotary(nn.Module):
    """Turns pairs of coordinates by angles that grow with the position, so that products know only distances.

    Su et al., "RoFormer" (2021); coordinate i is paired with i + size/2.
    """

    cosine: Tensor
    sine: Tensor

    def __init__(self, size: int, length: int) -> None:
        super().__init__()
        rates = _ROTARY_BASE ** (-torch.arange(0, size, 2) / size)  # (size/2,)
        angles = (torch.arange(length)[:, None] * rates).repeat(1, 2)  # (length, size)
        self.register_buffer("cosine", angles.cos(), persistent=False)
        self.register_buffer("sine", angles.sin(), persistent=False)

    def forward(self, heads: Tensor) -> Tensor:
        """Queries or keys `(B, H, T, size)`, T at most `length`."""
        steps = heads.shape[-2]
        first, second = heads.chunk(2, dim=-1)
        turned = heads * self.cosine[:steps] + torch.cat([-second, first], dim=-1) * self.sine[:steps]
        return turned.to(heads.dtype)


def attention_weights(queries: Tensor, keys: Tensor, mask: Tensor | None = None, causal: bool = False) -> Tensor:
    """softmax(Q K^T / sqrt(size)) `(B, H, T, S)`, which `scaled_dot_product_attention` never writes down."""
    scores = queries @ keys.transpose(-2, -1) / queries.shape[-1] ** 0.5  # (B, H, T, S)
    if causal:
        seen = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        scores = scores.masked_fill(~seen, float("-inf"))
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return functional.softmax(scores, dim=-1)


@contextmanager
def record_attention(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Inside, each attention layer of the model leaves its latest weights `(B, H, T, S)` in the dict, by its name."""
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, Attention)}
    maps: dict[str, Tensor] = {}
    for name, layer in layers.items():
        layer.recorder = _keeper(maps, name)
    try:
        yield maps
    finally:
        for layer in layers.values():
            layer.recorder = None


def _keeper(maps: dict[str, Tensor], name: str) -> Recorder:
    def keep(weights: Tensor) -> None:
        maps[name] = weights

    return keep
