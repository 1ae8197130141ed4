"""Numbers and tables as text."""

from collections.abc import Container, Sequence


def aligned(rows: Sequence[Sequence[str]], *, left: Container[int] = (0,)) -> list[str]:
    """A line for each row: the columns numbered in `left` begin at the same place, the others, of numbers, end there."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(_padded(row, widths, left)).rstrip() for row in rows]


def _padded(row: Sequence[str], widths: Sequence[int], left: Container[int]) -> list[str]:
    return [
        cell.ljust(width) if column in left else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]


def markdown(rows: Sequence[Sequence[str]], *, left: Container[int] = (0,)) -> list[str]:
    """The lines of the same table in Markdown, its first row the head."""
    head, *rest = ([cell.replace("|", "\\|") for cell in row] for row in rows)
    rule = ["---" if column in left else "--:" for column in range(len(head))]
    return [f"| {' | '.join(cells)} |" for cells in (head, rule, *rest)]


def counted(count: int, noun: str) -> str:
    """`1 epoch`, `1,000 epochs`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
