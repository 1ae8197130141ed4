"""Every family of runs is exported and says the same without dlcourse, or is refused by name."""

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

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
    "diffusion": "cannot export the model of task 'diffusion': a sample takes many passes through it; ",
    **dict.fromkeys(("dqn", "table"), "cannot export the model of task 'q_learning': it learns from games "),
    "actor_critic": "cannot export the model of task 'actor_critic': it learns from games that it plays; ",
}
VARIANTS = {
    "resnet9": "data=shapes data.train_size=60 data.test_size=20 data.resize=16 model=resnet9",
    "patches": "data=digits data.subset=100 model=transformer model.patch=4 model.width=8 model.positions=rotary",
    "both directions": "data=digits data.subset=100 model=lstm model.hidden=8 model.layers=2 model.bidirectional=true",
    "pixels": "data=digits data.subset=100 model=gru model.hidden=8 model.steps=pixels",
    "bag": "data=word_order data.subset=100 model=bag",
    "conv autoencoder": "data=digits data.subset=100 model=autoencoder model.arch=conv model.channels=[4]",
    "gaussian pixels": "data=digits data.subset=100 model=vae model.hidden=[8] task.likelihood=gaussian",
    "conv gan": "data=digits data.subset=100 model=gan model.channels=4 model.norm=spectral model.conditional=true",
    "simplex": "data=digits data.subset=100 model=mlp model.hidden=[8] task=classification task.loss=mse",
    "least squares": "data=digits data.subset=100 model=softmax features=random trainer=one_step task=least_squares",
    "components": "data=iris model=logreg features=pca features.count=2",
}
"""What the families lack: other layers of the same models, and other ends of the same tasks."""
MODELS = ("onnx", "torch-export")
ALL, PARTS = [*NAMES, *VARIANTS], 6


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


def config_of(name: str, place: Path, start: Path) -> RunConfig:
    if name not in VARIANTS:
        return family(name, place / "data", start)
    words = VARIANTS[name].split()
    kept = [word for word in warm.TINY if "trainer=one_step" not in words or not word.startswith("trainer")]
    return warm.compose(*kept, *words)


def trained(config: RunConfig, folder: Path) -> Path:
    config = dataclasses.replace(config, report="light", run=FolderConfig(dir=str(folder)))
    session.run(config, [])
    return folder


@pytest.mark.parametrize("names", [ALL[start::PARTS] for start in range(PARTS)], ids=" ".join)
def test_a_family_is_exported_and_says_the_same_without_dlcourse_or_is_refused_by_name(
    names: Sequence[str], place: Path, start: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = []
    for name in names:
        run = trained(config_of(name, place, start), place / "runs" / name)
        folder = place / "exported" / name
        folder.mkdir(parents=True)
        export_model(name, run, folder, capsys)
        export_weights(run, folder)
        if name not in REFUSED:
            folders.append(folder)
    found = differences(*folders)
    with capsys.disabled():
        print(*(f"\n{difference:.1e}  {file}" for file, difference in sorted(found.items())), end="")
    assert len(found) == len(MODELS) * len(folders) and max(found.values()) < 1e-5


def export_model(name: str, run: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In each format that holds the whole model, with examples of what goes in and what the run says."""
    capsys.readouterr()
    for to in MODELS:
        code = main(["export", str(run), "--to", to, "--out", str(folder / f"model{FORMATS[to].suffix}")])
        printed = capsys.readouterr()
        if name in REFUSED:
            assert code == 2 and REFUSED[name] in printed.err and not list(folder.iterdir())
        else:
            assert code == 0 and "check  validation examples in batches of 1 and 7: largest" in printed.out, printed.err
    if name not in REFUSED:
        save_examples(Examples.of(open_run(run)), folder)


def export_weights(run: Path, folder: Path) -> None:
    assert main(["export", str(run), "--to", "safetensors", "--out", str(folder / "weights.safetensors")]) == 0
    own = read_tensors(run / "weights.safetensors")
    with safe_open(folder / "weights.safetensors", "pt") as file:
        assert set(file.keys()) == set(own)
        assert all(torch.equal(file.get_tensor(key), own[key]) for key in own)
