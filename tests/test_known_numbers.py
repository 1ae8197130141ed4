"""What the README claims for real data, trained in full: `scripts/test -m slow`."""

import json
from pathlib import Path

import pytest

from dlcourse import cli

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("words", "split", "least"),
    [
        (["model=softmax", "data=mnist"], "test", 0.920),
        (["model=mlp", "data=mnist"], "test", 0.978),
        (["model=cnn", "data=mnist"], "test", 0.990),
        (["model=cnn", "data=cifar10", "data.verify=false", "trainer.epochs=15"], "val", 0.75),
        (["experiment=lecture_cnn48", "data.subset=10000"], "test", 0.980),
    ],
    ids=["softmax", "mlp", "cnn", "cifar10", "lecture_cnn48"],
)
def test_accuracy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real_data: Path, words: list[str], split: str, least: float
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", *words, f"data.root={real_data}"]) == 0
    (report,) = tmp_path.glob("outputs/*/*/report.json")
    assert json.loads(report.read_text())[split]["accuracy"] >= least
