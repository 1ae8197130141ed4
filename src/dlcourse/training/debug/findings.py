"""What a check has found: a fault or a remark, by name, with what was seen, what is expected and what to do."""

from collections.abc import Iterable
from dataclasses import dataclass

from dlcourse.errors import FaultError

_MOST_NAMED = 4


@dataclass(frozen=True)
class Finding:
    """A fault of the training, or, unless `is_fault`, something that may be meant so."""

    name: str
    seen: str
    expected: str
    advice: str
    is_fault: bool = True

    def __str__(self) -> str:
        return f"{self.name}: {self.seen}; expected {self.expected}; {self.advice}"


def refuse_faults(findings: Iterable[Finding]) -> None:
    """Raise FaultError with the first fault, and the names of the others."""
    faults = [finding for finding in findings if finding.is_fault]
    if faults:
        others = ", ".join(finding.name for finding in faults[1:])
        raise FaultError(f"{faults[0]}{f' (also found: {others})' if others else ''}")


def listed(names: Iterable[str]) -> str:
    """The first few of these names, and how many there are if that is more."""
    names = list(names)
    more = f", ... ({len(names)})" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
