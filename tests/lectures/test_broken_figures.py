"""Bands that hold only what is right: figures whose runs are broken on purpose are OUT."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from dlcourse.cli.main import main
from dlcourse.config.paths import conf_dir

UNTRAINED = "optimizer.lr=1.0e-09 trainer.epochs=1"
BROKEN = {
    "backprop": "trainer.epochs=1",
    "batch_norm": "optimizer.lr=1.0e-09",
    "deep_wide": "trainer.epochs=1",
    "embeddings": UNTRAINED,
    "learning_rates": "trainer.epochs=2",
    "likelihood": "trainer.epochs=2",
    "logistic": "optimizer.weight_decay=0",
    "next_word": UNTRAINED,
    "optimizers": UNTRAINED,
    "two_heads": "trainer.epochs=1",
    "universal": "data.noise=1.0",
    "word_order": UNTRAINED,
}
"""Words by which the runs of a figure go wrong: the weights stay as they began, or the minimum is another."""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield


def broken(name: str, words: str) -> str:
    """The name of a copy of the figure, of which --full breaks the runs."""
    content = yaml.safe_load((conf_dir() / "lecture" / f"{name}.yaml").read_text(encoding="utf-8"))
    content |= {"name": f"broken_{name}", "draw": content.get("draw", name), "full": [words]}
    path = Path("own/lecture") / f"broken_{name}.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return f"broken_{name}"


@pytest.mark.slow
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_figure_is_out(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", broken(name, BROKEN[name]), "--config-dir", "own", "--full"]) == 1
    assert "OUT" in capsys.readouterr().out
    numbers = json.loads(Path("outputs/lectures/check.json").read_text())["numbers"]
    assert any(not number["holds"] for number in numbers)
