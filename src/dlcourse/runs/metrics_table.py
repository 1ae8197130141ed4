"""metrics.jsonl as a table: a column for each number that a run logged, a row for each step that has any.

R is the number of rows.
"""

import math
from pathlib import Path

from dlcourse.config.options import suggestion
from dlcourse.errors import ConfigError, DataError
from dlcourse.runs.metrics_log import read_metrics


class MetricsTable(dict[str, list[float]]):
    """Columns of equal length R: `step`, `epoch`, then each `split/name`; NaN where a number was not logged at a step.

    `pandas.DataFrame` takes it as it is.
    """

    def series(self, name: str) -> tuple[list[float], list[float]]:
        """The steps at which a number was logged, and its values, to be plotted; raises ConfigError.

        A number that was NaN when it was logged is left out, too.
        """
        if name not in self:
            raise ConfigError(f"no number '{name}' was logged{suggestion(name, self)}")
        pairs = [pair for pair in zip(self["step"], self[name], strict=True) if not math.isnan(pair[1])]
        return [step for step, _ in pairs], [value for _, value in pairs]

    def __repr__(self) -> str:
        return f"{len(self['step'])} rows of {', '.join(self)}"


def read_table(path: Path) -> MetricsTable:
    """The table of a log; what was logged at one step is one row. Raises DataError."""
    rows: dict[int, dict[str, float]] = {}
    try:
        for record in read_metrics(path):
            numbers = {name: float(value) for name, value in record.items() if "/" in name}
            if numbers:  # the kept numbers, which come last, say another epoch: that of which they are
                rows.setdefault(record["step"], {"epoch": record["epoch"]}).update(numbers)
    except OSError as error:
        raise DataError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    steps = sorted(rows)
    table = MetricsTable(step=list(steps), epoch=[])
    for name in dict.fromkeys(name for step in steps for name in rows[step]):
        table[name] = [rows[step].get(name, math.nan) for step in steps]
    return table
