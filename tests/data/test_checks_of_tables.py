"""Checks of a table: each kind of oddity is named by column and row, all of them at once, and a good table has none."""

from pathlib import Path

import numpy as np
import pytest

from dlcourse.data.checks import columns, rows, table
from dlcourse.data.checks.classes import check_classes
from dlcourse.data.checks.columns import Profile
from dlcourse.data.checks.finding import Finding, fixes, needs_correction, some
from dlcourse.data.checks.twins import rounded
from dlcourse.data.csv_file import CsvFile
from dlcourse.data.csv_table import Column
from dlcourse.errors import DataError

N = 40
_RANDOM = np.random.default_rng(0)
PRICE = [f"{value:.1f}" for value in _RANDOM.uniform(100, 900, N)]
AREA = [f"{value:.2f}" for value in _RANDOM.uniform(30, 200, N)]


def profile(cells: list[str], name: str = "x") -> Profile:
    return Profile(Column("t.csv", name, cells, list(range(2, len(cells) + 2))))


def found(**cells: list[str]) -> list[Finding]:
    """What is odd about a table with a harmless column, these columns, and a target `price`."""
    named = {"area": AREA, "price": PRICE, **cells}
    return table.check_columns([profile(column, name) for name, column in named.items()], "price")


def changed(cells: list[str], **by_row: str) -> list[str]:
    """The cells with others in some rows, numbered as in an editor: `r5="?"`."""
    values = {int(row[1:]): cell for row, cell in by_row.items()}
    return [values.get(index + 2, cell) for index, cell in enumerate(cells)]


def test_a_good_table_has_nothing_odd() -> None:
    town, rooms = [("Aachen", "Bremen")[i % 2] for i in range(N)], [str(i % 5) for i in range(N)]
    assert found(town=town, rooms=rooms) == []


ODDITIES: dict[str, tuple[list[str], str]] = {
    "constant": (["7"] * N, "column 'x': the same value in every row, '7'; leave it out: 'data.drop=[x]'"),
    "dates": ([f"2024-03-{i % 20 + 1:02d}" for i in range(N)], "column 'x': dates, such as '2024-03-01',"),
    "thousands": (changed(AREA, r5="1,250"), "column 'x': 1 number with a comma, such as '1,250' in row 5; write"),
    "decimal commas": ([f"{i},5" for i in range(N)], "column 'x': 40 numbers with a comma, such as '0,5' in row 2"),
    "gaps": (changed(AREA, r5="?", r9=""), "column 'x': 2 missing values, in rows 5, 9; write data.missing=drop"),
    "nothing at all": ([""] * N, "column 'x': no value in any row"),
    "names": ([f"person {i}" for i in range(N)], "column 'x': a different text in every row: names"),
    "almost names": ([f"person {i // 2 if i < 6 else i}" for i in range(N)], "column 'x': 37 different texts in 40 rows"),
    "row numbers": ([str(i + 100) for i in reversed(range(N))], "column 'x': row numbers"),
    "text among numbers": (changed(AREA, r7="many"), "column 'x': 1 cell of text among numbers, such as 'many' in row 7"),
    "too large": (changed(AREA, r7="1e99"), "column 'x': numbers too large for 32-bit floats, such as '1e99' in row 7"),
    "spellings": (changed(["red", "blue"] * 20, r4="Red "), "column 'x': values that differ only in case or spaces: 'Red '"),
    "the target": (PRICE, "column 'x': the same as the target 'price', which leaves nothing to predict"),
    "the target scaled": ([f"{7 - 2.54 * float(cell):.1f}" for cell in PRICE], "column 'x': in proportion to"),
    "a twin": (AREA, "column 'x': the same as column 'area'"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ODDITIES)
def test_an_odd_column_is_named(kind: str) -> None:
    cells, message = ODDITIES[kind]
    (finding,) = found(x=cells)
    assert str(finding).startswith(message)


def test_another_name_for_the_target_is_named() -> None:
    target = ["cat", "dog", "fox", "dog"] * 10
    names = {"cat": "Katze", "dog": "Hund", "fox": "Fuchs"}
    given = [profile([names[cell] for cell in target], "german"), profile(target, "kind")]
    assert [str(finding) for finding in table.check_columns(given, "kind")] == [
        "column 'german': another name for the target 'kind', which leaves nothing to predict; leave it out: "
        "'data.drop=[german]'"
    ]


def test_a_column_without_a_name_and_gaps_of_the_target_are_named() -> None:
    given = [profile(AREA, ""), profile(AREA[::-1], "b"), profile(changed(PRICE, r3=""), "price")]
    unnamed, gaps = table.check_columns(given, "price")
    assert (unnamed.where, unnamed.options) == ("a column without a name", (("drop", ""),))
    assert str(gaps).startswith("column 'price' (the target): 1 missing value, in row 3; write data.missing=drop")


@pytest.mark.parametrize("kind", ODDITIES)
def test_what_blocks_is_what_training_refuses(kind: str, tmp_path: Path) -> None:
    """A table with one oddity trains as it is unless that blocks, and always with the options that the finding has."""
    cells, _ = ODDITIES[kind]
    lines = [",".join(f'"{cell}"' for cell in row) for row in zip(AREA, cells, PRICE, strict=True)]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["area,x,price", *lines]) + "\n")
    (finding,) = found(x=cells)

    def trains(**options: object) -> bool:
        try:
            CsvFile(file=str(path), target="price", **options).build(name="csv", seed=0)  # type: ignore[arg-type]
        except DataError:
            return False
        return True

    assert trains() is not finding.blocks
    assert trains(**fixes([finding])) is not needs_correction([finding])


