"""README.md and docs/ show what the program prints, link to what is there, and are all in the site."""

import re
from pathlib import Path

import pytest
import yaml

from conftest import REPOSITORY
from dlcourse.cli import main
from transcripts import PAGES, comparable, selected, transcripts, written_anew

DOCS = REPOSITORY / "docs"
WITH_OUTPUT = [page for page in PAGES if "```console\n" in page.read_text(encoding="utf-8")]
OTHERS = [REPOSITORY / "CONTRIBUTING.md", REPOSITORY / "CHANGELOG.md"]


def name(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


_LONG = (
    *(
        f"docs/{page}.md"
        for page in ("averaging", "cross-validation", "fine-tuning", "first-run", "own-data", "sweeps")
    ),
    "docs/concepts/determinism.md",
    *(f"docs/commands/{verb}.md" for verb in ("compare", "data", "evaluate", "export", "predict", "report", "rerun")),
    *(f"docs/commands/{verb}.md" for verb in ("resume", "runs", "sample", "summary", "train")),
)
"""Pages whose commands take two seconds and more."""


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=pytest.mark.slow if name(page) in _LONG else ()) for page in WITH_OUTPUT],
    ids=name,
)
def test_a_page_shows_what_its_commands_print(page: Path, tmp_path: Path) -> None:
    found = transcripts(page, tmp_path)
    assert found
    for transcript in found:
        assert comparable(transcript.shown) == comparable(transcript.printed), f"scripts/docs refresh {name(page)}"


def test_every_command_has_a_page_that_shows_it() -> None:
    for name, verb in main.VERBS.items():
        page = DOCS / "commands" / (f"{name}.md" if verb.is_listed else "summary.md")
        assert f"\n$ dlcourse {name}" in page.read_text(encoding="utf-8")


def test_every_page_is_in_the_site_and_every_file_of_the_site_is_there() -> None:
    def files(entries: list) -> list[str]:
        return [
            file
            for entry in entries
            for value in entry.values()
            for file in (files(value) if isinstance(value, list) else [value])
        ]

    listed = files(yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])
    assert sorted(listed) == sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=name)
def test_links_lead_to_files_and_their_headings(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not link.startswith("https://"):
            file, _, heading = link.partition("#")
            target = page.parent / file if file else page
            assert target.is_file(), link
            if heading:
                lines = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
                assert heading in [re.sub(r"[^\w]+", "-", line.lower()).strip("-") for line in lines], link


def test_every_picture_is_shown() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert {path.name for path in (DOCS / "images").iterdir()} == set(re.findall(r"images/([\w.]+)\)", text))


def test_api_pages_name_modules_of_the_package() -> None:
    named = {
        module
        for page in (DOCS / "api").glob("*.md")
        for module in re.findall(r"^::: (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
    for module in named:
        path = REPOSITORY / "src" / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__init__.py").is_file(), module


# The transcripts themselves


def test_lines_are_selected_from_both_ends() -> None:
    text = "a\nb\nc\nd\ne\n"
    assert selected(text, None) == text
    assert selected(text, "1-2, -1") == "a\nb\n...\ne\n"
    assert selected(text, "2, 4-") == "...\nb\n...\nd\ne\n"
    assert selected(text, "1-9") == text


def test_only_numbers_and_times_may_differ() -> None:
    shown = "run    outputs/a/2026-11-25_222001-286e\n    1     1.40 /  91.67 %  1e-05     29.1 ms  best\n"
    other = shown.replace("29.1 ms", "1 min 2 s").replace("1.40", "2.5").replace("286e", "0000")
    assert comparable(shown) == comparable(other)
    assert comparable(shown) != comparable(shown.replace("outputs/a", "outputs/b"))
    assert comparable("loss 1") != comparable("lost 1")


def test_a_page_is_written_anew_only_where_it_is_wrong(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    block = "Text.\n\n```console\n$ {}\n{}```\n"
    page.write_text(block.format("echo took 12 s", "took 15 s\n") + block.format("echo new", "old\n"))
    expected = block.format("echo took 12 s", "took 15 s\n") + block.format("echo new", "new\n")
    assert written_anew(page, tmp_path) == expected
