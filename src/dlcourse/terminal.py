"""Standard output and error as devices: what may be written to them, how wide they are, and whether they show styles.

Names come from files of strangers: of classes, columns, options, runs. A terminal obeys some characters instead of showing
them, so that such a name could clear the screen, set its title or hide a line. Within `guarded` every character of that
kind is shown as an escape, whoever prints it, and so is what the stream's encoding lacks.
"""

import contextlib
import io
import os
import re
import secrets
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any, Literal, TextIO, cast

Style = Literal["bold", "dim", "red", "green"]

_USUAL_WIDTH = 80
_CODES: dict[Style, int] = {"bold": 1, "dim": 2, "red": 31, "green": 32}
# A style of ours stands in the text behind this key, drawn anew in each process: no text from a file can pass for one.
_KEY = secrets.token_hex(8)
# C0 without tab and newline, DEL and C1; separators of lines; characters that turn the direction of writing.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_SPECIAL = re.compile(f"\x1b{_KEY}(?P<style>[0-9]+)m|{_CONTROL.pattern}")


class _Guarded:
    """A stream that shows control characters as escapes, and passes our own styles on; `unguarded` is the one below."""

    def __init__(self, stream: TextIO) -> None:
        self.unguarded = stream
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        self.unguarded.write(_SPECIAL.sub(_shown, text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unguarded, name)


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Within this, standard output and error are guarded; text files are not touched."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (_guard(stream) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _guard(stream: TextIO) -> TextIO:
    return stream if isinstance(stream, _Guarded) else cast(TextIO, _Guarded(stream))


def unguarded(stream: TextIO) -> TextIO:
    """The stream itself, for a progress bar, which moves the cursor; nothing from a file may be written to it."""
    return stream.unguarded if isinstance(stream, _Guarded) else stream


def escaped(text: str, *, one_line: bool = False) -> str:
    """The text with control characters shown as in Python's source; newlines and tabs stay, unless it is to be one line."""
    text = _CONTROL.sub(lambda found: _escape(found[0]), text)
    return text.replace("\n", "\\n").replace("\t", "\\t") if one_line else text


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def _shown(found: re.Match[str]) -> str:
    return f"\x1b[{found['style']}m" if found["style"] else _escape(found[0])


def styled(text: str, *styles: Style, stream: TextIO | None = None) -> str:
    """The text in these styles if the stream, by default standard output, is guarded and shows styles."""
    if not shows_styles(sys.stdout if stream is None else stream):
        return text
    return "".join(f"\x1b{_KEY}{code}m" for code in [_CODES[style] for style in styles]) + f"{text}\x1b{_KEY}0m"


def shows_styles(stream: TextIO) -> bool:
    """Whether styles are wanted: on a terminal, unless NO_COLOR is set or TERM is dumb; elsewhere if FORCE_COLOR is."""
    if not isinstance(stream, _Guarded) or os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def width() -> int:
    """The columns of the terminal, or what COLUMNS says; 80 where the output goes elsewhere."""
    return shutil.get_terminal_size((_USUAL_WIDTH, 24)).columns


def folded(line: str, columns: int, indent: int | None = None) -> list[str]:
    """The line in pieces no wider than `columns`: broken where two blanks or more part it, else between words.

    The later pieces stand behind `indent` blanks, by default below the second column, as in a table of flags and their
    meanings. A word that is wider stays whole.
    """
    pieces, rest = [], line
    while len(rest) > columns:
        start = len(rest) - len(rest.lstrip())
        end = rest.rfind("  ", start, columns + 2)
        if end < columns // 2:
            end = rest.rfind(" ", start, columns + 1)
        if end < 0:
            end = rest.find(" ", columns)
        if end < 0:
            break
        pieces.append(rest[:end].rstrip())
        rest = " " * (_second_column(line, columns // 2) if indent is None else indent) + rest[end:].lstrip()
    return [*pieces, rest]


def fitted(line: str, before: int = 0, indent: int | None = None) -> list[str]:
    """The line folded behind `before` columns of a terminal. What reads a pipe reads line by line, and gets it whole."""
    return folded(line, max(width() - before, 20), indent) if sys.stdout.isatty() else [line]


def _second_column(line: str, most: int) -> int:
    """Where the second column of a line begins; the depth of the line where it has none, or it begins behind `most`."""
    first = re.match(r" *\S+(?: \S+)* {2,}(?=\S)", line)
    return first.end() if first and first.end() <= most else len(line) - len(line.lstrip()) + 2


def print_help(text: str, stream: TextIO | None = None) -> None:
    """Print lines folded to the terminal."""
    print("\n".join(piece for line in text.splitlines() for piece in folded(line, width())), file=stream)


@contextlib.contextmanager
def folded_output() -> Iterator[None]:
    """Within this, what is printed is kept, and in the end printed folded to the terminal: for help of libraries."""
    text = io.StringIO()
    try:
        with contextlib.redirect_stdout(text):
            yield
    finally:
        print_help(text.getvalue().rstrip("\n"))


def wrapped(text: str, columns: int, indent: int, first: str | None = None) -> list[str]:
    """The text in lines of at most `columns` behind `indent` blanks, or behind `first` in the first line."""
    blanks = " " * indent
    return textwrap.wrap(
        text,
        max(columns, indent + 20),
        initial_indent=blanks if first is None else first,
        subsequent_indent=blanks,
        break_long_words=False,
        break_on_hyphens=False,
    ) or ([first.rstrip()] if first else [])