def test_equal_rows_are_named_by_where_they_are_and_what_they_predict() -> None:
    size, color = [str(i) for i in range(10)] * 2, ["red"] * 20
    answer = [str(i % 10) for i in range(20)]
    answer[13] = "9"
    given = [profile(cells, name) for name, cells in {"size": size, "color": color, "y": answer}.items()]
    shared, at_odds, rest = map(str, rows.check_rows(given, "y", [2, 12, 5, 7]))
    assert shared.startswith("rows 5 and 15, 7 and 17: the same or nearly the same in training and test")
    assert at_odds.startswith("rows 5 and 15: the same inputs with different targets")
    assert rest.startswith("rows 2 and 12, 3 and 13, 4 and 14, 6 and 16, 8 and 18, and 3 more such groups")
    assert rows.check_rows(given[1:], "y", None)[0].what == "the same inputs with different targets"


def test_rows_that_differ_in_the_fifth_digit_are_nearly_the_same_and_others_not() -> None:
    assert rounded(np.array([1234.56, 1234.4, 0.0, -0.00123449, np.nan]))[:4].tolist() == pytest.approx(
        [1235, 1234, 0, -0.001234]
    )
    cells = {"a": ["1.00001", "1", "1.01"], "b": ["x", "x", "x"]}
    (finding,) = rows.check_rows([profile(column, name) for name, column in cells.items()], None, None)
    assert finding.where == "rows 2 and 3"


@pytest.mark.parametrize(
    ("cells", "kind", "reach"),
    [
        (["1", "", "3"], "numbers", "1 to 3, mean 2"),
        (["a", "b", "b"], "text", "b, a"),
        (["", "?"], "empty", ""),
        (["1/2/2024", "3/4/2024"], "dates", "1/2/2024, 3/4/2024"),
    ],
)
def test_a_column_in_short(cells: list[str], kind: str, reach: str) -> None:
    assert (profile(cells).kind, profile(cells).reach) == (kind, reach)
    assert columns.Profile(Column("", "", cells, [2] * len(cells))).distinct == len(set(cells) - {"", "?"})


COUNTS: list[tuple[dict[str, dict[str, int]], list[str]]] = [
    ({"train": {"a": 50, "b": 60}, "test": {"a": 5, "b": 5}}, []),
    ({"train": {"a": 50, "b": 60}, "test": {"a": 5}}, ["class b: no test examples, so it is not measured"]),
    ({"train": {"a": 50, "b": 0}}, ["class b: no training examples, so it cannot be learned"]),
    ({"train": {"a": 50, "b": 9}}, ["class b (9): fewer than 10 training examples"]),
    ({"train": {"a": 500, "b": 49}}, ["classes: sizes from 49 training examples (b) to 500 (a); look at recall: always"]),
]  # fmt: skip


@pytest.mark.parametrize(("counts", "messages"), COUNTS)
def test_classes_without_or_with_few_examples(counts: dict[str, dict[str, int]], messages: list[str]) -> None:
    assert [
        str(finding)[: len(message)] for finding, message in zip(check_classes(counts, "ab"), messages, strict=True)
    ] == messages


def test_options_of_several_findings_are_one() -> None:
    def blocks(*options: tuple[str, str]) -> Finding:
        return Finding("", "", "", True, options)

    assert fixes([blocks(("drop", "a")), blocks(("missing", "mean")), blocks(("drop", "b"))]) == {
        "drop": ["a", "b"],
        "missing": "mean",
    }
    for order in (("mean", "drop"), ("drop", "mean")):
        assert fixes([blocks(("missing", value)) for value in order]) == {"missing": "drop"}
    assert needs_correction([blocks()]) and not needs_correction([blocks(("drop", "a")), Finding("", "", "")])
    assert (some(list("ab")), some(list("abcdefg"))) == ("a, b", "a, b, c, d, e and 2 more")
