"""The figure of recurrent networks and their memory: errors on the adding problem, gradients through time, a gate."""

from collections.abc import Sequence

import torch
from torch import Tensor

from dlcourse.errors import ConfigError
from dlcourse.lectures.finished import Finished
from dlcourse.metrics.report import Report
from dlcourse.models.recurrent import Recurrent
from dlcourse.plots import LineChart, LineCharts

_EXAMPLES = 50
_CHANCE = 1 / 6


def gates(runs: Sequence[Finished]) -> Report:
    """Test error of each cell against the length, and the gradient of the answer with respect to the state at each step.

    Gradients are those of the trained networks of the longest sequences, as shares of that at the last step.
    """
    cells = {(_cell(run), _length(run)): run for run in runs}
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
    charts = [
        LineChart(errors, "steps of a sequence", "test mean squared error", log_y=True, at_y={"chance": _CHANCE}),
        LineChart(gradients, "step", "gradient, as a share of the last step's", log_y=True),
    ]
    return Report(scalars, pictures={"gates": LineCharts(charts)})


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
