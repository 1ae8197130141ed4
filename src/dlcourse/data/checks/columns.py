"""What the columns of a table hold, one by one: numbers, text, dates, gaps, and how far the numbers reach."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dlcourse.data.csv_table import DATE, DECIMAL_COMMA, THOUSANDS, Column, parse_number

Kind = Literal["numbers", "text", "dates", "numbers with commas", "numbers and text", "empty"]

_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Profile:
    """A column seen as a whole; `known` are its cells that have a value."""

    column: Column

    @property
    def name(self) -> str:
        return self.column.name

    @cached_property
    def known(self) -> Column:
        return self.column.without(self.column.missing)

    @cached_property
    def missing_rows(self) -> list[int]:
        """The rows of the file without a value."""
        return [self.column.rows[index] for index in self.column.missing]

    @cached_property
    def no_numbers(self) -> list[int]:
        """The indices into `known` of the cells that are no number."""
        return [index for index, cell in enumerate(self.known.cells) if parse_number(cell) is None]

    @cached_property
    def too_large(self) -> list[int]:
        """The indices into `known` of numbers that do not fit into 32 bits, such as inf."""
        values = [parse_number(cell) for cell in self.known.cells]
        return [index for index, value in enumerate(values) if value is not None and not abs(value) <= _LARGEST]

    @cached_property
    def distinct(self) -> int:
        """How many different values there are."""
        return len(set(self.known.cells))

    @cached_property
    def kind(self) -> Kind:
        """What the column holds, as far as it has values."""
        cells = self.known.cells
        if not cells:
            return "empty"
        if not self.no_numbers:
            return "numbers"
        others = [cells[index] for index in self.no_numbers]
        if all(DATE.fullmatch(cell) for cell in cells):
            return "dates"
        if all(THOUSANDS.fullmatch(cell) for cell in others) or all(DECIMAL_COMMA.fullmatch(cell) for cell in others):
            return "numbers with commas"
        return "text" if 2 * len(others) > len(cells) else "numbers and text"

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """The numbers `(N,)` of a column of numbers, NaN where there is none."""
        numbers = [parse_number(cell) for cell in self.column.cells]
        values = np.array([np.nan if number is None else number for number in numbers])
        values[~(np.abs(values) <= _LARGEST)] = np.nan
        return values

    @property
    def is_row_number(self) -> bool:
        """Whether it counts the rows: whole numbers one after the other, in any order, each once."""
        if self.kind != "numbers" or self.missing_rows or self.too_large or len(self.values) < 10:
            return False
        ordered = np.sort(self.values)
        return bool((np.diff(ordered) == 1).all() and (ordered % 1 == 0).all())

    @property
    def is_identifier(self) -> bool:
        """Whether every row has another text, or it counts the rows."""
        all_differ = self.distinct == len(self.known.cells) >= 10
        return (self.kind == "text" and all_differ) or self.is_row_number

    @property
    def reach(self) -> str:
        """`2 to 14, mean 7.5` for numbers, otherwise some of the values."""
        if self.kind == "numbers" and np.isfinite(self.values).any():
            low, high, mean = (f(self.values) for f in (np.nanmin, np.nanmax, np.nanmean))
            return f"{low:.6g} to {high:.6g}, mean {mean:.4g}"
        counts = Counter(self.known.cells)
        names = sorted(counts, key=lambda cell: (-counts[cell], cell))[:4]
        return ", ".join(names) + (", ..." if self.distinct > len(names) else "")
