"""Notes: Markdown as students write it, and nothing of what a stranger's text could do to a page."""

import pytest

from dlcourse.pages import characters
from dlcourse.pages.notes import to_html
from html_page import parsed


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("One *two* **three** `four < 5`", "<p>One <em>two</em> <strong>three</strong> <code>four &lt; 5</code></p>"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>"),
        ("```\nx = '<b>'\n```", "<pre><code>x = &#x27;&lt;b&gt;&#x27;\n</code></pre>"),
        ("a & b &amp; c &lt;b>", "<p>a &amp; b &amp; c &lt;b&gt;</p>"),
        ("", ""),
        ("学生 é", "<p>学生 é</p>"),
    ],
)
def test_what_students_write(text: str, html: str) -> None:
    assert to_html(text) == html


def test_tables_have_heads_with_a_scope() -> None:
    html = to_html("| lr | accuracy |\n|---|---:|\n| 0.1 | 97 % |")
    assert '<th scope="col">lr</th>' in html and "<td>97 %</td>" in html and "style" not in html


def test_headings_begin_below_that_of_the_section_and_leave_out_no_level() -> None:
    assert to_html("# A\n\n### B\n\n# C\n\n## D") == "<h3>A</h3>\n<h4>B</h4>\n<h3>C</h3>\n<h4>D</h4>"
    assert to_html("###### Deep") == "<h3>Deep</h3>"
    assert "<h6>" in to_html("\n\n".join(f"{'#' * level} x" for level in range(1, 7)))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[paper](https://arxiv.org/abs/1)", "paper (https://arxiv.org/abs/1)"),
        ("<https://arxiv.org>", "https://arxiv.org"),
        ("[mail](mailto:a@b.c)", "mail (mailto:a@b.c)"),
        ("[x](javascript:alert(1))", "x"),
        ("[x](JaVaScRiPt:alert(1))", "x"),
        ("[x](data:text/html,<script>alert(1)</script>)", "x"),
        ("![a plot](https://example.org/a.png)", "[picture: a plot]"),
        ("![](file:///etc/passwd)", "[picture: file:///etc/passwd]"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("text <img src=x onerror=alert(1)> text", "text <img src=x onerror=alert(1)> text"),
        ("<div onclick='x'>\n\n*a*\n\n</div>", "<div onclick='x'> a </div>"),
        ("<!-- comment -->", "<!-- comment -->"),
        ("<style>@import 'x'</style>", "<style>@import 'x'</style>"),
        ("a\x1b[31mb\u202ec", "a\\x1b[31mb\\u202ec"),
        ("a\x02klzzwxh:0000\x03", "a\\x02klzzwxh:0000\\x03"),
        ("\ufffe \ud800", "\\ufffe \\ud800"),
        ('[x](https://a.b "title" onmouseover=1)', None),
    ],
)
def test_nothing_of_it_loads_links_or_runs(text: str, shown: str | None) -> None:
    html = to_html(text)
    tree = parsed(f"<!DOCTYPE html><html lang=en><head><title>x</title></head><body>{html}</body></html>".encode())
    body = tree.find("body")
    allowed = {"p", "em", "strong", "code", "pre", "ul", "li"}
    assert {element.tag for element in body.iter()} - {"body"} <= allowed
    assert [element.attrib for element in body.iter() if element.attrib] == []
    if shown is not None:
        assert " ".join("".join(body.itertext()).split()) == shown


@pytest.mark.parametrize(
    "text", ["</p></section><script>x</script>", "*" * 500, "[" * 300, "> " * 60, "`" * 301 + "<b>"]
)
def test_tags_are_closed_whatever_comes(text: str) -> None:
    html = to_html(text)
    parsed(f"<!DOCTYPE html><html lang=en><head><title>x</title></head><body>{html}</body></html>".encode())


def test_characters_that_no_page_may_hold_are_shown() -> None:
    assert characters.visible("a\tb\nc\r\x00\x85") == "a\tb\nc\\x0d\\x00\\x85"
    assert characters.visible("a\tb\n", one_line=True) == "a\\tb\\n"
    assert characters.visible("\U0001fffe \ufdd0 😀 é") == "\\U0001fffe \\ufdd0 😀 é"
