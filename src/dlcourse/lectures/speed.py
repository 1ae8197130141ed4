"""Figures about time: samples per second by device, threads and precision, and time against the length of a sequence.

T is the length of a sequence.
"""

import dataclasses
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from dlcourse.config.machine import cores
from dlcourse.config.options import Count, Positive, Range
from dlcourse.config.registry import Choice
from dlcourse.console import Console
from dlcourse.data import announced
from dlcourse.device import DEVICES, Device, settings_kept, use_threads
from dlcourse.errors import ConfigError
from dlcourse.lectures.finished import Finished
from dlcourse.metrics.report import Report
from dlcourse.models import MODELS
from dlcourse.plots import BarChart, Collage, LineChart, LineCharts
from dlcourse.runs.result import read_report
from dlcourse.spec import Batch, Data
from dlcourse.training.build import build_task

_ROUNDS = 3
_WARM_UP = 3
_FEATURES = 8
Lengths = Annotated[int, Range(ge=64, le=4096)]


def hardware(runs: Sequence[Finished], batches: tuple[Count, ...] = (16, 256), seconds: Positive = 0.4) -> Report:
    """Samples per second of training steps of the first run by device, threads and precision that this machine has.

    Each is the best of three rounds of so many `seconds`: what else the machine does only slows it down. The other runs show
    what speed is good for: their test accuracy by the number of examples, a line for each model.
    """
    if not runs:
        raise ConfigError("lecture.runs: the figure needs a run whose steps are timed, got none")
    run, data, rates = runs[0], runs[0].data(), {}
    for choice, size in itertools.product(devices(), batches):
        with settings_kept():
            try:
                device = DEVICES.build(choice)
            except ConfigError:
                continue  # a number format that this processor does not have
            rates[f"{_named(choice)}, {size}"] = _samples_per_second(run, data, device, choice, size, seconds)
    first, last = (
        max(rate for name, rate in rates.items() if name.endswith(f" {size}")) for size in (batches[0], batches[-1])
    )
    scalars = {
        "settings": float(len(rates)),
        "slowest": min(rates.values()),
        "fastest": max(rates.values()),
        "gain of the larger batch": last / first,
    }
    rows: list[list[object]] = [["setting", "samples per second"]]
    rows += [[name, f"{rate:.0f}"] for name, rate in rates.items()]
    name = f"{run.config.model.name} on {data.spec.name}"
    title = f"Training steps of {name}: device, number format, batch size"
    report = Report(scalars, tables={"hardware": rows})
    report.pictures["hardware"] = BarChart(rates, "samples per second", title)
    if runs[1:]:
        _add_quantity(report, runs[1:])
    return report


def _add_quantity(report: Report, runs: Sequence[Finished]) -> None:
    """The accuracy by the number of training examples, and by the layers of the model: what more and what deeper brings."""
    lines: dict[str, dict[float, float]] = {}
    for run in runs:
        layers = len(run.config.model.options["hidden"]) + 1
        name = f"{layers} layer{'s' * (layers > 1)}"
        examples = float(read_report(run.folder)["data"]["train"])
        lines.setdefault(name, {})[examples] = run.numbers()["test/accuracy"]
    for name, line in lines.items():
        reached = [line[examples] for examples in sorted(line)]
        report.scalars |= {f"{name}, fewest": reached[0], f"{name}, most": reached[-1]}
        report.scalars[f"{name}, rises"] = float(sum(after > before for before, after in itertools.pairwise(reached)))
    charted = {name: (sorted(line), [line[examples] for examples in sorted(line)]) for name, line in lines.items()}
    quantity = LineChart(charted, "training examples", "test accuracy", log_x=True, share=True)
    report.pictures = {"hardware": Collage([[report.pictures["hardware"]], [quantity]])}


def devices() -> Iterator[Choice]:
    """The devices of this machine, the processor with 1, 2, 4, ... threads, in the number formats that may be fast there."""
    counts = [count for count in (1, 2, 4, 8, 16, 32, 64) if count <= cores()]
    for threads, precision in itertools.product(counts, ("float32", "bfloat16")):
        yield Choice("cpu", {"threads": threads, "precision": precision})
    if torch.cuda.is_available():
        for precision in ("float32", "tf32", "bfloat16", "float16"):
            yield Choice("cuda", {"precision": precision})
    if torch.backends.mps.is_available():
        yield Choice("mps", {})


def _named(choice: Choice) -> str:
    """`2 threads, bfloat16`, or `cuda, tf32`."""
    threads = choice.options.get("threads")
    device = choice.name if threads is None else f"{threads} thread{'s' * (threads > 1)}"
    precision = choice.options.get("precision", "float32")
    return device if precision == "float32" else f"{device}, {precision}"


