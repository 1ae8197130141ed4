"""`debug=profile`: where the time of a step goes, by phase and by operator, with a trace to look at in a browser."""

import contextlib
import functools
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.profiler import ProfilerActivity, record_function

try:
    import resource
except ImportError:  # Windows has none
    resource = None  # type: ignore[assignment]

from dlcourse.config.run_config import RunConfig
from dlcourse.console import Console
from dlcourse.device import DEVICES
from dlcourse.runs.folder import RunFolder, output_errors
from dlcourse.spec import Batch
from dlcourse.text_table import aligned
from dlcourse.training.debug.first_step import check_before_first_step, say_findings
from dlcourse.training.debug.folder import place
from dlcourse.training.evaluate import training_batches
from dlcourse.training.run_report import Setup
from dlcourse.training.set_up import set_up

STEPS, _WARM_UP = 20, 5
_SHOWN = 10
TRACE, TABLE, NUMBERS = "trace.json", "profile.txt", "profile.json"
_WIDEST = 40
_PHASES = ("data", "forward", "backward", "optimizer")


def profile(config: RunConfig, overrides: list[str]) -> None:
    """Measure some steps of a run, on its training set; no run is left. Raises UserError."""
    console = Console()
    setup = set_up(config, overrides, DEVICES.build(config.device), console)
    console.say("ready", *setup.task.prepare(setup.data))
    say_findings(console, check_before_first_step(setup))
    folder = RunFolder.create(place(config.run), config.name)
    console.show("run", str(folder.path))
    setup.task.model.train()
    batches = training_batches(config.trainer, setup.data)
    _steps(setup, batches, _WARM_UP)
    samples_per_second = _speed(setup, batches)
    phases = _phases(setup, batches)
    operators = _operators(setup, batches, folder)
    memory = _peak_memory(setup)
    table = aligned([("operator", "calls", "ms", "share"), *(row for row, _ in operators[:_SHOWN])])
    head = _headlines(samples_per_second, phases, memory)
    folder.write_text(TABLE, "\n".join([setup.command, "", *head, "", *table]) + "\n")
    folder.write_json(
        NUMBERS,
        {
            "command": setup.command,
            "device": str(setup.device),
            "steps": STEPS,
            "samples_per_second": samples_per_second,
            "phase_seconds": phases,
            "peak_memory_bytes": memory,
            "operators": [facts for _, facts in operators],
        },
    )
    console.say("speed", *head)
    console.rows(["", *table, ""])
    console.show("saved", f"{TABLE}  {NUMBERS}  {TRACE}")
    console.show("look", f"open {folder / TRACE} at https://ui.perfetto.dev, or in Chrome at chrome://tracing")


def _steps(setup: Setup, batches: Iterator[Batch], count: int) -> int:
    """Make `count` steps; returns the number of examples in them."""
    examples = 0
    for _ in range(count):
        with record_function("data"):
            batch = next(batches)
        with record_function("train_step"):
            setup.task.train_step(batch)
        examples += len(batch.targets)
    _wait(setup)
    return examples


def _wait(setup: Setup) -> None:
    """Until the device has done all work so far."""
    if setup.device.torch_device.type == "cuda":
        torch.cuda.synchronize(setup.device.torch_device)
    elif setup.device.torch_device.type == "mps":
        torch.mps.synchronize()


def _speed(setup: Setup, batches: Iterator[Batch]) -> float:
    """Examples a second, with nothing else measured."""
    started = time.perf_counter()
    examples = _steps(setup, batches, STEPS)
    return examples / (time.perf_counter() - started)


def _phases(setup: Setup, batches: Iterator[Batch]) -> dict[str, float]:
    """The seconds of each phase in all steps; the device finishes one before the next begins, which takes longer."""
    seconds = dict.fromkeys(_PHASES, 0.0)

    def timed(phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            _wait(setup)
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                _wait(setup)
                seconds[phase] += time.perf_counter() - started

        return call

    read = timed("data", next)
    step = timed("forward", setup.task.train_step)
    with _replaced(torch.autograd, "backward", timed), _replaced(torch.amp.GradScaler, "step", timed, "optimizer"):
        for _ in range(STEPS):
            step(read(batches))
    seconds["forward"] -= seconds["backward"] + seconds["optimizer"]  # which are parts of the step
    return seconds


@contextlib.contextmanager
def _replaced(owner: Any, name: str, timed: Callable[..., Any], phase: str | None = None) -> Iterator[None]:
    """Within this a function that every step of this project calls is timed (optim/step.py)."""
    function = getattr(owner, name)
    setattr(owner, name, timed(phase or name, function))
    try:
        yield
    finally:
        setattr(owner, name, function)


def _operators(
    setup: Setup, batches: Iterator[Batch], folder: RunFolder
) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    """Operators by the time they take themselves, on the device that computes, as rows and as facts; writes the trace."""
    on_gpu = setup.device.torch_device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with torch.profiler.profile(activities=activities) as profiler:
        _steps(setup, batches, STEPS)
    with output_errors(folder.path):
        profiler.export_chrome_trace(str(folder / TRACE))
    events = [
        (event.key, event.count, (event.self_device_time_total if on_gpu else event.self_cpu_time_total) / 1e6)
        for event in profiler.key_averages()
    ]
    events = sorted((event for event in events if event[2] > 0), key=lambda event: -event[2])
    total = sum(seconds for _, _, seconds in events)
    rows = [
        (_named(name), f"{count / STEPS:.4g}", f"{1000 * seconds / STEPS:.3f}", f"{100 * seconds / total:.1f} %")
        for name, count, seconds in events
    ]
    facts = [{"name": name, "calls": count, "self_seconds": seconds} for name, count, seconds in events]
    return list(zip(rows, facts, strict=True))


def _named(name: str) -> str:
    return {"train_step": "Python, in a step", "data": "Python, reading data"}.get(name, name[:_WIDEST])


def _headlines(samples_per_second: float, phases: dict[str, float], memory: int | None) -> list[str]:
    total = sum(phases.values())
    shares = "   ".join(f"{phase} {100 * seconds / total:.0f} %" for phase, seconds in phases.items())
    peak = [] if memory is None else [f"peak memory {memory / 2**20:,.0f} MiB"]
    return [f"{samples_per_second:,.0f} samples/s over {STEPS} steps", shares, *peak]


def _peak_memory(setup: Setup) -> int | None:
    """The most bytes so far: that torch had on a GPU, or of the whole process; None if unknown."""
    if setup.device.torch_device.type == "cuda":
        return torch.cuda.max_memory_allocated(setup.device.torch_device)
    if resource is None:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
