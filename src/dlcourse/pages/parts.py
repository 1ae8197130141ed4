"""What pages are made of: tables, pictures and texts as plain data, cut to what a page has room for."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

_LONGEST_CELL, _MOST_ROWS, _MOST_COLUMNS = 120, 250, 40
"""A table of a real run has fewer; that of a stranger must not fill the page."""
_LONGEST_TEXT = 12_000
"""Characters."""


@dataclass(frozen=True)
class Table:
    """Cells of plain text below a head; those in the columns numbered in `numbers` are set to the right."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[int] = frozenset()
    note: str = ""

    @classmethod
    def of(
        cls,
        caption: str,
        head: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        words: Sequence[int] = (0,),
        note: str = "",
    ) -> "Table":
        """A table of numbers but for the columns numbered in `words`; what is too long is cut."""
        numbers = frozenset(range(len(head))) - set(words)
        cut = tuple(tuple(shortened(cell) for cell in row[:_MOST_COLUMNS]) for row in rows[:_MOST_ROWS])
        return cls(caption, tuple(shortened(name) for name in head[:_MOST_COLUMNS]), cut, numbers, note)


@dataclass(frozen=True)
class Figure:
    """A picture: the content of its PNG file, its size in pixels, and what is told of it."""

    file: str
    title: str
    alt: str
    caption: str
    content: bytes
    width: int
    height: int

    @property
    def uri(self) -> str:
        """The picture itself, as an address that needs no network."""
        return f"data:image/png;base64,{base64.b64encode(self.content).decode()}"

    @property
    def bytes_in_page(self) -> int:
        """How much of a page it takes."""
        return 4 * -(-len(self.content) // 3)


@dataclass(frozen=True)
class Text:
    """A text in letters of one width, and the file that has the whole of it."""

    title: str
    file: str
    content: str

    @classmethod
    def of(cls, title: str, file: str, content: str) -> "Text":
        """The text, cut with a line that says where the rest is."""
        content = content.strip("\n")
        if len(content) > _LONGEST_TEXT:
            content = f"{content[:_LONGEST_TEXT]}\n... and {len(content) - _LONGEST_TEXT:,} characters more in {file}"
        return cls(title, file, content)


@dataclass(frozen=True)
class Fact:
    """A short value under its name, such as a number that was reached, and what it is to be read with."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class About:
    """What a user gives for the page: a title in place of the run's name, an author, and notes in Markdown."""

    title: str = ""
    author: str = ""
    notes: str = ""


def shortened(text: str, most: int = _LONGEST_CELL) -> str:
    """The text as long as there is room for it, by default in a cell of a table."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
