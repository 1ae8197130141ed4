"""`dlcourse evaluate`: a finished run measured again gives its own figures, digit for digit; other data must fit."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcourse.cli.main import main
from dlcourse.config.run_config import FolderConfig, RunConfig
from dlcourse.training import measuring, opened, session
from lab import Lab
from torture.families import NAMES, family
from torture.warm import TINY_CNN, compose

assert callable(measuring.measure) and callable(opened.open_run)


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("warm") / "run"
    trained(compose(*TINY_CNN), folder)
    return folder


def trained(config: RunConfig, folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dlcourse.runs.logger.to_image", lambda picture: np.zeros((4, 4, 3), np.uint8))
        session.run(dataclasses.replace(config, run=FolderConfig(dir=str(folder))), [])


def evaluated(lab: Lab, *words: str) -> dict[str, Any]:
    code = main(["evaluate", *words, "--json"])
    lab.out, lab.err = lab.capsys.readouterr()
    assert code == 0, lab.err
    return json.loads(lab.out)


def same(value: Any, other: Any) -> bool:
    """Equal, and NaN equal to None, as which JSON files keep it."""
    return value == other or (isinstance(value, float) and math.isnan(value) and other is None)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_of_each_family_gives_its_own_figures(
    name: str, lab: Lab, warm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlcourse.runs.logger.to_image", lambda picture: np.zeros((4, 4, 3), np.uint8))
    trained(family(name, lab.folder / "files", warm), Path("run"))
    before = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    lab.capsys.readouterr()
    found = evaluated(lab, "run")
    report = json.loads(Path("run/report.json").read_text())
    assert (
        found["test"]
        and {key: value for key, value in found["test"].items() if not same(value, report["test"][key])} == {}
    )
    assert {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()} == before
