"""One thing that is odd about data, and how a list of names is shortened to a line."""

from collections.abc import Sequence
from dataclasses import dataclass

SHOWN = 5
"""Names that a line lists before it only counts."""


@dataclass(frozen=True)
class Finding:
    """Where something is odd (files, a column, rows, classes), what it is, and what to do about it.

    `dlcourse train` refuses data with something that `blocks`, unless it is given `options`, each a name and a value of
    the data set; without any, the data have to be corrected first.
    """

    where: str
    what: str
    remedy: str
    blocks: bool = False
    options: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.remedy}"


def some(names: Sequence[str], most: int = SHOWN) -> str:
    """`a, b, c and 4 more`."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest:,} more" if rest > 0 else "")
