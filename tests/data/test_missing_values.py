"""Missing values of a table: rows left out, or filled with what the training rows alone say."""

from pathlib import Path

import pytest
import torch

from dlcourse.cli.main import main
from dlcourse.data.csv_file import CsvFile
from dlcourse.data.missing_values import filled
from dlcourse.data.split import TensorSplit
from dlcourse.errors import DataError
from dlcourse.spec import Data, DataSpec
from lab import Lab


def table(folder: Path) -> str:
    """60 rows, of which the fifth lacks a number, the ninth a text; both columns are otherwise complete."""
    rows = [[str(row), ("red", "blue", "red")[row % 3], str(row * 0.5)] for row in range(60)]
    rows[4][0], rows[8][1] = "?", ""
    path = folder / "table.csv"
    path.write_text("\n".join(["size,color,price", *(",".join(row) for row in rows)]) + "\n")
    return str(path)


def everything(data: Data) -> tuple[torch.Tensor, torch.Tensor]:
    parts = [next(split.batches(len(split))) for split in (data.train, data.val, data.test)]
    return torch.cat([part.inputs for part in parts]), torch.cat([part.targets for part in parts])


def test_rows_with_a_missing_value_are_left_out_and_counted(tmp_path: Path) -> None:
    data = CsvFile(file=table(tmp_path), target="price", missing="drop").build(name="csv", seed=0)
    _, targets = everything(data)
    assert sorted(targets.flatten().tolist()) == [row * 0.5 for row in range(60) if row not in (4, 8)]
    assert data.notes == ("left out 2 rows of 60 with a missing value, the first in row 6",)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_is_filled_in_is_the_mean_of_the_training_rows_alone(tmp_path: Path, seed: int) -> None:
    data = CsvFile(file=table(tmp_path), target="price", missing="mean").build(name="csv", seed=seed)
    assert data.spec.feature_names == ("size", "color=blue", "color=red")
    train = next(data.train.batches(len(data.train)))
    whole = (train.targets[:, 0] != 2.0) & (train.targets[:, 0] != 4.0)  # less the two rows, if they are in it
    sizes = train.inputs[whole | (train.targets[:, 0] == 4.0), 0]
    colors = train.inputs[whole | (train.targets[:, 0] == 2.0), 1:]
    inputs, targets = everything(data)
    assert inputs[targets[:, 0] == 2.0][0, 0].item() == pytest.approx(sizes.mean().item())
    assert inputs[targets[:, 0] == 4.0][0, 1:].tolist() == pytest.approx(colors.mean(0).tolist())
    assert data.notes[0] == "column 'size': 1 missing value filled with the mean of the training rows"
    assert data.notes[1].startswith("column 'color': 1 missing value")


def test_validation_and_test_do_not_move_the_mean() -> None:
    def split(*values: float) -> TensorSplit:
        return TensorSplit(torch.tensor(values)[:, None], torch.zeros(len(values), 1))

    spec = DataSpec("", (1,), 1, "value", feature_names=("x",))
    data = filled(Data(spec, split(1, 3, torch.nan), split(torch.nan, 100), split(50, torch.nan)))
    assert [part.inputs.flatten().tolist() for part in (data.train, data.val, data.test)] == [
        [1, 3, 2],
        [2, 100],
        [50, 2],
    ]
    with pytest.raises(DataError, match="feature 'x' has no value in any training row"):
        filled(Data(spec, split(torch.nan), split(1), split(2)))


@pytest.mark.parametrize(
    ("content", "missing", "message"),
    [
        (
            "x,y\n1,2\n,3\n4,\n5,6\n7,8\n",
            "mean",
            "row 4, column 'y': the value is missing (empty); fill it in, or leave",
        ),
        ("x,y\n,2\n,3\n,5\n,6\n,8\n", "mean", "column 'x' has no value at all"),
        ("x,y\n,2\n,3\n,5\n,6\n,8\n", "drop", "every row lacks a value"),
    ],
)
def test_what_cannot_be_filled_in_is_refused(tmp_path: Path, content: str, missing: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(DataError) as caught:
        CsvFile(file=str(tmp_path / "t.csv"), target="y", missing=missing).build(name="csv", seed=0)  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_a_column_that_float32_would_blur_keeps_its_digits_beside_a_missing_value(tmp_path: Path) -> None:
    rows = [f"{1_700_000_000 + row},{row}" for row in range(40)]
    (tmp_path / "t.csv").write_text("\n".join(["time,y", *rows, ",40"]) + "\n")
    data = CsvFile(file=str(tmp_path / "t.csv"), target="y", missing="mean").build(name="csv", seed=0)
    assert data.train.inputs.dtype == torch.float64  # type: ignore[attr-defined]


@pytest.mark.parametrize("missing", [pytest.param("drop", marks=pytest.mark.slow), "mean"])
def test_a_table_with_gaps_trains_and_says_what_it_did(lab: Lab, missing: str) -> None:
    words = ["data=csv", f"data.file={table(lab.folder)}", "data.target=price", "model=linreg", "trainer.epochs=1"]
    assert main(["train", *words, "report=light"]) == 2
    assert f"data.missing={missing}" in lab.capsys.readouterr().err
    assert main(["train", *words, "report=light", f"data.missing={missing}"]) == 0
    assert "missing value" in lab.capsys.readouterr().out
