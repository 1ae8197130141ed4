"""New rows: columns by name in any order, text as the values that the run knows, and an error for what does not fit."""

import dataclasses
from pathlib import Path

import pytest

from dlcourse.data import announced
from dlcourse.data.new_rows import NewRows, read_rows
from dlcourse.errors import UserError

HOUSES = dataclasses.replace(
    announced.numbers(4), feature_names=("size", "color=blue", "color=red", "a=b"), class_names=(), target="value"
)


def rows(folder: Path, text: str, separator: str = ",", encoding: str = "utf-8") -> NewRows:
    (folder / "new.csv").write_text(text, encoding="cp1252")
    return read_rows(folder / "new.csv", HOUSES, separator, encoding, ("price",))


def test_columns_are_found_by_their_names(tmp_path: Path) -> None:
    found = rows(tmp_path, "a=b,price,note,color,size\n1,9,x,red,2\n\n3,9,y,blue,4\n")
    assert found.features.tolist() == [[2, 0, 1, 1], [4, 1, 0, 3]]
    assert found.rows == [2, 4]
    assert found.ignored == ("note",)


def test_rows_without_the_target_in_another_encoding(tmp_path: Path) -> None:
    found = rows(tmp_path, "size;color;a=b;grün\n2;red;1;ä\n", ";", "cp1252")
    assert found.features.tolist() == [[2, 0, 1, 1]]
    assert found.ignored == ("grün",)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sise,color,a=b\n1,red,1\n", "new.csv has no column 'size', which this run reads; did you mean 'sise'?"),
        ("size,a=b\n1,1\n", "new.csv has no column 'color', which this run reads"),
        ("size,color,a=b\n1,red,1\n1,pink,1\n", "row 3, column 'color': 'pink' is none of the values this run knows: blue"),
        ("size,color,a=b\nbig,red,1\n", "row 2, column 'size': 'big' is text, and this run reads numbers there"),
        ("size,color,a=b\n,red,1\n", "row 2, column 'size': the value is missing (empty); fill it in or remove the row"),
        ("size,color,a=b\n", "new.csv has a header but no rows below it"),
        ("size;color;a=b\n1;red;1\n", "one column 'size;color;a=b'; write \"--separator=';'\""),
        ("size,color,a=b\n1,rød,1\n", "or say what it is: --encoding=NAME"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_in_one_line(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        rows(tmp_path, text)
    assert told in str(error.value) and "\n" not in str(error.value)
