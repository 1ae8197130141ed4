"""What is wrong with a page: against HTML's grammar, for readers who do not see, and for those who are offline."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import html5lib

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_ADDRESSES = ("src", "href", "srcset", "action", "poster", "data", "background", "cite", "ping", "xlink:href")
_NEVER = ("script", "iframe", "object", "embed", "form", "input", "video", "audio", "base", "svg", "math", "template")


def parsed(content: bytes) -> Any:
    """The tree of a page that has no error of grammar, the first of which is raised."""
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    return parser.parse(content.decode(), scripting=False)


def problems(content: bytes) -> list[str]:
    """Every mistake that is found, none for a page as it should be."""
    tree = parsed(content)
    return [
        *_structure(tree),
        *_accessibility(tree),
        *_requests(tree, content.decode()),
    ]


def text_of(element: Any) -> str:
    """What a reader sees of an element."""
    return " ".join("".join(element.itertext()).split())


def sections(content: bytes) -> dict[str, str]:
    """The text of each section by its id."""
    return {section.get("id"): text_of(section) for section in parsed(content).iter("section")}


def rows(content: bytes, caption: str) -> list[list[str]]:
    """The cells of the table with this caption, its head first."""
    (table,) = (table for table in parsed(content).iter("table") if text_of(table.find("caption")) == caption)
    return [[text_of(cell) for cell in row] for row in table.iter("tr")]


def _structure(tree: Any) -> Iterator[str]:
    if tree.get("lang") != "en":
        yield "no language"
    ids = Counter(element.get("id") for element in tree.iter() if element.get("id"))
    yield from (f"id {name} {count} times" for name, count in ids.items() if count > 1)
    for element in tree.iter("a"):
        if element.get("href", "").removeprefix("#") not in ids:
            yield f"link to {element.get('href')}"
    for name in ("h1", "title", "main", "header", "footer"):
        if (count := len(list(tree.iter(name)))) != 1:
            yield f"{name} {count} times"
    for name in _NEVER:
        if list(tree.iter(name)):
            yield f"<{name}>"


def _accessibility(tree: Any) -> Iterator[str]:
    before = 0
    for element in tree.iter():
        if element.tag in _HEADINGS:
            level = _HEADINGS[element.tag]
            if level > before + 1 or not text_of(element):
                yield f"<{element.tag}> {text_of(element)!r} behind a heading of level {before}"
            before = level
        if element.tag == "img" and not element.get("alt"):
            yield "a picture without a description"
        if element.tag == "th" and element.get("scope") not in ("row", "col"):
            yield f"<th> {text_of(element)!r} without scope"


def _requests(tree: Any, text: str) -> Iterator[str]:
    """What could make a browser ask for something: the policy forbids it, and there is nothing of that kind anyway."""
    policies = [element.get("content") for element in tree.iter("meta") if element.get("http-equiv")]
    if policies != [POLICY]:
        yield f"policy {policies}"
    for element in tree.iter():
        for name, value in element.attrib.items() if isinstance(element.tag, str) else ():
            if name in _ADDRESSES and not value.startswith(("data:image/png;base64,", "#")) and value != "data:,":
                yield f"<{element.tag} {name}={value[:60]!r}>"
            if name.startswith("on"):
                yield f"<{element.tag} {name}>"
    yield from re.findall(r"url\([^)]*\)|@import", "".join(style.text or "" for style in tree.iter("style")))
    if re.search(r"<(?!/?[a-z!])", re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)):
        yield "a bare <"
