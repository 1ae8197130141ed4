"""The book of the lectures: a page for each figure and one with the contents, in English or Japanese, or all in one file."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dlcourse import __version__
from dlcourse.pages.figures import smaller
from dlcourse.pages.parts import Figure, Table
from dlcourse.pages.render import environment

Language = Literal["en", "ja"]
LANGUAGES: tuple[Language, ...] = ("en", "ja")

WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "book": "The lectures as commands",
        "contents": "Contents",
        "numbers": "Numbers",
        "number": "number",
        "measured": "measured",
        "known": "known",
        "source": "source",
        "holds": "holds",
        "yes": "yes",
        "no": "no",
        "command": "Command",
        "runs": "Runs behind the figure",
        "no_runs": "No run stands behind this figure: it is computed when it is drawn.",
        "missing": "Not made yet",
        "before": "before",
        "next": "next",
        "other": "日本語",
        "made": "Made by dlcourse",
    },
    "ja": {
        "book": "コマンドで学ぶ講義",
        "contents": "目次",
        "numbers": "数値",
        "number": "量",
        "measured": "測定値",
        "known": "既知の値",
        "source": "出典",
        "holds": "一致",
        "yes": "○",
        "no": "✗",
        "command": "コマンド",
        "runs": "もとになった学習",
        "no_runs": "この図は描くときに計算され、もとになる学習はない。",
        "missing": "まだ作られていない図",
        "before": "前",
        "next": "次",
        "other": "English",
        "made": "作成: dlcourse",
    },
}
"""What the book says besides the figures' own words."""


@dataclass(frozen=True)
class Number:
    """A number of a figure beside its band."""

    name: str
    measured: str
    known: str
    source: str
    holds: bool


@dataclass(frozen=True)
class FigurePage:
    """What the book shows of a figure: titles and texts by language, pictures, numbers, and the commands that make it."""

    name: str
    items: tuple[str, ...]
    titles: Mapping[Language, str]
    texts: Mapping[Language, str]
    figures: tuple[Figure, ...]
    numbers: tuple[Number, ...]
    command: str
    runs: tuple[str, ...]

    def table(self, language: Language) -> Table:
        """Its numbers as a table."""
        words = WORDS[language]
        head = [words[name] for name in ("number", "measured", "known", "source", "holds")]
        rows = [
            [each.name, each.measured, each.known, each.source, words["yes" if each.holds else "no"]]
            for each in self.numbers
        ]
        return Table.of(words["numbers"], head, rows, words=(0, 3, 4))


@dataclass(frozen=True)
class Book:
    """All figures that are made, in order; the title of each lecture by its letter; and the figures that are not made.

    Titles are by language.
    """

    pages: tuple[FigurePage, ...]
    lectures: Mapping[str, Mapping[Language, str]]
    missing: tuple[str, ...]

    def of(self, letter: str) -> list[FigurePage]:
        """The figures whose first item is of this lecture."""
        return [page for page in self.pages if page.items[0][0] == letter]


def file_name(name: str, language: Language) -> str:
    """`index.html`, `index.ja.html`."""
    return f"{name}.html" if language == "en" else f"{name}.{language}.html"


def site(book: Book) -> Iterator[tuple[str, bytes]]:
    """The files of the book, each with its content: the contents and a page for each figure, in both languages."""
    shrunk = {page.name: [smaller(figure) for figure in page.figures] for page in book.pages}
    for language in LANGUAGES:
        yield file_name("index", language), _render("book_index.html.j2", language, book=book)
        for place, page in enumerate(book.pages):
            around = {
                "before": book.pages[place - 1] if place else None,
                "following": book.pages[place + 1] if place + 1 < len(book.pages) else None,
            }
            figures = shrunk[page.name]
            content = _render("book_page.html.j2", language, page=page, figures=figures, **around)
            yield file_name(page.name, language), content


def single(book: Book, language: Language) -> bytes:
    """The whole book in one file: its words in both languages, those around them in one."""
    figures = {page.name: [smaller(figure) for figure in page.figures] for page in book.pages}
    return _render("book_single.html.j2", language, book=book, figures=figures)


def _render(template: str, language: Language, **values: Any) -> bytes:
    other: Language = "ja" if language == "en" else "en"
    text = (
        environment()
        .get_template(template)
        .render(
            language=language, other=other, words=WORDS[language], file_name=file_name, version=__version__, **values
        )
    )
    return text.encode()
