"""What a harness found, as one row of the table that `scripts/torture` prints."""

from dataclasses import dataclass, field


@dataclass
class Outcome:
    """So many of so many as they must be; `controls` are deliberate defects, `(name, how many still passed, of how many)`.

    A control that passes shows a blind harness: each must fail every time, or, where `may_pass`, as the defect is a rate
    (a plain reader notices some damage), at least once. `failures` says of each failed case what happened, and of anything
    else that is not as it must be.
    """

    goal: str
    what: str
    passed: int = 0
    total: int = 0
    controls: list[tuple[str, int, int]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0
    may_pass: bool = False

    def count(self, is_good: bool, otherwise: str = "") -> None:
        """Take in one case."""
        self.total += 1
        self.passed += is_good
        if not is_good:
            self.failures.append(otherwise)

    @property
    def is_good(self) -> bool:
        """Whether every case passed, and no control did; with `may_pass`, none did every time."""
        return (
            self.total > 0
            and self.passed == self.total
            and not self.failures
            and all(good < of if self.may_pass else good == 0 < of for _, good, of in self.controls)
        )

    def row(self) -> str:
        """`R1   1000 of 1000     62 s   kill -9 at random moments`, and a line for each control."""
        lines = [f"{self.goal:<4} {self.passed:>6} of {self.total:<6} {self.seconds:5.0f} s   {self.what}"]
        lines += [f"{'':29}control: {name}: {good} of {of} pass" for name, good, of in self.controls]
        return "\n".join(lines)
