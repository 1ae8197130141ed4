"""Numbers and tables as text."""

from dlcourse.text_table import aligned, counted, markdown


def test_names_begin_and_numbers_end_at_the_same_place() -> None:
    rows = [("Linear", "16", "12,560"), ("", "", ""), ("Flatten", "7,840", "")]
    assert aligned(rows) == ["Linear      16  12,560", "", "Flatten  7,840"]
    assert aligned([("1", "a"), ("10", "bcd")], left=(1,)) == [" 1  a", "10  bcd"]


def test_only_one_is_singular() -> None:
    said = [counted(number, "epoch") for number in (0, 1, 2, 1000)]
    assert said == ["0 epochs", "1 epoch", "2 epochs", "1,000 epochs"]


def test_a_table_to_paste_keeps_its_columns() -> None:
    rows = [("name", "n"), ("a|b", "1")]
    assert markdown(rows) == ["| name | n |", "| --- | --: |", "| a\\|b | 1 |"]
