"""From what a page shows to its HTML: Jinja2 templates that escape whatever is put into them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from dlcourse import __version__
from dlcourse.pages.characters import visible
from dlcourse.pages.figures import fitting
from dlcourse.pages.notes import to_html
from dlcourse.pages.parts import About, Figure
from dlcourse.pages.run_page import RunPage
from dlcourse.pages.sweep_page import SweepPage

MOST_BYTES = 5_000_000
"""Of a page, which can then be sent by mail."""
_FOR_PICTURES = 4_000_000
"""What is left has room for the longest tables and texts."""


def render_run(page: RunPage, about: About) -> bytes:
    """The page of a run as the content of an HTML file."""
    groups = {
        "examples": page.examples.images,
        "curves": page.curves,
        "mistakes": page.mistakes,
        "pictures": page.pictures,
        "progress": page.progress,
    }
    return _render("run.html.j2", page, about, groups)


def render_sweep(page: SweepPage, about: About) -> bytes:
    """The page of a sweep as the content of an HTML file."""
    return _render("sweep.html.j2", page, about, {"pictures": page.pictures})


def _render(template: str, page: object, about: About, groups: Mapping[str, Sequence[Figure]]) -> bytes:
    kept = iter(fitting([figure for group in groups.values() for figure in group], _FOR_PICTURES))
    fitted = {name: [(figure, next(kept)) for figure in group] for name, group in groups.items()}
    html = (
        environment()
        .get_template(template)
        .render(
            page=page,
            about=about,
            notes=to_html(about.notes),
            left_out=[before.file for pairs in fitted.values() for before, after in pairs if after is None],
            version=__version__,
            **{name: [after for _, after in pairs if after is not None] for name, pairs in fitted.items()},
        )
    )
    return html.encode()


def environment(package: str = "dlcourse.pages") -> Environment:
    """Where templates come from, the `templates` of a package, and how what is put into them is escaped."""
    templates = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters["lines"] = _lines
    templates.filters["words"] = _words
    return templates


def _finalized(value: Any) -> Any:
    """What is put into a template, before it is escaped: no character that HTML may not hold, whoever wrote it."""
    return value if isinstance(value, Markup) else visible(str(value), one_line=True)


def _lines(text: str) -> Markup:
    """A text of several lines, for a <pre>."""
    return Markup("\n") + escape(visible(text))  # of which HTML drops the first line feed


def _words(command: str) -> Markup:
    """A command that may break between its words only."""
    return Markup(" ").join(_unbroken(command))


def _unbroken(command: str) -> Iterator[Markup]:
    for word in visible(command, one_line=True).split(" "):
        yield Markup("<span>{}</span>").format(word)
