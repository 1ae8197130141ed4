"""What keeps a network from fitting the training set alone: dropout, batch norm, and others beside them.

N is a number of examples, H of units.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from dlcourse.config.options import Count
from dlcourse.errors import ConfigError
from dlcourse.lectures.finished import Finished
from dlcourse.lectures.several import numbers_of
from dlcourse.metrics.paired import Difference, over_seeds
from dlcourse.metrics.report import Report
from dlcourse.plots import BarChart, Collage, ImageRow, ImageRows, LineChart, LineCharts
from dlcourse.training.evaluate import evaluate

_MASKS = 200
_SHOWN = 3
_COLUMNS = 32


def dropout(runs: Sequence[Finished]) -> Report:
    """Masks of dropout at three steps, and the losses of the same network with more and less of it.

    Each run has another model.dropout. The loss on the training set is that of the trained network with all of its units, so
    that the gap to validation is overfitting alone.
    """
    by_share = {float(run.config.model.options.get("dropout", 0.0)): run for run in runs}
    if len(by_share) < len(runs) or len(runs) < 2 or 0.0 not in by_share:
        raise ConfigError("lecture.runs: the figure needs runs with different model.dropout, one of them 0")
    scalars, lines, gaps = numbers_of(runs), {}, {}
    for share, run in sorted(by_share.items()):
        data, task = run.data(), run.open().task
        losses = [evaluate(task, split, 1000).scalars["loss"] for split in (data.train, data.val)]
        gaps[f"dropout {share:g}"] = losses[1] - losses[0]
        lines[f"dropout {share:g}"] = run.series("val/loss")
    least = min(share for share in by_share if share)
    masks = _masks(by_share[least])
    scalars |= {f"gap with {name}": gap for name, gap in gaps.items()}
    scalars |= {f"gap closed by {name}": gaps["dropout 0"] - gap for name, gap in gaps.items()}
    scalars |= {"share asked for": least, "share switched off": float(masks.mean())}
    tiles = masks[:_SHOWN].view(_SHOWN, 1, -1, _COLUMNS)
    captions = [
        f"step {n}: {share:.1%} off".replace("%", " %") for n, share in enumerate(tiles.mean((1, 2, 3)).tolist(), 1)
    ]
    shown = ImageRows(
        [ImageRow(f"Units switched off (black) with dropout {least:g}", 1 - tiles.numpy(), captions)], size=2.4
    )
    chart = LineChart(lines, "epoch", "validation loss", "The same network with dropout", log_y=True)
    return Report(scalars, pictures={"dropout": Collage([[chart], [shown]])})


def _masks(run: Finished) -> Tensor:
    """Which of H units the first dropout of the model switches off at some steps, `(steps, H)` of 0 and 1."""
    model = run.open().task.model
    units = next(module.out_features for module in model.modules() if isinstance(module, nn.Linear))
    layer = next(module for module in model.modules() if isinstance(module, nn.Dropout))
    layer.train()
    masks = layer(torch.ones(_MASKS, units)) == 0
    layer.eval()
    return masks.float()


def batch_norm(runs: Sequence[Finished], examples: Count = 500) -> Report:
    """Mean and spread of what enters the activation functions, after more and more epochs, with batch norm and without.

    The runs differ in model.norm and trainer.epochs; at a constant learning rate a longer one passes through the weights of
    a shorter one. The drift of a unit is the standard deviation of its mean over these, in the mean over all units.
    """
    groups: dict[str, dict[int, Finished]] = {"none": {}, "batch": {}}
    for run in runs:
        norm = str(run.config.model.options.get("norm", "none"))
        groups.setdefault(norm, {})[run.config.trainer.epochs] = run
    if set(groups) != {"none", "batch"} or min(map(len, groups.values())) < 2:
        raise ConfigError(
            "lecture.runs: the figure needs runs of model=mlp with model.norm=none,batch and several trainer.epochs"
        )
    scalars: dict[str, float] = {}
    found: dict[str, dict[str, list[Tensor]]] = {"mean": {}, "standard deviation": {}}
    epochs = sorted(groups["none"].keys() & groups["batch"].keys())
    for norm, title in (("none", "without batch norm"), ("batch", "with batch norm")):
        means, spreads = _statistics([groups[norm][epoch] for epoch in epochs], examples)
        found["mean"][title], found["standard deviation"][title] = means, spreads
        scalars[f"drift {title}"] = sum(float(layer.std(0).mean()) for layer in means) / len(means)
        last = groups[norm][epochs[-1]].numbers()
        scalars |= {f"accuracy {title}": last["test/accuracy"], f"loss {title}": last["train/loss"]}
    charts = [chart for what, by_title in found.items() for chart in _statistic_charts(what, by_title, epochs)]
    scalars["drift with over without"] = scalars["drift with batch norm"] / scalars["drift without batch norm"]
    return Report(scalars, pictures={"batch_norm": LineCharts(charts)})


def _statistic_charts(what: str, by_title: Mapping[str, list[Tensor]], epochs: Sequence[int]) -> list[LineChart]:
    """The mean of a statistic over the units of each layer `(runs, H)`, on the same scale with and without batch norm."""
    lines = {
        title: {f"layer {n}": (epochs, layer.mean(1).numpy()) for n, layer in enumerate(layers, start=1)}
        for title, layers in by_title.items()
    }
    heights = np.concatenate([line for each in lines.values() for _, line in each.values()])
    margin = 0.05 * float(np.ptp(heights))
    limits = (float(heights.min()) - margin, float(heights.max()) + margin)
    return [
        LineChart(each, "epoch", what, f"{what.capitalize()} {title}", limits_y=limits) for title, each in lines.items()
    ]


@torch.no_grad()
def _statistics(runs: Sequence[Finished], examples: int) -> tuple[list[Tensor], list[Tensor]]:
    """Mean and standard deviation of each unit's input, `(runs, H)` for each hidden layer, over training examples.

    The models are in training mode, as it is the batch's own statistics that a network with batch norm normalizes by.
    """
    means: list[list[Tensor]] = []
    spreads: list[list[Tensor]] = []
    for run in runs:
        batch = next(run.data().train.batches(examples))
        entered = _entering(run.open().task.model, batch.inputs)
        run.open().load_weights()  # running statistics have moved
        means.append([each.mean(0) for each in entered])
        spreads.append([each.std(0) for each in entered])
    return [torch.stack(each) for each in zip(*means, strict=True)], [
        torch.stack(each) for each in zip(*spreads, strict=True)
    ]


def _entering(model: nn.Module, inputs: Tensor) -> list[Tensor]:
    """What enters the activation function of each hidden layer of an mlp in training mode, `(N, H)`."""
    entered: list[Tensor] = []
    layers = [module[0] for module in model.modules() if isinstance(module, nn.Sequential) and len(module) == 2]
    hooks = [layer.register_forward_pre_hook(lambda _module, args: entered.append(args[0])) for layer in layers]
    model.train()
    model(inputs)
    model.eval()
    for hook in hooks:
        hook.remove()
    return entered


def random_labels(runs: Sequence[Finished]) -> Report:
    """The accuracy of one network on the training set and on validation, with true labels and with random ones."""
    noise = [float(run.config.data.options.get("label_noise", 0.0)) for run in runs]
    if len(runs) != 2 or min(noise) > 0 or max(noise) == 0:
        raise ConfigError("lecture.runs: the figure needs two runs, one with data.label_noise=0 and one with more")
    names = {"true labels": runs[noise.index(0.0)], "random labels": runs[noise.index(max(noise))]}
    scalars = {
        f"{split} accuracy with {name}": run.numbers()[f"{split}/accuracy"]
        for name, run in names.items()
        for split in ("train", "test")
    }
    charts = [
        LineChart(
            {name: _by_epoch(run, f"{split}/accuracy") for name, run in names.items()},
            "epoch",
            f"{words} accuracy",
            title,
            share=True,
        )
        for split, words, title in (
            ("train", "training", "Any labels can be learned"),
            ("val", "validation", "True ones are understood"),
        )
    ]
    return Report(scalars, pictures={"random_labels": LineCharts(charts)})


def _by_epoch(run: Finished, name: str) -> tuple[list[float], list[float]]:
    """A number over the epochs, the last that was logged in each."""
    found = dict(zip(*run.series(name), strict=True))
    return list(found), list(found.values())


def ablation(runs: Sequence[Finished], rows: tuple[str, ...] = (), y: str = "test/accuracy") -> Report:
    """What each change gains over the baseline, with its interval over the seeds: the first runs are the baseline's.

    `rows` names the changes, in the order of the runs.
    """
    groups: dict[tuple[tuple[str, str], ...], list[float]] = {}
    for run in runs:
        words = tuple((key, value) for key, value in run.varied.items() if key != "seed")
        groups.setdefault(words, []).append(run.numbers().get(y, math.nan))
    baseline, *changes = groups.values() or [[]]
    if len(changes) != len(rows) or not rows:
        raise ConfigError(
            f"lecture.rows must name each of the {len(changes)} changes of the runs, got {len(rows)} names"
        )
    found = {row: over_seeds(baseline, change) for row, change in zip(rows, changes, strict=True)}
    known = {row: difference for row, difference in found.items() if difference is not None}
    scalars = {
        "baseline": float(np.mean(baseline)),
        "rows": float(len(rows)),
        "rows with an interval": float(len(known)),
    }
    scalars |= {f"{row} gains": difference.value for row, difference in known.items()}
    scalars |= {f"{row} gains at least": difference.low for row, difference in known.items()}
    scalars["clear gains"] = float(sum(difference.low > 0 for difference in known.values()))
    title = f"Gain over the baseline's {scalars['baseline']:.1%}, mean and 95 % interval".replace("%,", " %,")
    return Report(scalars, pictures={"ablation": _gains(known, title)}, tables={"ablation": _table(known)})


def _gains(known: Mapping[str, Difference], title: str) -> BarChart:
    bars = {row: 100 * difference.value for row, difference in known.items()}
    intervals = {row: (100 * difference.low, 100 * difference.high) for row, difference in known.items()}
    return BarChart(bars, "points of test accuracy", title, intervals=intervals)


def _table(known: Mapping[str, Difference]) -> list[list[object]]:
    rows: list[list[object]] = [
        [row, f"{each.value:.4f}", f"{each.low:.4f}", f"{each.high:.4f}"] for row, each in known.items()
    ]
    return [["change", "gain", "low", "high"], *rows]
