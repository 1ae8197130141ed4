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


FEW = ("mlp", "frozen", "polynomial", "language", "vae", "gan", "images", "csv")
"""Of the families those that differ most in what is read back; scripts/test -m slow has all."""


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in FEW else pytest.mark.slow) for name in NAMES])
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


TINY_IMAGES = (
    "data=glyphs",
    "data.train_size=60",
    "data.test_size=40",
    "model=softmax",
    "trainer.epochs=1",
    "device=cpu",
)


@pytest.fixture
def run(lab: Lab) -> Path:
    folder = lab.train(*TINY_IMAGES)
    assert folder is not None
    return folder


def test_an_evaluation_is_kept_in_a_folder_of_its_own(lab: Lab, run: Path) -> None:
    assert main(["evaluate", "outputs"]) == 0
    assert main(["evaluate", str(run)]) == 0
    out = lab.capsys.readouterr().out
    first, second = sorted(Path("outputs/evaluations/glyphs-softmax").iterdir())
    assert f"saved  {second}: report.txt  evaluation.json  confusion_matrix.png  mistakes.png" in out.replace(
        "  weights.png", ""
    )
    content = json.loads((first / "evaluation.json").read_text())
    assert (content["run"], content["examples"]) == (str(run.relative_to(lab.folder)), 40)
    assert (first / "report.txt").read_text().startswith(f"dlcourse evaluate {run.relative_to(lab.folder)}\n")
    assert (first / "confusion_matrix.png").read_bytes()[:4] == b"\x89PNG"
    test = json.loads((run / "report.json").read_text())["test"]
    assert content["test"] == test and f"accuracy {100 * test['accuracy']:.2f} %" in out


def test_other_data_of_the_same_kind(lab: Lab, run: Path) -> None:
    more = evaluated(lab, str(run), "data.test_size=90")
    assert more["examples"] == 90
    both = evaluated(lab, str(run), str(run), "data.test_size=90")
    assert both == [more, more]  # type: ignore[comparison-overlap]


def test_images_are_normalized_as_the_model_has_learned_to_see_them(
    lab: Lab, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = evaluated(lab, str(run))
    build_data = measuring.build_data

    def otherwise_normalized(config: Any, device: Any) -> Any:
        data = build_data(config, device)
        spec = dataclasses.replace(data.spec, pixel_mean=(0.1,), pixel_std=(0.7,))
        return measuring._normalized_as(spec, data)

    monkeypatch.setattr(measuring, "build_data", otherwise_normalized)
    other = evaluated(lab, str(run))
    assert other["test"]["accuracy"] == own["test"]["accuracy"]
    assert other["test"]["loss"] == pytest.approx(own["test"]["loss"], rel=1e-5)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "RUN is missing; write dlcourse evaluate outputs/glyphs-softmax/"),
        (["nix"], "'nix' does not exist; expected the folder of a run"),
        (
            ["outputs", "model=cnn"],
            "'model=cnn': evaluate takes RUN, data=NAME, data.OPTION=VALUE and device, nothing else",
        ),
        (["outputs", "--jsn"], "unknown flag '--jsn'; did you mean '--json'?"),
        (["outputs", "data=glyps"], "unknown data 'glyps'; did you mean 'glyphs'?"),
        (
            ["outputs", "data=moons"],
            "data 'moons' do not fit this run: examples of shape (2), and it was trained on 'glyphs'",
        ),
        (["outputs", "data.tset_size=3"], "unknown option 'data.tset_size'; did you mean 'data.test_size'?"),
        (["outputs", "data.test_size=1,2"], "'data.test_size=1,2' has several values; evaluate takes one"),
        (["outputs", "data.test_size=1", "data.test_size=2"], "'data.test_size' is given twice"),
    ],
)
def test_what_cannot_be_evaluated_is_told_in_one_line(words: list[str], told: str, lab: Lab, run: Path) -> None:
    assert main(["evaluate", *words]) == 2
    err = lab.capsys.readouterr().err
    assert told in err and err.count("\n") == 1
    assert not Path("outputs/evaluations").exists()


def test_damaged_weights_are_named(lab: Lab, run: Path) -> None:
    content = bytearray((run / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (run / "weights.safetensors").write_bytes(content)
    assert main(["evaluate", str(run)]) == 2
    assert "weights.safetensors" in lab.capsys.readouterr().err
    assert not Path("outputs/evaluations").exists()
