"""What is odd about the columns of a table: gaps, dates, commas, names, what never changes, what gives the answer away."""

from collections.abc import Iterator, Sequence

import numpy as np

from dlcourse.data.checks.columns import Profile
from dlcourse.data.checks.finding import Finding, some
from dlcourse.data.csv_file import MAX_SELDOM_REPEATED, drop_word
from dlcourse.text_table import counted

_SAME = 0.9999
"""From this correlation on a column is the target in other units."""


def check_columns(profiles: Sequence[Profile], target: str | None) -> list[Finding]:
    """All that is odd about the columns, one by one and with each other; `target` is the one to predict."""
    answer = next((profile for profile in profiles if profile.name == target), None)
    inputs = [profile for profile in profiles if profile is not answer]
    found = [finding for profile in inputs for finding in _check_input(profile)]
    if answer is not None:
        found += _check_target(answer)
        found += [finding for profile in inputs for finding in _gives_away(profile, answer)]
    return [*found, *_twins(inputs)]


def _check_input(profile: Profile) -> Iterator[Finding]:
    column, leave_out, out = f"column '{profile.name}'", f"leave it out: {_dropped(profile)}", _drop(profile)
    if not profile.name:
        yield Finding("a column without a name", "a row index, probably", leave_out, True, out)
        return
    if profile.kind == "empty":
        yield Finding(column, "no value in any row", leave_out, True, out)
        return
    if rows := profile.missing_rows:
        remedy = f"write data.missing=drop (leaves out the rows), data.missing=mean, or {_dropped(profile)}"
        yield Finding(column, _gaps(rows), remedy, True, (("missing", "mean"),))
    if profile.distinct == 1:
        yield Finding(column, f"the same value in every row, '{profile.known.cells[0]}'", leave_out)
    elif profile.kind == "dates":
        what = f"dates, such as '{profile.known.cells[0]}', which would become {profile.distinct:,} features of 0 and 1"
        blocks = _is_refused(profile)
        yield Finding(column, what, f"write numbers, such as days, or {leave_out}", blocks, out if blocks else ())
    elif profile.is_row_number:
        yield Finding(column, "row numbers, which predict nothing for new rows", leave_out)
    elif profile.kind == "text" and _is_refused(profile):
        yield Finding(column, _names(profile), leave_out, True, out)
    yield from _check_cells(profile, column)


def _check_target(profile: Profile) -> Iterator[Finding]:
    column = f"column '{profile.name}' (the target)"
    if profile.distinct < 2:
        yield Finding(column, "fewer than two different values", "choose another data.target", True)
    if rows := profile.missing_rows:
        remedy = "write data.missing=drop, which leaves out the rows"
        yield Finding(column, _gaps(rows), remedy, True, (("missing", "drop"),))
    yield from _check_cells(profile, column)


def _check_cells(profile: Profile, column: str) -> Iterator[Finding]:
    """Cells that do not fit the others of their column."""
    known, others = profile.known, profile.no_numbers
    if profile.kind == "numbers with commas":
        what = f"{counted(len(others), 'number')} with a comma, such as {_cell(profile, others[0])}"
        yield Finding(column, what, "write 1250 in place of 1,250, and 1.25 in place of 1,25", True)
    if profile.kind == "numbers and text":
        what = f"{counted(len(others), 'cell')} of text among numbers, such as {_cell(profile, others[0])}"
        yield Finding(column, what, "correct or empty these cells", True)
    if profile.too_large and profile.kind != "text":
        what = f"numbers too large for 32-bit floats, such as {_cell(profile, profile.too_large[0])}"
        yield Finding(column, what, "correct or empty these cells", True)
    if profile.kind == "text":
        spelled: dict[str, set[str]] = {}
        for cell in known.cells:
            spelled.setdefault(" ".join(cell.casefold().split()), set()).add(cell)
        several = [" and ".join(f"'{cell}'" for cell in sorted(cells)) for cells in spelled.values() if len(cells) > 1]
        if several:
            yield Finding(column, f"values that differ only in case or spaces: {some(several)}", "use one spelling")


def _gives_away(profile: Profile, answer: Profile) -> Iterator[Finding]:
    """A column that is the target, by another name or in other units."""
    if not profile.name or min(profile.distinct, answer.distinct) < 2:
        return
    if profile.column.cells == answer.column.cells:
        same = "the same as"
    elif _is_scaled(profile, answer):
        same = "in proportion to"
    elif _is_renamed(profile, answer):
        same = "another name for"
    else:
        return
    what = f"{same} the target '{answer.name}', which leaves nothing to predict"
    yield Finding(f"column '{profile.name}'", what, f"leave it out: {_dropped(profile)}")


def _is_scaled(profile: Profile, answer: Profile) -> bool:
    """Whether numbers are the target's times a factor plus an offset, up to rounding."""
    if not profile.kind == answer.kind == "numbers" or answer.distinct <= 2:
        return False
    both = np.isfinite(profile.values) & np.isfinite(answer.values)
    first, second = profile.values[both], answer.values[both]
    if len(first) < 3 or not (np.ptp(first) and np.ptp(second)):
        return False
    return abs(float(np.corrcoef(first, second)[0, 1])) > _SAME


def _is_renamed(profile: Profile, answer: Profile) -> bool:
    """Whether each value of text comes with one value of the target only, and the other way round."""
    if profile.kind != "text" or profile.distinct == len(profile.known.cells):
        return False
    pairs = set(zip(profile.column.cells, answer.column.cells, strict=True))
    return len(pairs) == len({first for first, _ in pairs}) == len({second for _, second in pairs})


def _twins(inputs: Sequence[Profile]) -> Iterator[Finding]:
    """Columns that hold the same as an earlier one."""
    first: dict[tuple[str, ...], Profile] = {}
    for profile in inputs:
        twin = first.setdefault(tuple(profile.column.cells), profile)
        if twin is not profile and profile.distinct > 1:
            what = f"the same as column '{twin.name}'"
            yield Finding(f"column '{profile.name}'", what, f"leave one out: {_dropped(profile)}")


def _is_refused(profile: Profile) -> bool:
    """Whether `dlcourse train` refuses a column of text for its many values."""
    return profile.distinct > max(MAX_SELDOM_REPEATED, len(profile.known.cells) / 2)


def _names(profile: Profile) -> str:
    count = len(profile.known.cells)
    if profile.distinct == count:
        return "a different text in every row: names, which predict nothing for new rows"
    return f"{profile.distinct:,} different texts in {count:,} rows: names, probably"


def _gaps(rows: Sequence[int]) -> str:
    place = "row" if len(rows) == 1 else "rows"
    return f"{counted(len(rows), 'missing value')}, in {place} {some([str(row) for row in rows])}"


def _cell(profile: Profile, index: int) -> str:
    return f"'{profile.known.cells[index]}' in row {profile.known.rows[index]}"


def _drop(profile: Profile) -> tuple[tuple[str, str], ...]:
    return (("drop", profile.name),)


def _dropped(profile: Profile) -> str:
    return drop_word(profile.name)
