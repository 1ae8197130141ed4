"""Which columns TensorBoard's HParams shows of a sweep: the options that vary in it, and the validation numbers."""

from collections.abc import Sequence
from pathlib import Path

from dlcourse.config.run_config import RunConfig, option_values
from dlcourse.runs.tensorboard import Board, Option
from dlcourse.sweeps.plan import Plan
from dlcourse.sweeps.ranking import Group

_ALWAYS = ("model", "optimizer")


def write_columns(folder: Path, plan: Plan, configs: Sequence[RunConfig], ranked: Sequence[Group]) -> None:
    """Write them into the sweep's own folder; its runs say nothing of columns."""
    board = Board.anew(folder, ())
    metrics = dict.fromkeys(name.removeprefix("val/") for group in ranked for name in (group.monitor, "val/loss"))
    board.columns(columns(plan, configs), [f"selected/{name}" for name in metrics])
    board.close()


def columns(plan: Plan, configs: Sequence[RunConfig]) -> dict[str, Option]:
    """One value for each option that varies and for model and optimizer: a number if every run has one, else text."""
    options = [{"run": config.name, **option_values(config)} for config in configs]
    varied = [word.partition("=")[0] for word in plan.runs[0].varied]
    names = ["run" if name == "experiment" else name.lstrip("+") for name in varied]
    found: dict[str, Option] = {}
    for name in dict.fromkeys((*names, *_ALWAYS)):
        values = [values[name] for values in options if name in values]
        if values:
            numbers = len(values) == len(options) and all(type(value) in (int, float) for value in values)
            found[name] = values[0] if numbers or type(values[0]) is bool else str(values[0])
    return found
