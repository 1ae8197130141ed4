"""The transformer: encoder, causal decoder or both, as the targets of the data ask for.

B is the batch size, T the steps of a sequence, S those of the source, D the width, V the size of the vocabulary.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from dlcourse.config.options import Count, Fraction
from dlcourse.errors import ConfigError
from dlcourse.models.attention import CrossAttention, SelfAttention
from dlcourse.spec import DataSpec
from dlcourse.tokens import PAD, SPECIAL, START

_TOKEN_STD = 0.02

Positions = Literal["learned", "sinusoidal", "rotary"]


def transformer(
    spec: DataSpec,
    width: Count = 64,
    layers: Count = 2,
    heads: Count = 4,
    feedforward: Count = 4,
    dropout: Fraction = 0.0,
    norm: Literal["pre", "post"] = "pre",
    positions: Positions = "learned",
    patch: Count | None = None,
    tie: bool = True,
) -> "Encoder | Decoder | EncoderDecoder":
    """Transformer (Vaswani 2017): an encoder, a causal decoder or both, as the targets of the data ask for.

    A pre-norm transformer has a last layer norm; a post-norm one, as GPT-1 (2018) and the one of 2017, has none. Tied, the
    logits are products with the token embedding. `patch` is the side of the squares that images are cut into, None cuts
    them into rows.
    """
    _check_data(spec)
    _check_heads(width, heads, positions)
    if patch is not None and spec.is_tokens:
        raise ConfigError(_no_patches(spec))
    position_std = _TOKEN_STD if spec.is_tokens else 1.0
    options = _Options(width, layers, heads, feedforward, dropout, norm == "pre", positions, position_std)
    if spec.target == "next":
        return Decoder(spec, options, tie=tie)
    if spec.target == "sequence":
        return EncoderDecoder(spec, options, tie=tie)
    return Encoder(spec, options, patch=patch)


@dataclass(frozen=True)
class _Options:
    width: int
    layers: int
    heads: int
    feedforward: int
    dropout: float
    pre_norm: bool
    positions: Positions
    position_std: float


class Encoder(nn.Module):
    """An encoder, its outputs averaged over the steps, and a linear layer: `(B, num_outputs)`.

    It reads tokens, sequences of numbers `(B, T, features)`, and images: their rows, or squares of `patch` pixels.
    """

    def __init__(self, spec: DataSpec, options: _Options, *, patch: int | None = None) -> None:
        super().__init__()
        self._has_padding = spec.vocabulary[:1] == SPECIAL[:1]
        self.embedding = _embedding(spec, options) if spec.is_tokens else None
        self.steps = None if spec.is_tokens else _Steps(spec, patch, options.width)
        self.encoder = _Stack(options, spec.input_shape[0] if self.steps is None else self.steps.length)
        self.head = nn.Linear(options.width, spec.num_outputs)
        _set_first_weights(self, self.embedding, self.encoder)

    def forward(self, inputs: Tensor) -> Tensor:
        mask = _seen(inputs) if self._has_padding else None
        embed = self.embedding or self.steps
        assert embed is not None
        encoded = self.encoder(embed(inputs), mask)  # (B, T, D)
        return self.head(_mean_over_steps(encoded, mask))


class Decoder(nn.Module):
    """GPT-2's causal decoder (Radford 2019): logits `(B, T, V)` of the token after each of `(B, T)`."""

    def __init__(self, spec: DataSpec, options: _Options, *, tie: bool = True) -> None:
        super().__init__()
        self.embedding = _embedding(spec, options)
        self.decoder = _Stack(options, spec.input_shape[0])
        self.head = None if tie else nn.Linear(options.width, len(spec.vocabulary), bias=False)
        _set_first_weights(self, self.embedding, self.decoder)

    def forward(self, inputs: Tensor) -> Tensor:
        stream = self.decoder(self.embedding(inputs), causal=True)  # (B, T, D)
        return _logits(stream, self.head, self.embedding)


