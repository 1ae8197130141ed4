"""A student's notes: Markdown turned into HTML of which every tag is one of a short list, and nothing loads from elsewhere.

Raw HTML is shown as text, a link as its text with the address behind it, a picture as its description.
"""

import html
from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Any

from markupsafe import Markup

from dlcourse.pages.characters import visible

_TAGS = {
    *("p", "em", "strong", "code", "pre", "blockquote", "ul", "ol", "li", "br", "hr"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
_EMPTY = {"br", "hr"}
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_SHOWN_ADDRESSES = ("https://", "http://", "mailto:")
_DEEPEST = 6


def to_html(text: str, below: int = 2) -> Markup:
    """The notes as HTML to be put below a heading of the level `below`: theirs begin one level deeper and leave none out."""
    import markdown
    from markdown.extensions.fenced_code import FencedCodeExtension
    from markdown.extensions.sane_lists import SaneListExtension
    from markdown.extensions.tables import TableExtension

    reader: Any = markdown.Markdown(extensions=[FencedCodeExtension(), SaneListExtension(), TableExtension()])
    reader.preprocessors.deregister("html_block")
    for name in ("html", "entity"):
        reader.inlinePatterns.deregister(name)
    cleaner = _Cleaner(below)
    cleaner.feed(reader.convert(visible(text)))
    cleaner.close()
    return Markup("".join([*cleaner.pieces, *(f"</{tag}>" for tag in reversed(cleaner.open))]))  # noqa: S704 - the cleaner has let nothing through but its own tags


class _Cleaner(HTMLParser):
    """Writes HTML again: the tags of the list without their attributes, and all text escaped."""

    def __init__(self, below: int) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._below = self._level = below
        self.open: list[str] = []
        self._address = ""

    def handle_starttag(self, tag: str, attributes: Sequence[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if tag == "img":
            self.handle_data(f"[picture: {given.get('alt') or given.get('src') or ''}]")
        elif tag == "a":
            self._address = str(given.get("href") or "")
        elif tag in _HEADINGS:
            wanted = self._below + _HEADINGS.index(tag) + 1
            self._level = min(wanted, self._level + 1, _DEEPEST)
            self._begin(f"h{self._level}", tag)
        elif tag in _EMPTY:
            self.pieces.append(f"<{tag}>")
        elif tag in _TAGS:
            self._begin(tag, tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            if self._address.startswith(_SHOWN_ADDRESSES) and not "".join(self.pieces[-1:]).endswith(
                html.escape(self._address)
            ):
                self.handle_data(f" ({self._address})")
            self._address = ""
        elif (tag in _TAGS or tag in _HEADINGS) and self.open:
            self.pieces.append(f"</{self.open.pop()}>")

    def handle_data(self, data: str) -> None:
        self.pieces.append(html.escape(data))

    def _begin(self, written: str, tag: str) -> None:
        scope = ' scope="col"' if tag == "th" else ""
        self.pieces.append(f"<{written}{scope}>")
        self.open.append(written)
