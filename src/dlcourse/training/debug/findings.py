"""What a check finds: faults and remarks, each with a name, what was seen, what is expected and what to do."""

from collections.abc import Iterable
from dataclasses import dataclass

from dlcourse.errors import FaultError

_MOST_NAMED = 4


@dataclass(frozen=True)
class Finding:
    """A fault of the training, or, unless `is_fault`, a remark on what may be intended. `expected` may be empty."""

    name: str
    seen: str
    expected: str
    advice: str
    is_fault: bool = True

    def __str__(self) -> str:
        expected = f"expected {self.expected}; " if self.expected else ""
        return f"{self.name}: {self.seen}; {expected}{self.advice}"


def has_fault(findings: Iterable[Finding]) -> bool:
    """Whether one of the findings is a fault."""
    return any(finding.is_fault for finding in findings)


def refuse_faults(findings: Iterable[Finding]) -> None:
    """Raise FaultError with the first fault, and the names of the others."""
    faults = [finding for finding in findings if finding.is_fault]
    if faults:
        others = ", ".join(finding.name for finding in faults[1:])
        raise FaultError(f"{faults[0]}{f' (also found: {others})' if others else ''}")


def listed(names: Iterable[str]) -> str:
    """The first few of these names, with their number if there are more."""
    names = list(names)
    more = f", ... ({len(names)})" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