class EncoderDecoder(nn.Module):
    """An encoder, and a causal decoder that attends to what it gives (Vaswani 2017)."""

    def __init__(self, spec: DataSpec, options: _Options, *, tie: bool = True) -> None:
        super().__init__()
        self._has_padding = spec.vocabulary[:1] == SPECIAL[:1]
        self._output_length = spec.output_length
        self.embedding = _embedding(spec, options)
        self.encoder = _Stack(options, spec.input_shape[0])
        self.decoder = _Stack(options, spec.output_length, reads_memory=True)
        self.head = None if tie else nn.Linear(options.width, len(spec.vocabulary), bias=False)
        _set_first_weights(self, self.embedding, self.encoder, self.decoder)

    def forward(self, inputs: Tensor, previous: Tensor | None = None) -> Tensor:
        """Logits `(B, T, V)` for inputs `(B, S)`.

        `previous` `(B, T)` are the decoder's inputs: START, then the tokens so far, T at most `output_length`; None stands
        for START alone at every step.
        """
        if previous is None:
            previous = inputs.new_full((len(inputs), self._output_length), START)
        mask = _seen(inputs) if self._has_padding else None
        encoded = self.encoder(self.embedding(inputs), mask)  # (B, S, D)
        stream = self.decoder(self.embedding(previous), None, encoded, mask, causal=True)  # (B, T, D)
        return _logits(stream, self.head, self.embedding)


def _embedding(spec: DataSpec, options: _Options) -> nn.Embedding:
    return nn.Embedding(len(spec.vocabulary), options.width)


def _logits(stream: Tensor, head: nn.Linear | None, embedding: nn.Embedding) -> Tensor:
    """`(B, T, D) -> (B, T, V)`; without a head of its own, by products with the embedding."""
    return functional.linear(stream, embedding.weight) if head is None else head(stream)


@torch.no_grad()
def _set_first_weights(model: nn.Module, embedding: nn.Embedding | None, *stacks: "_Stack") -> None:
    """GPT-2's first weights on tokens: normal with standard deviation 0.02.

    On numbers a layer's are as large as keep its outputs at 1, without which a narrow model learns far more slowly. In
    both, what is added to the residual stream is divided by the root of the number of additions.
    """

    def std(layer: nn.Linear) -> float:
        return _TOKEN_STD if embedding is not None else 1 / math.sqrt(layer.in_features)

    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=std(module))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    if embedding is not None:
        nn.init.normal_(embedding.weight, std=_TOKEN_STD)
    for stack in stacks:
        additions = stack.additions()
        for layer in additions:
            nn.init.normal_(layer.weight, std=std(layer) / math.sqrt(len(additions)))


class _Stack(nn.Module):
    """Blocks one after the other, behind the positions of their steps."""

    def __init__(self, options: _Options, length: int, *, reads_memory: bool = False) -> None:
        super().__init__()
        width = options.width
        self.positions: nn.Module | None = None
        if options.positions == "learned":
            self.positions = nn.Embedding(length, width)
            nn.init.normal_(self.positions.weight, std=options.position_std)
        elif options.positions == "sinusoidal":
            self.positions = _Sinusoids(length, width, options.position_std)
        self.dropout = nn.Dropout(options.dropout)
        self.blocks = nn.ModuleList(_Block(options, length, reads_memory=reads_memory) for _ in range(options.layers))
        self.norm = nn.LayerNorm(width) if options.pre_norm else nn.Identity()

    def forward(
        self,
        stream: Tensor,
        mask: Tensor | None = None,
        memory: Tensor | None = None,
        memory_mask: Tensor | None = None,
        causal: bool = False,
    ) -> Tensor:
        """`stream` and the result are `(B, T, D)`, `memory` is `(B, S, D)`; masks are true where a step may be seen."""
        if self.positions is not None:
            stream = stream + self.positions(torch.arange(stream.shape[1], device=stream.device))
        stream = self.dropout(stream)
        for block in self.blocks:
            stream = block(stream, mask, memory, memory_mask, causal)
        return self.norm(stream)

    def additions(self) -> list[nn.Linear]:
        """The layers whose outputs are added to the residual stream."""
        return [layer for block in self.blocks for layer in cast(_Block, block).additions()]


