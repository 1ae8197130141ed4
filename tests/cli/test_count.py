"""`dlcourse count`: published numbers of parameters."""

import pytest

from dlcourse.cli.count import count_built
from dlcourse.cli.main import main
from dlcourse.gpt_sizes import SIZES

PUBLISHED = {
    "gpt": 116_534_784,
    "gpt2": 124_439_808,
    "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_formula_gives_the_published_number(name) -> None:
    assert SIZES[name].parameters == PUBLISHED[name]


def test_gpt3_is_published_in_billions() -> None:
    assert round(SIZES["gpt3"].parameters / 1e9) == 175


@pytest.mark.parametrize("name", SIZES)
def test_our_own_model_has_as_many_parameters_as_the_formula_says(name) -> None:
    assert count_built(SIZES[name]) == SIZES[name].parameters


def test_the_table_shows_both_counts_of_every_size(capsys) -> None:
    assert main(["count"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1 : 1 + len(SIZES)]]
    assert [row[0] for row in rows] == list(SIZES)
    assert ["gpt2-xl", "48", "25", "1,600", "50,257", "1,024", "1,557,611,200", "1,557,611,200"] in rows


def test_one_size_is_told_part_by_part(capsys) -> None:
    assert main(["count", "gpt2"]) == 0
    out = capsys.readouterr().out
    parts = {line[:15].strip(): int(line[15:].split()[0].replace(",", "")) for line in out.splitlines()[3:8]}
    assert parts == {
        "token embedding": 50_257 * 768,
        "positions": 1024 * 768,
        "attention": 12 * 4 * (768 * 768 + 768),
        "feed-forward": 12 * (768 * 3072 + 3072 + 3072 * 768 + 768),
        "norms": 25 * 2 * 768,
    }
    assert sum(parts.values()) == 124_439_808
    for words in ("124,439,808", "tied: the output layer has these weights too", "Left out", "would add 38,597,376"):
        assert words in out


def test_gpt1_says_what_is_counted(capsys) -> None:
    assert main(["count", "gpt"]) == 0
    out = capsys.readouterr().out
    assert "116,534,784" in out and "there is no last norm" in out


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("gtp2", "unknown size 'gtp2'; did you mean 'gpt2'?"),
        ("--sizes", "unknown flag '--sizes'; there are: --help"),
    ],
)
def test_what_is_not_known_is_told_in_one_line(capsys, word, message) -> None:
    assert main(["count", word]) == 2
    assert capsys.readouterr().err == f"dlcourse: error: {message}\n"


def test_its_own_help_names_it_and_the_help_page_names_what_has_taken_it_in(capsys) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert "dlcourse summary" in out and "dlcourse count" not in out
    assert main(["count", "--help"]) == 0
    assert "gpt2-xl" in capsys.readouterr().out
