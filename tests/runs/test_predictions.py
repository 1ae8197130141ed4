"""predictions.csv read back: every form that a task writes, and what is no such table."""

from pathlib import Path

import pytest

from dlcourse.errors import DataError
from dlcourse.runs.predictions import Predictions, read_predictions


def read(folder: Path, text: str) -> Predictions | None:
    (folder / "predictions.csv").write_text(text, encoding="utf-8")
    return read_predictions(folder)


def test_classes(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        'example,true,predicted,right,probability,probability_of_true\n0,"a,b",c,0,0.75,0.25\n1,c,c,1,0.5,0.5\n',
    )
    assert found == Predictions(("a,b", "c"), ("c", "c"), (0.75, 0.5), "accuracy", (0.0, 1.0))


def test_numbers(tmp_path: Path) -> None:
    one = read(tmp_path, "example,true,predicted,squared_error\n0,1.5,1,0.25\n")
    assert one == Predictions(("1.5",), ("1",), (), "mse", (0.25,))
    several = read(tmp_path, "example,true_1,true_2,predicted_1,predicted_2,squared_error\n0,1,2,3,4,4\n")
    assert several == Predictions(("1  2",), ("3  4",), (), "mse", (4.0,))


def test_losses_alone(tmp_path: Path) -> None:
    assert read(tmp_path, "example,loss\n0,1.5\n1,nan\n") is not None
    assert read(tmp_path, "example,length,right\n0,3,1\n") == Predictions((), (), (), "accuracy", (1.0,))


def test_a_run_without_them(tmp_path: Path) -> None:
    assert read_predictions(tmp_path) is None


@pytest.mark.parametrize(
    "text",
    ["", "example,true\n0,1\n", "example,right\n0,yes\n", "example,right\n0,2\n", "right\n0,1\n", '"', "right,right\n"],
)
def test_what_is_no_such_table(text: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"predictions\.csv is damaged"):
        read(tmp_path, text)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("right\n1\n")
    (tmp_path / "predictions.csv").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="is a link"):
        read_predictions(tmp_path)