class _Block(nn.Module):
    """Attention to itself, to the memory if there is one, then two affine layers at each step; all are added."""

    def __init__(self, options: _Options, length: int, *, reads_memory: bool) -> None:
        super().__init__()
        width, heads, dropout = options.width, options.heads, options.dropout
        self.pre_norm = options.pre_norm
        self.attention_norm = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads, dropout, rotary=options.positions == "rotary", length=length)
        self.cross_norm = nn.LayerNorm(width) if reads_memory else None
        self.cross = CrossAttention(width, heads, dropout) if reads_memory else None
        self.feedforward_norm = nn.LayerNorm(width)
        self.feedforward = nn.Sequential(
            nn.Linear(width, options.feedforward * width),
            nn.GELU(approximate="tanh"),
            nn.Linear(options.feedforward * width, width),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, stream: Tensor, mask: Tensor | None, memory: Tensor | None, memory_mask: Tensor | None, causal: bool
    ) -> Tensor:
        stream = self._add(stream, self.attention_norm, lambda normed: self.attention(normed, mask, causal))
        if self.cross is not None and self.cross_norm is not None:
            cross = self.cross
            stream = self._add(stream, self.cross_norm, lambda normed: cross(normed, memory, memory_mask))
        return self._add(stream, self.feedforward_norm, self.feedforward)

    def additions(self) -> list[nn.Linear]:
        attentions = [self.attention, self.cross] if self.cross is not None else [self.attention]
        return [*(layer.output for layer in attentions), cast(nn.Linear, self.feedforward[2])]

    def _add(self, stream: Tensor, norm: nn.LayerNorm, layer: Callable[[Tensor], Tensor]) -> Tensor:
        if self.pre_norm:
            return stream + self.dropout(layer(norm(stream)))
        return norm(stream + self.dropout(layer(stream)))


class _Steps(nn.Module):
    """Images `(B, C, H, W)` cut into rows or squares, or sequences `(B, T, F)`, each step made `width` numbers wide."""

    def __init__(self, spec: DataSpec, patch: int | None, width: int) -> None:
        super().__init__()
        self.patch: tuple[int, int] | None = None
        if spec.is_image:
            channels, height, image_width = spec.input_shape
            self.patch = (1, image_width) if patch is None else (patch, patch)
            if height % self.patch[0] or image_width % self.patch[1]:
                raise ConfigError(
                    f"model.patch={patch} does not divide the {height}x{image_width} images of data '{spec.name}'; use a "
                    "divisor, or model.patch=null for rows"
                )
            features = channels * self.patch[0] * self.patch[1]
            self.length = height // self.patch[0] * (image_width // self.patch[1])
        else:
            if patch is not None:
                raise ConfigError(_no_patches(spec))
            self.length, features = spec.input_shape
        self.project = nn.Linear(features, width)

    def forward(self, inputs: Tensor) -> Tensor:
        if self.patch is not None:
            (count, channels, height, width), (rows, columns) = inputs.shape, self.patch
            squares = inputs.reshape(count, channels, height // rows, rows, width // columns, columns)
            inputs = squares.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)  # (B, T, C * rows * columns)
        return self.project(inputs)  # (B, T, F) -> (B, T, D)


class _Sinusoids(nn.Module):
    """Sines and cosines of the position at falling rates (Vaswani 2017), with the root mean square `std`."""

    table: Tensor

    def __init__(self, length: int, width: int, std: float) -> None:
        super().__init__()
        rates = 10_000.0 ** (-torch.arange(0, width, 2) / width)  # (ceil(D / 2),)
        angles = torch.arange(length)[:, None] * rates
        table = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :width]  # (T, D)
        self.register_buffer("table", std * math.sqrt(2) * table, persistent=False)

    def forward(self, places: Tensor) -> Tensor:
        return self.table[places]


def _seen(tokens: Tensor) -> Tensor:
    """`(B, 1, 1, T)`, true if there is no padding; the first step always is, so that there is something to see."""
    seen = tokens != PAD
    seen[:, 0] = True
    return seen[:, None, None]


def _mean_over_steps(stream: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return stream.mean(1)  # (B, T, D) -> (B, D)
    kept = mask[:, 0, 0, :, None].to(stream.dtype)  # (B, T, 1)
    return (stream * kept).sum(1) / kept.sum(1)


def _check_data(spec: DataSpec) -> None:
    if spec.is_tokens or spec.is_image or len(spec.input_shape) == 2:
        return
    raise ConfigError(
        f"model 'transformer' needs images, sequences or text, and an example of data '{spec.name}' has shape "
        f"{spec.input_shape}; write model=mlp"
    )


def _no_patches(spec: DataSpec) -> str:
    return f"model.patch cuts images, and data '{spec.name}' has none for model 'transformer'; write model.patch=null"


def _check_heads(width: int, heads: int, positions: Positions) -> None:
    if width % heads:
        raise ConfigError(
            f"model.width={width} cannot be shared among model.heads={heads}; use a multiple of the heads, such as "
            f"model.width={width + heads - width % heads}"
        )
    if positions == "rotary" and width // heads % 2:
        raise ConfigError(
            f"model.positions=rotary needs heads of an even size, and model.width={width} with model.heads={heads} "
            f"makes it {width // heads}; write model.width={2 * heads * math.ceil(width / heads / 2)}"
        )
