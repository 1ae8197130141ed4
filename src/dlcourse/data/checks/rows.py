"""Rows of a table that are equal, or equal but for the last digits of their numbers."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from dlcourse.data.checks.columns import Profile
from dlcourse.data.checks.finding import SHOWN, Finding
from dlcourse.data.checks.twins import equal_rows, rounded

_SHOWN_OF_A_GROUP = 3


def check_rows(profiles: Sequence[Profile], target: str | None, test_rows: Collection[int] | None) -> list[Finding]:
    """Rows with the same inputs: some for training and some for testing, with different targets, or neither.

    Numbers are compared to four significant digits, and columns that only name the row not at all. `test_rows` are the
    rows that are set aside for testing, None if that is not known.
    """
    answer = next((profile for profile in profiles if profile.name == target), None)
    inputs = [profile for profile in profiles if profile is not answer and not profile.is_identifier]
    if not inputs:
        return []
    rows = inputs[0].column.rows
    groups = [
        [rows[index] for index in indices] for indices in equal_rows(list(zip(*map(_compared, inputs), strict=True)))
    ]
    answers = dict(zip(rows, answer.column.cells, strict=True)) if answer is not None else {}
    return list(_findings(groups, answers, set(test_rows or ())))


def _compared(profile: Profile) -> list[str]:
    """The cells of a column as they are compared."""
    if profile.kind != "numbers":
        return profile.column.cells
    return [str(value) for value in rounded(profile.values).tolist()]


def _findings(groups: Sequence[list[int]], answers: Mapping[int, str], test: set[int]) -> Iterator[Finding]:
    shared = [group for group in groups if 0 < len(test.intersection(group)) < len(group)]
    if shared:
        what = "the same or nearly the same in training and test, which makes the test too easy"
        yield Finding(_rows(shared), what, "remove one of each")
    at_odds = [group for group in groups if len({answers[row] for row in group if row in answers}) > 1]
    if at_odds:
        yield Finding(_rows(at_odds), "the same inputs with different targets", "check the targets")
    rest = [group for group in groups if group not in shared and group not in at_odds]
    if rest:
        yield Finding(_rows(rest), "the same or nearly the same", "remove one of each if they are copies")


def _rows(groups: Sequence[list[int]]) -> str:
    """`rows 3 and 9, 4 and 8, and 2 more such groups`."""
    shown = [
        " and ".join(map(str, group[:_SHOWN_OF_A_GROUP])) + (" and more" if len(group) > _SHOWN_OF_A_GROUP else "")
        for group in groups[:SHOWN]
    ]
    rest = len(groups) - SHOWN
    return "rows " + ", ".join(shown) + (f", and {rest:,} more such groups" if rest > 0 else "")
