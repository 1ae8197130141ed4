"""The report of an evaluation: numbers, and what is written and drawn beside them."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlcourse.plots import Picture


@dataclass
class Report:
    """What an evaluation found.

    `scalars` are numbers to log; `texts` and `pictures`, each by name, are kept for every evaluation that has them. A
    full report also has a `headline` and further `highlights` for the console, `lines` for report.txt, `details` for
    report.json and `tables` (rows with a header).
    """

    scalars: dict[str, float]
    headline: str = ""
    highlights: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    details: dict[str, object] = field(default_factory=dict)
    tables: dict[str, list[list[object]]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    pictures: dict[str, "Picture"] = field(default_factory=dict)
