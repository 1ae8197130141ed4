"""The cells of a CSV file: as they were written, in the rows an editor shows, and numbers only where they are ones."""

import csv
from pathlib import Path

import numpy as np
import pytest

from dlcourse.data.csv_table import Column, parse_number, read_columns, shorten
from dlcourse.errors import DataError


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_cells_come_back_as_they_were_written_with_the_row_that_each_begins_in(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "table.csv"
    cells = [["name", "note, long"], ["犬", 'says "wau"'], ["two\nlines", "a;b|c,d\te"], ["3.5", ""]]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=separator).writerows(cells)
    columns = read_columns(path, separator)
    assert [[name, *column.cells] for name, column in columns.items()] == [
        list(column) for column in zip(*cells, strict=True)
    ]
    assert columns["name"].rows == [2, 3, 5], "the third row of cells has two lines"


def test_a_column_is_numbers_or_text_and_what_is_both_is_refused() -> None:
    def column(*cells: str) -> Column:
        return Column("t.csv", "x", list(cells), list(range(2, 2 + len(cells))))

    numbers = column("1.5", "-3e1", "+.25").numbers()
    assert numbers is not None and np.array_equal(numbers, [1.5, -30, 0.25])
    assert column("red", "blue", "1").numbers() is None
    assert column("1", "2").is_all_numbers and not column("1", "two").is_all_numbers
    with pytest.raises(DataError, match=r"^t\.csv, row 4, column 'x': 'two' is text in a numeric column"):
        column("1", "3", "two").numbers()
    with pytest.raises(DataError, match="row 3, column 'x': '4e38' is not a number that fits into 32 bits"):
        column("3e38", "4e38").numbers()
    with pytest.raises(DataError, match=r"row 3, column 'x': the value is missing \('N/A'\); drop it$"):
        column("1", "N/A").require_complete("drop it")


@pytest.mark.parametrize(
    ("cell", "number"), [("1e3", 1000.0), (" 7 ", 7.0), ("1_000", None), ("1,5", None), ("0x10", None), ("", None)]
)
def test_what_a_number_is(cell: str, number: float | None) -> None:
    assert parse_number(cell) == number


def test_long_text_is_cut_to_the_length_said() -> None:
    assert shorten("a" * 40) == "a" * 40 and shorten("a" * 41) == "a" * 37 + "..."
    assert shorten("abcdef", 5) == "ab..."
