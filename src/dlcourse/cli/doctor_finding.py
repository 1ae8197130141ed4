"""What a check of `dlcourse doctor` finds."""

from dataclasses import asdict, dataclass
from typing import Literal

State = Literal["ok", "warn", "fail"]


class NotCheckedError(Exception):
    """A check that needs what another check has found to be missing."""


@dataclass(frozen=True)
class Finding:
    """The check, how it went, what was found, and how to fix it if it is not ok."""

    check: str
    state: State
    text: str
    fix: str = ""

    def to_mapping(self) -> dict[str, str]:
        """As --json prints it."""
        return asdict(self)
