"""One thing that is odd about data, and how a list of names is shortened to a line."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

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


def fixes(findings: Iterable[Finding]) -> dict[str, Any]:
    """The options that let training accept the data, as far as options can, by name: `{"drop": ["id"]}`."""
    found: dict[str, Any] = {}
    for finding in findings:
        for option, value in finding.options:
            if option == "drop":
                found.setdefault("drop", []).append(value)
            elif found.get(option) != "drop":  # a target without a value: there is nothing to fill in
                found[option] = value
    return found


def needs_correction(findings: Iterable[Finding]) -> bool:
    """Whether something is odd that no option makes acceptable."""
    return any(finding.blocks and not finding.options for finding in findings)