def _samples_per_second(run: Finished, data: Data, device: Device, choice: Choice, size: int, seconds: float) -> float:
    """How many examples training steps take in a second, in batches of this size."""
    config = run.config
    config = dataclasses.replace(
        config, device=choice, trainer=dataclasses.replace(config.trainer, batch_size=size, compile=False)
    )
    placed = data.to(device.torch_device)
    task = build_task(config, placed, device, Console())
    task.model.train()
    batches: list[Batch] = list(itertools.islice(placed.train.batches(size, epoch=1), 4))
    whole = itertools.cycle([batch for batch in batches if len(batch.targets) == size] or batches)
    taken = len(batches[0].targets)

    def step() -> None:
        task.train_step(next(whole))
        if device.torch_device.type == "cuda":
            torch.cuda.synchronize()

    return taken / _seconds(step, seconds)


def _seconds(work: Callable[[], object], least: float, clock: Callable[[], float] = time.perf_counter) -> float:
    """How long a call takes: the mean over `least` seconds, in the best of three rounds."""
    for _ in range(_WARM_UP):
        work()
    best = math.inf
    for _ in range(_ROUNDS):
        count, started = 0, clock()
        while count == 0 or clock() - started < least:
            work()
            count += 1
        best = min(best, (clock() - started) / count)
    return best


def parallel(runs: Sequence[Finished], longest: Lengths = 512, width: Count = 64, seconds: Positive = 0.1) -> Report:
    """Against the length of a sequence: how many operations follow each other, and the processor time of a pass.

    A pass is one forward and back over one sequence. Slopes are those of a straight line through the logarithms: of all
    operations in a row (`... depth slope`), and of times up to length 256 (`... time slope`).
    """
    lengths = [2**power for power in range(4, 13) if 2**power <= longest]
    models = {name: _models(Choice(name, options), lengths) for name, options in _sequence_models(width).items()}
    depths = {name: [float(_depth(*pair)) for pair in models[name]] for name in ("gru", "transformer")}
    with settings_kept():
        use_threads(1)  # whose time is that of the work; more of them would wait for each other, too
        times = {name: [1000 * _pass_seconds(*pair, seconds) for pair in pairs] for name, pairs in models.items()}
    near = sum(length <= _NEAR for length in lengths)
    scalars = {f"{name} depth slope": slope(lengths, found) for name, found in depths.items()}
    scalars |= {f"{name} time slope": slope(lengths[:near], found[:near]) for name, found in times.items()}
    scalars["gru time slope less transformer"] = scalars["gru time slope"] - scalars["transformer time slope"]
    scalars["gru to transformer"] = times["gru"][near - 1] / times["transformer"][near - 1]
    charts = [
        LineChart({name: (lengths, values) for name, values in found.items()}, _LENGTH, axis, log_x=True, log_y=True)
        for found, axis in ((depths, "operations in a row"), (times, "processor time of a pass, in ms"))
    ]
    return Report(scalars, pictures={"parallel": LineCharts(charts)})


_LENGTH = "length of the sequence"
_NEAR = 256
Sequences = tuple[nn.Module, Tensor]


def _sequence_models(width: int) -> dict[str, dict[str, object]]:
    return {
        "gru": {"hidden": width},
        "lstm": {"hidden": width},
        "transformer": {"width": width, "layers": 1, "heads": 4},
    }


def _models(choice: Choice, lengths: Sequence[int]) -> list[Sequences]:
    """A model for each length, with a sequence `(1, T, 8)`."""
    return [
        (
            MODELS.build(choice, spec=announced.numbers(length, _FEATURES, classes=2)),
            torch.randn(1, length, _FEATURES),
        )
        for length in lengths
    ]


def _depth(model: nn.Module, inputs: Tensor) -> int:
    """The operations on the longest way through the graph of the model's output: none of them can begin before the last."""
    output = model(inputs)
    depths: dict[Any, int] = {}
    waiting = [output.grad_fn]
    while waiting:
        node = waiting[-1]
        before = [other for other, _ in node.next_functions if other is not None]
        unknown = [other for other in before if other not in depths]
        if unknown:
            waiting.extend(unknown)
        else:
            depths[waiting.pop()] = 1 + max((depths[other] for other in before), default=0)
    return depths[output.grad_fn]


def _pass_seconds(model: nn.Module, inputs: Tensor, seconds: float) -> float:
    def work() -> None:
        model.zero_grad()
        torch.autograd.backward(model(inputs).square().sum())

    return _seconds(work, seconds, clock=time.process_time)  # which others on this machine do not disturb


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """That of the straight line through the logarithms of positive numbers, by least squares."""
    logs = [[math.log(value) for value in values] for values in (x, y)]
    middle_x, middle_y = (sum(values) / len(values) for values in logs)
    products = [(one - middle_x) * (other - middle_y) for one, other in zip(*logs, strict=True)]
    return round(sum(products) / sum((one - middle_x) ** 2 for one in logs[0]), 6) + 0.0  # no -0
