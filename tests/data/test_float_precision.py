"""Numbers that 32 bits would blur, from the file to the model: kept until they are standardized, or named."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from dlcourse.data.csv_file import CsvFile
from dlcourse.data.dataset import TableSource
from dlcourse.data.float_precision import blurred
from dlcourse.data.npz_file import NpzFile
from lab import Lab, report

START = 1_700_000_000
"""Seconds since 1970, of which float32 knows every 128th only."""


def seconds(rows: int = 1200) -> np.ndarray:
    return START + np.arange(rows) * 37 % 100


def write_csv(folder: Path) -> TableSource:
    """Whether a time is in the second half of a hundred seconds, and how long after the first one it is."""
    path = folder / "times.csv"
    rows = "".join(f"{time},{time % 7},{time + 0.5},{'yes' if time % 100 >= 50 else 'no'}\n" for time in seconds())
    path.write_text("time,x,end,late\n" + rows)
    return CsvFile(file=str(path), target="late", drop=("end",))


def write_npz(folder: Path) -> TableSource:
    path = folder / "times.npz"
    np.savez(path, x=np.stack([seconds(), seconds() % 7], axis=1), y=(seconds() % 100 >= 50).astype(int))
    return NpzFile(file=str(path))


@pytest.mark.slow
@pytest.mark.parametrize("write", [write_csv, write_npz])
def test_a_blurred_column_keeps_its_values_until_it_is_standardized(lab: Lab, write) -> None:
    source = write(lab.folder)
    data = source.build(name="table", seed=0)
    assert len(data.train.inputs[:, 0].unique()) == 100
    name = type(source).__name__.removesuffix("File").lower()
    words = [f"data={name}", f"data.file={source.file}", "model=logreg", "device=cpu", "trainer=small_data"]
    words += ["data.target=late", "data.drop=[end]"] if name == "csv" else []
    run = lab.train(*words, "features=standard", "trainer.epochs=20")
    assert "note" not in lab.out
    assert report(run)["test"]["accuracy"] > 0.9
    mean = load_file(run / "weights.safetensors")["features.mean"]
    assert float(mean[0]) == pytest.approx(float(data.train.inputs[:, 0].mean()), abs=1e-3)
    lab.train(*words, "features=none", "trainer.epochs=1")
    column = "time" if name == "csv" else "x1"
    note = f"\nnote   column '{column}' keeps 2 of its 100 values in 32-bit numbers; features=standard keeps all\n"
    assert note in lab.out
    polynomial = [*words, "features=polynomial", "features.degree=2", "trainer.epochs=1"]
    lab.train(*polynomial)
    assert "note" not in lab.out
    lab.train(*polynomial, "features.standardize=false")
    assert note in lab.out


def test_blurred_targets_are_learnt_or_named(lab: Lab) -> None:
    source = write_csv(lab.folder)
    words = ["data=csv", f"data.file={source.file}", "data.target=end", "data.drop=[late]", "model=linreg"]
    found = report(lab.train(*words))
    assert "note" not in lab.out
    assert found["test"]["r2"] > 0.99
    lab.train(*words, "task.standardize=false", "trainer.epochs=1", "optimizer=adam")
    assert (
        "\nnote   the target keeps 2 of its 100 values in 32-bit numbers; task.standardize=true keeps all\n" in lab.out
    )


@pytest.mark.parametrize(
    ("column", "is_blurred"),
    [
        (START + np.arange(100.0), True),
        (START + np.arange(100.0) * 86_400, False),
        (np.full(100, START + 1.0), False),
        (1 + 1e-9 * np.arange(100), True),
        (np.random.default_rng(0).normal(size=100), False),
        (np.zeros(100), False),
        (np.array([1e12, *range(99)]), False),
    ],
)
def test_what_is_blurred(column: np.ndarray, is_blurred: bool) -> None:
    assert blurred(torch.from_numpy(column)[:, None]) == ([0] if is_blurred else [])


def test_other_tables_are_read_as_32_bit_numbers(tmp_path: Path) -> None:
    path = tmp_path / "plain.npz"
    np.savez(path, x=np.random.default_rng(0).normal(size=(40, 3)), y=np.arange(40.0))
    tables = NpzFile(file=str(path)).load()
    assert {tables.train_inputs.dtype, tables.test_inputs.dtype, tables.train_targets.dtype} == {torch.float32}
