"""Every family of runs is exported and says the same without dlcourse, or is refused by name."""

import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from dlcourse.cli.main import main
from dlcourse.config.run_config import FolderConfig, RunConfig
from dlcourse.export.checking import Examples
from dlcourse.export.formats import FORMATS
from dlcourse.runs.weights import read_tensors
from dlcourse.training import session
from dlcourse.training.opened import open_run
from torture import warm
from torture.families import NAMES, family
from without_dlcourse import differences, save_examples

pytestmark = pytest.mark.slow

REFUSED = {
    "diffusion": "a run of task 'diffusion' cannot be exported as a model, it makes a sample in many passes; ",
    **dict.fromkeys(
        ("dqn", "table"), "a run of task 'q_learning' cannot be exported as a model, it learns from games "
    ),
    "actor_critic": "a run of task 'actor_critic' cannot be exported as a model, it learns from games that it plays; ",
}
MODELS = ("onnx", "torch-export")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    before = Path.cwd()
    place = tmp_path_factory.mktemp("families")
    os.chdir(place)
    yield place
    os.chdir(before)


@pytest.fixture(scope="module")
def start(place: Path) -> Path:
    """A run for transfer to start from."""
    return trained(warm.compose(*warm.TINY_CNN), place / "start")


def trained(config: RunConfig, folder: Path) -> Path:
    config = dataclasses.replace(config, report="light", run=FolderConfig(dir=str(folder)))
    session.run(config, [])
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_a_family_is_exported_or_refused_by_name(
    name: str, place: Path, start: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained(family(name, place / "data", start), place / "runs" / name)
    folder = place / "exported" / name
    folder.mkdir(parents=True)
    capsys.readouterr()
    for to in MODELS:
        code = main(["export", str(run), "--to", to, "--out", str(folder / f"model{FORMATS[to].suffix}")])
        printed: Any = capsys.readouterr()
        if name in REFUSED:
            assert code == 2 and REFUSED[name] in printed.err and not list(folder.iterdir())
        else:
            assert code == 0 and "check  validation examples in batches of 1 and 7: largest" in printed.out, printed.err
    assert main(["export", str(run), "--to", "safetensors", "--out", str(folder / "weights.safetensors")]) == 0
    own = read_tensors(run / "weights.safetensors")
    with safe_open(folder / "weights.safetensors", "pt") as file:
        assert set(file.keys()) == set(own)
        assert all(torch.equal(file.get_tensor(key), own[key]) for key in own)
    if name not in REFUSED:
        save_examples(Examples.of(open_run(run)), folder)
        assert "output" in json.loads((folder / "model.onnx.labels.json").read_text())


def test_all_of_them_say_the_same_where_there_is_no_dlcourse(place: Path) -> None:
    """After the tests above: one process reads all files."""
    folders = sorted((place / "exported").iterdir())
    assert len(folders) == len(NAMES)
    found = differences(*(folder for folder in folders if folder.name not in REFUSED))
    assert len(found) == len(MODELS) * (len(NAMES) - len(REFUSED))
    assert max(found.values()) < 1e-5
    for file, difference in sorted(found.items()):
        print(f"{difference:.1e}  {file}")
