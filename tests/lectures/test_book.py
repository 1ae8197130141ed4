"""The book: whole pages in both languages that need no network, whose links lead somewhere."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dlcourse.cli.main import main
from dlcourse.lectures.book import book_of
from dlcourse.lectures.drawing import read_drawn
from dlcourse.lectures.entry import read_lecture
from dlcourse.pages.book import WORDS, single, site
from html_page import parsed, text_of
from own_figure import write_figure


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which the figure of own_figure.py is made."""
    folder = tmp_path_factory.mktemp("book")
    write_figure(folder / "conf")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["lecture", "mine", "--config-dir", "conf", "--lang", "en"]) == 0
        yield folder


def address_of(link: object) -> str:
    return link.get("href")  # type: ignore[attr-defined, no-any-return]


def test_the_site_is_whole_in_both_languages(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lecture", "--book", "site", "--config-dir", "conf"]) == 0
    assert "1 figure" in capsys.readouterr().out
    files = {path.name: path.read_bytes() for path in (folder / "site").iterdir()}
    assert set(files) == {"index.html", "index.ja.html", "mine.html", "mine.ja.html"}
    for name, content in files.items():
        tree = parsed(content)
        assert tree.get("lang") == ("ja" if name.endswith(".ja.html") else "en")
        assert len(list(tree.iter("h1"))) == 1
        for link in tree.iter("a"):
            assert address_of(link) in files
        for image in tree.iter("img"):
            assert image.get("src").startswith("data:image/png;base64,") and image.get("alt")
        assert b"http" not in content.replace(b"http-equiv", b"")
    numbers = read_drawn(folder / "outputs/lectures/mine").numbers
    percent = f"{100 * numbers['optimizer.lr=0.1 test/accuracy']:.1f} %"
    assert f"It is {percent}." in text_of(parsed(files["mine.html"]))
    assert f"正解率 {percent} である。" in text_of(parsed(files["mine.ja.html"]))
    page = text_of(parsed(files["mine.html"]))
    assert "dlcourse lecture mine" in page and "dlcourse train data=iris" in page and "60 to 100 %" in page
    assert "learning_rates" in text_of(parsed(files["index.html"])), "what is not made is named"


def test_one_file_has_both_languages(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lecture", "--book", "book.html", "--single", "--config-dir", "conf", "--lang", "ja"]) == 0
    capsys.readouterr()
    tree = parsed((folder / "book.html").read_bytes())
    ids = {element.get("id") for element in tree.iter() if element.get("id")}
    assert all(address_of(link).removeprefix("#") in ids for link in tree.iter("a"))
    text = text_of(tree)
    assert "It is" in text and "正解率" in text and WORDS["ja"]["source"] in text


def test_both_languages_have_the_same_words() -> None:
    assert set(WORDS["en"]) == set(WORDS["ja"])


def test_strangers_words_are_escaped(folder: Path) -> None:
    path = folder / "conf/lecture/mine.yaml"
    lecture = read_lecture(path)
    object.__setattr__(lecture.title, "en", "<script>alert(1)</script>")
    book = book_of([lecture], folder / "outputs/lectures")
    for content in (*dict(site(book)).values(), single(book, "en")):
        assert b"<script" not in content


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--book", "conf"], "--book conf exists already; name a new folder"),
        (["--single"], "--single needs a file"),
        (["--book", "x", "--single"], "--book x must end in .html with --single"),
        (["A8", "--book", "x"], "no figure is made in"),
    ],
)
def test_a_place_that_is_taken_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert main(["lecture", *words, "--config-dir", "conf"]) == 2
    assert says in capsys.readouterr().err
    assert not (folder / "x").exists()
