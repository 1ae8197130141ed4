"""The report of an evaluation: numbers, and what is written and drawn beside them."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dlcourse.metrics.names import metric_name, metric_text

if TYPE_CHECKING:
    from dlcourse.plots import Picture


@dataclass(frozen=True)
class Baseline:
    """What is reached without a model, on the same examples: a name, what is always answered, and its numbers."""

    name: str
    answer: str
    scalars: dict[str, float]


@dataclass
class Report:
    """What an evaluation found.

    `scalars` are numbers to log; `texts` and `pictures`, each by name, are kept for every evaluation that has them. A
    full report also has a `headline` and further `highlights` for the console, `facts` (a name and a sentence each) and
    `lines` for report.txt, `details` for report.json, and `tables` (rows with a header).
    """

    scalars: dict[str, float]
    headline: str = ""
    highlights: list[str] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    details: dict[str, object] = field(default_factory=dict)
    tables: dict[str, list[list[object]]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    pictures: dict[str, "Picture"] = field(default_factory=dict)

    def compare(self, baseline: Baseline) -> None:
        """Add a baseline to the facts and the details."""
        numbers = "   ".join(
            f"{metric_name(name)} {metric_text(name, value)}" for name, value in baseline.scalars.items()
        )
        self.facts.append((baseline.name, f"{numbers}   ({baseline.answer})"))
        self.details |= {"baseline": baseline.scalars, "baseline_answer": baseline.answer}
