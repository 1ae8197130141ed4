"""Recurrent networks: a cell, plain, GRU or LSTM, carried along a sequence, then one affine layer.

B is the batch size, T the number of steps, F the numbers read at each, H the units of a cell, V the size of a vocabulary.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from dlcourse.config.options import Count, Fraction
from dlcourse.errors import ConfigError
from dlcourse.spec import DataSpec

Cell = Literal["rnn", "gru", "lstm"]
Steps = Literal["rows", "pixels"]

_CELLS: dict[Cell, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
_FORGET_GATE = 1  # its place among the gates of torch.nn.LSTM: input, forget, cell, output


def rnn(
    spec: DataSpec,
    hidden: Count = 128,
    layers: Count = 1,
    dropout: Fraction = 0.0,
    bidirectional: bool = False,
    steps: Steps = "rows",
) -> nn.Module:
    """The simple recurrent network, h' = tanh(W x + U h + b) (Elman 1990)."""
    return Recurrent(spec, "rnn", hidden, layers, dropout, bidirectional, steps)


def gru(
    spec: DataSpec,
    hidden: Count = 128,
    layers: Count = 1,
    dropout: Fraction = 0.0,
    bidirectional: bool = False,
    steps: Steps = "rows",
) -> nn.Module:
    """The gated recurrent unit (Cho 2014)."""
    return Recurrent(spec, "gru", hidden, layers, dropout, bidirectional, steps)


def lstm(
    spec: DataSpec,
    hidden: Count = 128,
    layers: Count = 1,
    dropout: Fraction = 0.0,
    bidirectional: bool = False,
    steps: Steps = "rows",
    forget_bias: float = 1.0,
) -> nn.Module:
    """Long short-term memory (Hochreiter 1997) with a forget gate (Gers 2000) that starts open (Jozefowicz 2015)."""
    return Recurrent(spec, "lstm", hidden, layers, dropout, bidirectional, steps, forget_bias)


class Recurrent(nn.Module):
    """A recurrent network on sequences of numbers, on tokens and on images, which are read step by step.

    A class or a value comes from the state after the last step, of a bidirectional network from both directions' last
    states; if the target is the next token, there are logits `(B, T, V)` after every step. Dropout stands between the
    layers and before the last, affine one.

    Biases start at 0 and input weights with a variance of 1/F (LeCun 1998): torch's own, which know only H, drown the few
    numbers of a step if F is small. Recurrent weights start orthogonal (Saxe 2014), gate by gate; those of the simple
    network are torch's own, so that its gradients vanish as those of the textbooks do.
    """

    def __init__(
        self,
        spec: DataSpec,
        cell: Cell,
        hidden: int,
        layers: int,
        dropout: float,
        bidirectional: bool,
        steps: Steps,
        forget_bias: float = 0.0,
    ) -> None:
        super().__init__()
        _refuse_misfits(spec, cell, bidirectional)
        self.embedding = nn.Embedding(len(spec.vocabulary), hidden) if spec.is_tokens else nn.Identity()
        self.recurrent = _CELLS[cell](
            hidden if spec.is_tokens else _step_size(spec.input_shape, steps),
            hidden,
            num_layers=layers,
            dropout=dropout if layers > 1 else 0.0,  # torch warns of dropout with nothing to stand between
            bidirectional=bidirectional,
            batch_first=True,
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden * (2 if bidirectional else 1), spec.num_outputs)
        self._steps = steps
        self._is_image = spec.is_image
        self._answers_every_step = spec.target == "next"
        self._start(forget_bias)

    def forward(self, inputs: Tensor) -> Tensor:
        self.recurrent.flatten_parameters()  # the weights of a copied network lie apart, of which cuDNN would warn
        sequence = read_image(inputs, self._steps) if self._is_image else inputs
        states, last = self.recurrent(self.embedding(sequence))  # (B, T, H or 2H), (layers or 2 layers, B, H)
        features = states if self._answers_every_step else self._ends(last)
        return self.head(self.dropout(features))  # (B, T, V) or (B, outputs)

    def _ends(self, last: Tensor | tuple[Tensor, Tensor]) -> Tensor:
        """The top layer's state where each direction ends: `(B, H)` or `(B, 2H)`."""
        hidden = last if isinstance(last, Tensor) else last[0]  # an LSTM gives its cell state too
        return torch.cat(list(hidden[-2:]), dim=1) if self.recurrent.bidirectional else hidden[-1]

    def _start(self, forget_bias: float) -> None:
        size = self.recurrent.hidden_size
        with torch.no_grad():
            for name, parameter in self.recurrent.named_parameters():
                if name.startswith("weight_ih"):
                    nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)
                elif name.startswith("weight_hh") and not isinstance(self.recurrent, nn.RNN):
                    for gate in torch.split(parameter, size):  # (gates * H, H) -> (H, H)
                        nn.init.orthogonal_(gate)
                elif name.startswith("bias"):
                    parameter.zero_()
                    if name.startswith("bias_ih") and isinstance(self.recurrent, nn.LSTM):
                        parameter.view(-1, size)[_FORGET_GATE] = forget_bias


def read_image(images: Tensor, steps: Steps) -> Tensor:
    """Images `(B, C, H, W)` as sequences: H rows of `C * W` numbers from the top, or H * W pixels of C numbers, by rows."""
    if steps == "rows":
        return images.transpose(1, 2).flatten(2)  # (B, C, H, W) -> (B, H, C * W)
    return images.flatten(2).transpose(1, 2)  # (B, C, H, W) -> (B, H * W, C)


def _step_size(shape: tuple[int, ...], steps: Steps) -> int:
    """The numbers F that are read at each step from an example of this shape."""
    if len(shape) == 2:
        return shape[1]
    return shape[0] * shape[2] if steps == "rows" else shape[0]


def _refuse_misfits(spec: DataSpec, cell: Cell, bidirectional: bool) -> None:
    if spec.target == "sequence":
        raise ConfigError(
            f"model '{cell}' gives one answer for a sequence, and data '{spec.name}' has sequences for targets; "
            "write model=transformer"
        )
    if not spec.is_tokens and len(spec.input_shape) not in (2, 3):
        raise ConfigError(
            f"model '{cell}' needs sequences, images or text, and an example of data '{spec.name}' has shape "
            f"{spec.input_shape}; write model=mlp"
        )
    if bidirectional and spec.target == "next":
        raise ConfigError(
            f"model '{cell}' with model.bidirectional=true would read the tokens of data '{spec.name}' that it has to "
            "predict; write model.bidirectional=false"
        )
