"""What a run has reached, by which runs are compared; read from its folder without torch."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcourse.errors import DataError
from dlcourse.files import read_regular

REPORT = "report.json"
BELOW_NUMBERS = "training: while training in epoch "
"""How the line below the numbers in report.txt begins; behind it is what is said of the test set."""
_MAX_BYTES = 64 * 2**20
_SAYS_NOTHING = "cannot read {path}: it does not say what the run reached"


@dataclass(frozen=True)
class RunResult:
    """What a finished run reached, by the validation numbers of the weights that were kept."""

    folder: Path
    kept_epoch: int
    seconds: float
    monitor: str
    mode: str
    scalars: Mapping[str, float]
    epochs: int = 0
    """How many it was trained for."""

    @property
    def best(self) -> float:
        """The number that is compared with other runs'."""
        return self.scalars[self.monitor]


def read_result(folder: Path) -> RunResult:
    """The result of a finished run, as its report says; raises DataError."""
    return result_in(read_report(folder), folder)


def read_report(folder: Path) -> dict[str, Any]:
    """The whole report of a finished run; raises DataError."""
    try:
        return dict(json.loads(read_regular(folder / REPORT, _MAX_BYTES)))
    except (ValueError, TypeError, RecursionError):
        raise DataError(_SAYS_NOTHING.format(path=folder / REPORT)) from None


def result_in(report: Mapping[str, Any], folder: Path) -> RunResult:
    """The result that the report of this folder tells; raises DataError."""
    try:
        scalars = {f"val/{name}": _number(value) for name, value in report["val"].items()}
        monitor = str(report["monitor"])
        mode = str(report.get("mode") or ("max" if "accuracy" in monitor else "min"))  # older reports do not say it
        result = RunResult(
            folder, int(report["kept_epoch"]), float(report["seconds"]), monitor, mode, scalars, int(report["epochs"])
        )
        result.best  # noqa: B018 - that it is there
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        raise DataError(_SAYS_NOTHING.format(path=folder / REPORT)) from None
    return result


def _number(value: object) -> float:
    return math.nan if value is None else float(value)  # type: ignore[arg-type]
