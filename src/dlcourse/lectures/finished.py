"""A run of a figure that has ended, as its drawing may read it."""

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcourse.config.registry import Choice
from dlcourse.config.run_config import RunConfig
from dlcourse.errors import DataError, UserError
from dlcourse.runs.metrics_log import METRICS
from dlcourse.runs.metrics_table import MetricsTable, read_table
from dlcourse.runs.reopen import read_config
from dlcourse.runs.result import read_report
from dlcourse.sweeps.outcome import RunDivergedError, outcome

if TYPE_CHECKING:
    from dlcourse.spec import Data
    from dlcourse.training.opened import OpenedRun

_SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Finished:
    """A run that has ended: it is done, or its loss became NaN or infinite where the figure expects that.

    `label` says what sets it apart from the other runs of the figure, `optimizer.lr=0.1`, and `varied` the same by option.
    `files` are the options of its data that say where their files are now.
    """

    label: str
    folder: Path
    varied: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> RunConfig:
        """What it was trained with."""
        return read_config(self.folder)

    @property
    def has_diverged(self) -> bool:
        """Whether its loss became NaN or infinite."""
        return isinstance(outcome(self.folder), RunDivergedError)

    def numbers(self) -> dict[str, float]:
        """What it reached, as report.json says: `val/accuracy`, `test/loss`, ..., `parameters`; and `diverged`, 0 or 1."""
        if self.has_diverged:
            return {"diverged": 1.0}
        report = read_report(self.folder)
        found = {
            f"{split}/{name}": float(value)
            for split in _SPLITS
            for name, value in report.get(split, {}).items()
            if isinstance(value, int | float)
        }
        return found | {"diverged": 0.0, "parameters": float(report["model"]["parameters"])}

    @property
    def metrics(self) -> MetricsTable:
        """Every number it logged, a column each."""
        return read_table(self.folder / METRICS)

    def series(self, name: str) -> tuple[list[float], list[float]]:
        """The epochs at which a number was logged, `(E,)`, and its values: `train/loss`, `val/accuracy`, ..."""
        table = self.metrics
        steps, values = table.series(name)
        epoch_at = dict(zip(table["step"], table["epoch"], strict=True))
        return [epoch_at[step] for step in steps], values

    def open(self) -> "OpenedRun":
        """The run with its task, built again with the weights it kept, whose checksum is checked, in evaluation mode.

        Raises DataError for damaged files, which says what to do.
        """
        return _opened(self.folder)

    def data(self) -> "Data":
        """The data as the run saw them, on its device; raises UserError if they are not there any more."""
        return _data(self.folder, tuple(self.files.items()))


@functools.lru_cache(maxsize=4)
def _opened(folder: Path) -> "OpenedRun":
    from dlcourse.training.opened import open_run

    try:
        return open_run(folder)
    except UserError as error:
        raise DataError(f"{error}; delete the folder {folder}, and the figure makes the run again") from error


@functools.lru_cache(maxsize=4)
def _data(folder: Path, files: tuple[tuple[str, Any], ...]) -> "Data":
    from dlcourse.rng import seed_everything
    from dlcourse.training.build import build_data
    from dlcourse.training.opened import device_or_best

    config = read_config(folder)
    placed = Choice(config.data.name, {**config.data.options, **dict(files)})
    seed_everything(config.seed)
    return build_data(dataclasses.replace(config, data=placed), device_or_best(config.device))
