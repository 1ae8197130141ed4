"""`dlcourse evaluate`: a finished run measured again gives its own figures, digit for digit; other data must fit."""

import dataclasses
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dlcourse.cli.main import main
from dlcourse.config.run_config import FolderConfig, RunConfig
from dlcourse.runs.predictions import read_predictions
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
    (first,) = Path("outputs/evaluations/glyphs-softmax").iterdir()
    assert main(["evaluate", str(run)]) == 0
    out = lab.capsys.readouterr().out
    (second,) = set(Path("outputs/evaluations/glyphs-softmax").iterdir()) - {first}
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


def test_each_look_at_the_test_set_is_counted(lab: Lab, run: Path) -> None:
    assert "\nthe test set was read once by now, see test_looks.jsonl\n" in (run / "report.txt").read_text()
    assert main(["evaluate", str(run)]) == 0
    out = lab.capsys.readouterr().out
    assert "looks  the test set was read twice by now, see test_looks.jsonl\n" in out
    evaluated(lab, str(run), "data.test_size=90")
    looks = [json.loads(line) for line in Path("outputs/test_looks.jsonl").read_text().splitlines()]
    assert [(look["by"], look["examples"]) for look in looks] == [("train", 40), ("evaluate", 40), ("evaluate", 90)]
    assert looks[0]["test"] == looks[1]["test"] != looks[2]["test"]
    assert json.loads((run / "report.json").read_text())["data"]["test_sha256"] == looks[0]["test"]


def test_predictions_are_kept(lab: Lab, run: Path) -> None:
    found = read_predictions(run)
    report = json.loads((run / "report.json").read_text())
    assert found is not None and len(found.scores) == 40
    assert sum(found.scores) / 40 == report["test"]["accuracy"]
    counts = Counter(zip(found.true, found.predicted, strict=True))
    names = list(report["classes"])
    assert [[counts[true, guess] for guess in names] for true in names] == report["confusion_matrix"]


def test_an_ensemble_is_the_mean_of_its_members(lab: Lab, run: Path) -> None:
    other = lab.train(*TINY_IMAGES, "seed=1")
    found = evaluated(lab, str(run), str(other), "--ensemble")
    assert found["runs"] == [str(run.relative_to(lab.folder)), str(other)] or len(found["runs"]) == 2
    members = [opened.open_run(folder) for folder in (run, Path(str(other)))]
    data = measuring.build_data(members[0].config, members[0].device)
    batch = next(iter(data.test.batches(100)))
    pixels = data.spec.to_pixels(batch.inputs)
    with torch.no_grad():
        mean = sum(member.task.model(member.spec.from_pixels(pixels)).softmax(1) for member in members) / 2
    assert found["test"]["accuracy"] == float((mean.argmax(1) == batch.targets).double().mean())
    (place,) = Path("outputs/evaluations/glyphs-ensemble").iterdir()
    assert (place / "report.txt").read_text().splitlines()[0].endswith("--ensemble")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ([], "--ensemble takes at least 2 runs, got"),
        (["data.test_size=30"], "has another test set than"),
        (["data.resize=24"], "do not fit this run: examples of shape (1, 28, 28)"),
    ],
)
def test_what_is_no_ensemble(more: list[str], told: str, lab: Lab, run: Path) -> None:
    others = (
        [
            str(
                lab.train(
                    *(word for word in TINY_IMAGES if not more or word.split("=")[0] != more[0].split("=")[0]), *more
                )
            )
        ]
        if more
        else []
    )
    lab.capsys.readouterr()
    assert main(["evaluate", str(run), *others, "--ensemble"]) == 2
    err = lab.capsys.readouterr().err
    assert told in err and err.count("\n") == 1
