"""HTML tables for notebooks: plain, and nothing of a stranger's in them is taken for markup."""

from dlcourse.html_table import html_table


def cells(html: str) -> list[str]:
    return [part.partition("<")[0] for part in html.split('left">')[1:]]


def test_a_head_stands_above_the_rows_or_at_their_beginning() -> None:
    above = html_table([["a", "1"], ["b", "2"]], ["name", "number"])
    assert cells(above) == ["name", "number", "a", "1", "b", "2"]
    assert above.count("<tr>") == 3 and above.count("<th ") == 2 and above.count("<td ") == 4
    beside = html_table([["name", "a"], ["number", "1"]])
    assert cells(beside) == ["name", "a", "number", "1"]
    assert beside.count("<th ") == 2 and beside.count("<td ") == 2 and "<thead>" not in beside
    assert html_table([], ["name"]).count("<tr>") == 1


def test_nothing_in_a_cell_is_markup_or_obeyed() -> None:
    html = html_table([["<script>alert('x')</script>", 'a"b&c', "\x1b[2Jx\ny\u202e"]], ["<b>"])
    assert "<script" not in html and "<b>" not in html
    assert "&lt;script&gt;alert(&#x27;x&#x27;)" in html and "a&quot;b&amp;c" in html
    assert "\\x1b[2Jx\\ny\\u202e" in html and "\x1b" not in html and "\u202e" not in html
