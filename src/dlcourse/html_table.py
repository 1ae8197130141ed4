"""A table as HTML, which a notebook shows in place of text; its cells may come from files of strangers."""

from collections.abc import Iterable, Sequence
from html import escape

from dlcourse.terminal import escaped


def html_table(rows: Iterable[Sequence[str]], head: Sequence[str] = ()) -> str:
    """Rows of plain text under a head, or without one the first cell of each row as its head."""
    lines = [f"<thead>{_row(head, heads=len(head))}</thead>"] if head else []
    lines += [_row(row, heads=0 if head else 1) for row in rows]
    return "\n".join(["<table>", *lines, "</table>"])


def _row(cells: Sequence[str], *, heads: int) -> str:
    """The cells, of which the first `heads` are heads."""
    tags = ("th" if place < heads else "td" for place in range(len(cells)))
    written = (f'<{tag} style="text-align: left">{_shown(cell)}</{tag}>' for tag, cell in zip(tags, cells, strict=True))
    return f"<tr>{''.join(written)}</tr>"


def _shown(text: str) -> str:
    """The text in one line, none of it taken for markup or obeyed."""
    return escape(escaped(text, one_line=True))
