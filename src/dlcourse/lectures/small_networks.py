"""Networks small enough to be checked by hand: activation functions, gradients of a net of two layers, and what width adds.

N is a number of examples, P of parameters.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from dlcourse.config.options import Positive
from dlcourse.errors import ConfigError
from dlcourse.lectures.finished import Finished
from dlcourse.metrics.report import Report
from dlcourse.models import MODELS
from dlcourse.plots import LineChart, LineCharts, SmallNetwork
from dlcourse.rng import seed_everything
from dlcourse.spec import Batch, DataSpec
from dlcourse.training.evaluate import evaluate

_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "ReLU": torch.relu}


def activations(runs: Sequence[Finished], reach: Positive = 5.0) -> Report:
    """Sigmoid, tanh and ReLU with their derivatives, by automatic differentiation, and softmax of three logits."""
    if runs:
        raise ConfigError(f"lecture.runs: the figure needs no runs, got {len(runs)}")
    x = torch.linspace(-reach, reach, 1001, dtype=torch.float64, requires_grad=True)  # 0 is among them
    values = {name: function(x) for name, function in _FUNCTIONS.items()}
    slopes = {name: torch.autograd.grad(value.sum(), x)[0] for name, value in values.items()}
    place = x.detach()
    logits = torch.stack([place, torch.zeros_like(place), torch.ones_like(place)], dim=1)
    shares = logits.softmax(1)  # (1001, 3)
    charts = [
        _chart("activation", {name: (place, value.detach()) for name, value in values.items()}, (-1.2, 2.0)),
        _chart("derivative", {name: (place, slope) for name, slope in slopes.items()}, (-0.1, 1.2)),
        _chart("softmax of (x, 0, 1)", {f"logit {n}": (place, shares[:, i]) for i, n in enumerate("x01")}, (-0.1, 1.2)),
    ]
    scalars = {f"largest slope of {name}": float(slope.max()) for name, slope in slopes.items()}
    scalars |= {f"slope of {name} at {reach:g}": float(slope[-1]) for name, slope in slopes.items()}
    scalars["largest error of the sum of softmax"] = float((shares.sum(1) - 1).abs().max())
    return Report(scalars, pictures={"activations": LineCharts(charts, columns=3)})


def _chart(title: str, lines: dict[str, tuple[Tensor, Tensor]], limits: tuple[float, float]) -> LineChart:
    return LineChart({name: (x.numpy(), y.numpy()) for name, (x, y) in lines.items()}, "x", "", title, limits_y=limits)


def backprop(runs: Sequence[Finished], step: Positive = 1e-5) -> Report:
    """The gradient of a small network at its start, by back-propagation and by central differences, in float64.

    The first run is a linear model, the others are the network with different seeds. The error is the mean squared one of
    the training examples, of which the gradient has a number for each of the P parameters.
    """
    if len(runs) < 2:
        raise ConfigError(f"lecture.runs: the figure needs a linear model and at least one network, got {len(runs)}")
    linear, *networks = runs
    best = max(networks, key=lambda run: run.numbers()["test/accuracy"])
    data = best.data()
    seed_everything(best.config.seed)
    model = MODELS.build(best.config.model, spec=data.spec).double()
    batch = next(data.train.batches(len(data.train)))
    targets = nn.functional.one_hot(batch.targets, data.spec.num_outputs).double()
    inputs = batch.inputs.double()

    def error() -> Tensor:
        return (model(inputs) - targets).square().mean()

    automatic = torch.autograd.grad(error(), list(model.parameters()))
    numeric = _central_differences(list(model.parameters()), error, step)
    difference = max(float((a - n).abs().max()) for a, n in zip(automatic, numeric, strict=True))
    evaluated = evaluate(best.open().task, data.test, best.config.trainer.eval_batch_size, full=True)
    accuracies = [run.numbers()["test/accuracy"] for run in networks]
    scalars = {
        "parameters": float(sum(parameter.numel() for parameter in model.parameters())),
        "largest difference": difference,
        "largest gradient": max(float(each.abs().max()) for each in automatic),
        "best line accuracy": _best_line(data.train.batches(len(data.train))),
        "linear accuracy": linear.numbers()["test/accuracy"],
        "best accuracy": max(accuracies),
        "solved": float(sum(accuracy >= 0.95 for accuracy in accuracies)),
        "seeds": float(len(networks)),
    }
    pictures = {"backprop": _network_picture(model, automatic, numeric)}
    boundary = {name: picture for name, picture in evaluated.pictures.items() if name == "decision_boundary"}
    return Report(scalars, pictures={**pictures, **boundary})


@torch.no_grad()
def _central_differences(parameters: list[nn.Parameter], error: Callable[[], Tensor], step: float) -> list[Tensor]:
    """(E(w + h) - E(w - h)) / 2h for each number of each parameter."""
    found = []
    for parameter in parameters:
        flat, slopes = parameter.view(-1), torch.zeros_like(parameter).view(-1)
        for place in range(len(flat)):
            before = flat[place].item()
            ends = []
            for end in (before + step, before - step):
                flat[place] = end
                ends.append(float(error()))
            flat[place] = before
            slopes[place] = (ends[0] - ends[1]) / (2 * step)
        found.append(slopes.view_as(parameter))
    return found


def _best_line(batches: Iterator[Batch], angles: int = 180) -> float:
    """The share of points of two classes that the best of all straight lines in `angles` directions gets right."""
    inputs, classes = next(batches)
    best = 0.0
    for angle in torch.linspace(0, torch.pi, angles + 1)[:-1]:
        order = (inputs @ torch.stack([angle.cos(), angle.sin()])).argsort()
        ones = classes[order].double()
        right = (
            torch.cat([torch.zeros(1), (1 - ones).cumsum(0)]) + ones.sum() - torch.cat([torch.zeros(1), ones.cumsum(0)])
        )
        share = right / len(ones)  # with the first k points called class 0: (N + 1,)
        best = max(best, float(share.max()), float(1 - share.min()))
    return best


def _network_picture(model: nn.Module, automatic: Sequence[Tensor], numeric: Sequence[Tensor]) -> SmallNetwork:
    """Each weight with its gradient by both ways."""
    weights = [module.weight.detach() for module in model.modules() if isinstance(module, nn.Linear)]

    def words(a: float, n: float) -> str:
        return f"{a:+.6f}\n{n:+.6f}"

    of_weights = [
        [[words(float(a), float(n)) for a, n in zip(*row, strict=True)] for row in zip(auto, numb, strict=True)]
        for auto, numb in zip(automatic[::2], numeric[::2], strict=True)
    ]
    of_biases = [
        [f"bias {words(float(a), float(n))}" for a, n in zip(auto, numb, strict=True)]
        for auto, numb in zip(automatic[1::2], numeric[1::2], strict=True)
    ]
    sizes = [weights[0].shape[1], *(len(weight) for weight in weights)]
    letters = ["x", *["h"] * (len(weights) - 1), "y"]
    names = [[f"{letter}{unit + 1}" for unit in range(size)] for letter, size in zip(letters, sizes, strict=True)]
    title = "Gradient of the error by each weight: back-propagation (above), differences (below)"
    return SmallNetwork([weight.numpy() for weight in weights], of_weights, of_biases, names, title)


def universal(runs: Sequence[Finished]) -> Report:
    """Networks of one hidden layer of growing width beside the function they learned, and how far they are off at most.

    The largest error is that over the test examples, of one input and one output without noise.
    """
    if len(runs) < 2:
        raise ConfigError(f"lecture.runs: the figure needs runs of several widths, got {len(runs)}")
    spec = runs[0].data().spec
    _require_function(spec, runs[0])
    charts, scalars, widths, errors = [], {}, [], []
    for run in runs:
        width = int(run.config.features.options["count"])
        task = run.open().task
        batch = next(run.data().test.batches(len(run.data().test)))
        with torch.no_grad():
            predicted = task.in_units(task.model(batch.inputs).cpu())  # type: ignore[attr-defined]
        order = batch.inputs[:, 0].argsort()
        x, y, found = batch.inputs[order, 0], batch.targets[order, 0], predicted[order, 0]
        error = float((y - found).abs().max())
        lines = {"function": (x, y), "network": (x, found)}
        charts.append(_chart(f"width {width:,}: off by {error:.2g} at most", lines, (-1.6, 1.6)))
        scalars[f"largest error with width {width}"] = error
        widths.append(float(width))
        errors.append(error)
    charts.append(LineChart({"largest error": (widths, errors)}, "width", "largest error", log_x=True, log_y=True))
    falls = sum(after < before for before, after in itertools.pairwise(errors))
    scalars |= {
        "steps": float(len(errors) - 1),
        "falls": float(falls),
        "last error": errors[-1],
        "first error": errors[0],
    }
    return Report(scalars, pictures={"universal": LineCharts(charts, columns=3)})


def _require_function(spec: DataSpec, run: Finished) -> None:
    if spec.input_shape != (1,) or spec.target != "value" or run.config.features.name != "random":
        raise ConfigError(
            f"lecture.runs: the figure needs runs with features=random on data of one feature and numbers, got {run.folder}"
        )
