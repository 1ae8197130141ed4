"""The figure of recurrent networks and their memory: errors on the adding problem, gradients through time, a gate."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dlcourse.errors import ConfigError
from dlcourse.lectures.finished import Finished
from dlcourse.metrics.report import Report
from dlcourse.models.recurrent import Recurrent
from dlcourse.plots import LineChart, LineCharts

_EXAMPLES = 50
_CHANCE = 1 / 6


def gates(runs: Sequence[Finished]) -> Report:
    """Test error of each cell against the length, and the gradient of the answer with respect to the state at each step.

    Gradients are those of the trained networks of the longest sequences, as shares of that at the last step. The third chart
    has what the input gate of the LSTM lets into its cell at each step of one sequence, of which two steps are marked.
    """
    cells = {(_cell(run), _length(run)): run for run in runs}
    if ("lstm", max(length for _, length in cells)) not in cells:
        raise ConfigError("lecture.runs: the figure needs runs of rnn, lstm and gru on data=adding, got none of lstm")
    longest = max(length for _, length in cells)
    errors = {
        cell: _by_length({length: run for (own, length), run in cells.items() if own == cell})
        for cell in dict.fromkeys(cell for cell, _ in cells)
    }
    scalars = {
        f"{cell} {length:.0f} steps": error
        for cell, line in errors.items()
        for length, error in zip(*line, strict=True)
    }
    gradients = {}
    for cell in errors:
        norms = gradient_through_time(*_model_and_inputs(cells[cell, longest]))
        gradients[cell] = (list(range(1, len(norms) + 1)), (norms / norms[-1]).tolist())
        scalars[f"{cell} gradient at the first step"] = float(norms[0] / norms[-1])
    gate, scalars["let in at marked steps, over others"] = _input_gate(*_model_and_inputs(cells["lstm", longest]))
    charts = [
        LineChart(errors, "steps of a sequence", "test mean squared error", log_y=True, at_y={"chance": _CHANCE}),
        LineChart(gradients, "step", "gradient, as a share of the last step's", log_y=True),
        gate,
    ]
    return Report(scalars, pictures={"gates": LineCharts(charts, columns=3)})


def _by_length(runs: dict[int, Finished]) -> tuple[list[float], list[float]]:
    lengths = sorted(runs)
    return [float(length) for length in lengths], [runs[length].numbers()["test/mse"] for length in lengths]


def _cell(run: Finished) -> str:
    if run.config.model.name not in ("rnn", "lstm", "gru"):
        raise ConfigError(
            f"lecture.runs: the figure needs runs of rnn, lstm and gru, got model '{run.config.model.name}'"
        )
    return run.config.model.name


def _length(run: Finished) -> int:
    return int(run.config.data.options.get("length", 0))


def _model_and_inputs(run: Finished) -> tuple[Recurrent, Tensor]:
    model = run.open().task.model
    assert isinstance(model, Recurrent)
    return model, next(iter(run.data().test.batches(_EXAMPLES))).inputs


def gradient_through_time(model: Recurrent, inputs: Tensor) -> Tensor:
    """The norm of the gradient of the answer with respect to the state after each step, a mean over examples: `(T,)`.

    Inputs are `(B, T, F)`. The state of an LSTM is what it outputs together with what its cell holds.
    """
    state: Tensor | tuple[Tensor, Tensor] | None = None
    states: list[tuple[Tensor, ...]] = []
    with torch.enable_grad():
        for step in range(inputs.shape[1]):
            _, state = model.recurrent(inputs[:, step : step + 1], state)
            assert state is not None
            states.append(state if isinstance(state, tuple) else (state,))  # (1, B, H) each
        answer = model.head(states[-1][0][-1]).sum()
        width = len(states[0])
        found = torch.autograd.grad(answer, [part for parts in states for part in parts], allow_unused=True)
    norms = []
    for first in range(0, len(found), width):
        gradients = [gradient for gradient in found[first : first + width] if gradient is not None]
        norms.append(torch.cat(gradients, dim=2).norm(dim=2).mean())
    return torch.stack(norms)


def _input_gate(model: Recurrent, inputs: Tensor) -> tuple[LineChart, float]:
    """What an LSTM lets in of the first sequence, and of all `(B, T, 2)` by how much more at marked steps than at others."""
    let_in, is_marked = let_into_cell(model.recurrent, inputs), inputs[:, :, 1] > 0
    steps = list(range(1, inputs.shape[1] + 1))
    marks = {f"marked: {step + 1}": step + 1.0 for step in is_marked[0].nonzero().flatten().tolist()}
    chart = LineChart({"lstm": (steps, let_in[0].tolist())}, "step", "let into the cell, |i g|", at_x=marks)
    return chart, float(let_in[is_marked].mean() / let_in[~is_marked].mean())


@torch.no_grad()
def let_into_cell(lstm: nn.RNNBase, inputs: Tensor) -> Tensor:
    """|i g| at each step, input gate times candidate (Hochreiter 1997), a mean over the units: `(B, T, F) -> (B, T)`.

    The gates of torch's LSTM are in the order i, f, g, o; it has one layer.
    """
    named = dict(lstm.named_parameters())
    bias = named["bias_ih_l0"] + named["bias_hh_l0"]
    state = cell = inputs.new_zeros(len(inputs), lstm.hidden_size)
    let_in = []
    for step in inputs.unbind(1):
        sums = step @ named["weight_ih_l0"].T + state @ named["weight_hh_l0"].T + bias  # (B, 4 H)
        i, f, g, o = sums.chunk(4, dim=1)
        written = i.sigmoid() * g.tanh()
        cell = f.sigmoid() * cell + written
        state = o.sigmoid() * cell.tanh()
        let_in.append(written.abs().mean(1))
    return torch.stack(let_in, dim=1)
