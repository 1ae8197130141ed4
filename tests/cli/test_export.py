"""`dlcourse export`: files that give a run's answers without dlcourse, and what it says to what it cannot do."""

import importlib.util
import json
import os
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from dlcourse.cli import export
from dlcourse.cli.main import main
from dlcourse.config.registry import Choice
from dlcourse.errors import ConfigError
from dlcourse.export import checking, exported, exporting, formats, labels, onnx_file, torch_export, weights_file
from dlcourse.export.checking import Examples, largest_difference
from dlcourse.export.formats import FORMATS
from dlcourse.runs.weights import read_tensors
from dlcourse.spec import DataSpec
from dlcourse.tasks import TASKS
from dlcourse.training.opened import open_run
from lab import Lab, composed, trained
from without_dlcourse import differences, save_examples

assert callable(export.main) and callable(exporting.export) and callable(labels.labels) and callable(exported.exported)

HOUSES = "size,color,price\n" + "".join(
    f"{size},{color},{1000 * size + (500 if color == 'red' else 0)}\n"
    for size in range(20, 60)
    for color in ("red", "blue")
)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of gray images, `(1, 8, 8)`."""
    folder = tmp_path_factory.mktemp("digits") / "run"
    words = ("data=digits", "data.subset=300", "model=mlp", "model.hidden=[16]", "model.norm=batch")
    return trained(folder, *words)


@pytest.fixture(scope="module")
def cliff(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = ("data=cliff", "data.size=12", "model=linreg", "task=q_learning")
    return trained(tmp_path_factory.mktemp("cliff") / "run", *words)


def asked(lab: Lab, *words: object, code: int = 0) -> str:
    return lab.ask("export", *words, code=code)


def refused(lab: Lab, *words: object) -> str:
    """The one line that a mistake is answered with; nothing was written."""
    before = tree(lab.folder)
    assert asked(lab, *words, code=2) == ""
    assert lab.err.count("\n") == 1 and tree(lab.folder) == before
    return lab.err


def tree(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def says(line: str, file: str) -> bool:
    return line.startswith("check  validation examples in batches of 1 and 7: largest difference ") and line.endswith(
        f"saved  {file}  {file}.labels.json\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("to", ["torch-export", "onnx"])
def test_a_file_gives_the_runs_answers_where_there_is_no_dlcourse(to: str, lab: Lab, digits: Path) -> None:
    before, file = tree(digits), f"mine{FORMATS[to].suffix}"
    assert says(asked(lab, digits, "--to", to, "--out", file), file)
    assert tree(digits) == before
    save_examples(Examples.of(open_run(digits)), lab.folder)
    found = differences(lab.folder)
    assert list(found) == [f"{lab.folder.name}/{file}"] and found.popitem()[1] < 1e-5
    about = json.loads(Path(f"{file}.labels.json").read_text())
    assert about["labels"] == list("0123456789") and about["inputs"][0]["shape"] == ["batch", 1, 8, 8]


def test_normalization_is_inside(lab: Lab, digits: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    Image.fromarray(pixels).save("a.png")
    assert main(["predict", str(digits), "a.png", "--as-is", "--json", "--top", "10"]) == 0
    (expected,) = json.loads(lab.capsys.readouterr().out)
    asked(lab, digits, "--to", "torch-export")
    with torch.no_grad():
        found = torch.export.load("digits-mlp.pt2").module()(torch.from_numpy(pixels).float()[None, None] / 255)[0]
    assert {each["class"]: each["probability"] for each in expected["top"]} == pytest.approx(
        dict(zip("0123456789", found.tolist(), strict=True)), abs=1e-6
    )


@pytest.mark.slow
def test_numbers_come_in_the_units_of_the_targets(lab: Lab) -> None:
    Path("houses.csv").write_text(HOUSES)
    words = ("data=csv", "data.file=houses.csv", "data.target=price", "model=linreg", "features=polynomial")
    run = trained(lab.folder / "run", *words)
    asked(lab, run, "--to", "torch-export", "--out", "houses.pt2")
    about = json.loads(Path("houses.pt2.labels.json").read_text())
    assert about["features"] == ["size", "color=blue", "color=red"] and about["output"]["name"] == "values"
    Path("new.csv").write_text("color,size\nred,30\nblue,70\n")
    assert main(["predict", str(run), "new.csv", "--json"]) == 0
    expected = [each["values"]["price"] for each in json.loads(lab.capsys.readouterr().out)]
    rows = torch.tensor([[30.0, 0, 1], [70, 1, 0]], dtype=getattr(torch, about["inputs"][0]["dtype"]))
    with torch.no_grad():
        assert torch.export.load("houses.pt2").module()(rows)[:, 0].tolist() == pytest.approx(expected, rel=1e-6)


def test_weights_come_by_name_with_config_and_spec(lab: Lab, cliff: Path) -> None:
    said = asked(lab, cliff, "--to", "safetensors")
    names = "cliff-linreg.safetensors  cliff-linreg.safetensors.labels.json  cliff-linreg.safetensors.README.md"
    assert said == f"check  all 2 tensors, bit for bit\nsaved  {names}\n"
    own = read_tensors(cliff / "weights.safetensors")
    with safe_open("cliff-linreg.safetensors", "pt") as file:
        assert {name: file.get_tensor(name).tolist() for name in file.keys()} == {  # noqa: SIM118
            name: tensor.tolist() for name, tensor in own.items()
        }
        assert json.loads(file.metadata()["config"])["model"]["name"] == "linreg"
        assert json.loads(file.metadata()["spec"])["environment"] == "cliff"
    code = Path("cliff-linreg.safetensors.README.md").read_text().split("```")[1].removeprefix("python\n")
    names_found: dict[str, Any] = {"json": json}
    exec(code, names_found)  # what the README tells to type
    assert names_found["weights"].keys() == own.keys()


def test_a_file_with_other_answers_gets_no_name(lab: Lab, digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    true = torch_export.program

    def damaged(examples: Examples) -> Any:
        with torch.no_grad():
            next(examples.model.parameters()).add_(0.01)
        return true(examples)

    monkeypatch.setattr(torch_export, "program", damaged)
    line = refused(lab, digits, "--to", "torch-export")
    assert "the exported file and the run differ by" in line and "nothing was written" in line
    assert list(lab.folder.iterdir()) == []


def test_weights_that_read_back_otherwise_get_no_name(lab: Lab, cliff: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_file, "_same", lambda first, second: False)
    assert "does not hold what was written to it" in refused(lab, cliff, "--to", "safetensors")


def test_a_file_beside_that_appears_meanwhile_stays_and_the_others_go(
    lab: Lab, cliff: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = weights_file.write

    def slow(run: Any, path: Path) -> labels.Outcome:
        Path("cliff-linreg.safetensors.labels.json").write_text("mine")
        return true(run, path)

    monkeypatch.setattr(weights_file, "write", slow)
    asked(lab, cliff, "--to", "safetensors", code=2)
    assert "cliff-linreg.safetensors.labels.json exists already" in lab.err
    assert tree(lab.folder) == {lab.folder / "cliff-linreg.safetensors.labels.json": b"mine"}


def test_a_signal_removes_what_is_unfinished(lab: Lab, cliff: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_file, "write", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    asked(lab, cliff, "--to", "safetensors", code=143)
    assert list(lab.folder.iterdir()) == []


def test_a_task_of_a_plug_in_is_refused_for_what_it_is() -> None:
    run: Any = SimpleNamespace(task=None, spec=DataSpec("x", (2,), 1), config=composed("task=regression"))
    with pytest.raises(
        ConfigError, match="dlcourse does not know what its answers are; for its weights write --to saf"
    ):
        exported.exported(run)


def test_differences_are_relative_to_large_answers_and_none_passes_with_nan() -> None:
    expected = torch.tensor([[1e6, 1.0]])
    assert largest_difference(expected + 1, expected) == pytest.approx(1e-6)
    assert largest_difference(expected[:, :1], expected) == float("inf")
    assert np.isnan(largest_difference(expected * float("nan"), expected))
    examples = Examples(None, (torch.zeros(8, 1),), torch.zeros(8, 1))  # type: ignore[arg-type]
    with pytest.raises(checking.DataError, match="differ by nan"):
        examples.check(lambda raw: raw[0] * float("nan"))


def test_mistakes_are_answered_with_what_to_type(lab: Lab, digits: Path, cliff: Path) -> None:
    shutil.copytree(digits, "run")
    shutil.copytree(digits, "unfinished")
    (Path("unfinished") / "weights.safetensors").unlink()
    Path("a.onnx").write_text("mine")
    Path("b.onnx.labels.json").write_text("mine")
    Path("digits-mlp.pt2").write_text("mine")
    for words, told in (
        (["run"], "--to is missing; write dlcourse export run --to onnx, or another of: onnx, torch-export, safe"),
        (["run", "--to", "onxx"], "unknown format 'onxx'; did you mean 'onnx'?"),
        (["run", "--to", "tflite"], "unknown format 'tflite'; there are: onnx, torch-export, safetensors, playground"),
        (["run", "--to"], "--to needs a value; write dlcourse export --help to see all flags"),
        (["run", "--too", "onnx"], "unknown flag '--too'; did you mean '--to'"),
        (["run", "run", "--to", "onnx"], "'run': export takes one RUN; write dlcourse export run --to onnx"),
        (["nix", "--to", "onnx"], "'nix' does not exist; expected the folder of a run"),
        (["unfinished", "--to", "onnx"], "'unfinished' is not finished, it has no weights.safetensors yet; write dl"),
        (["run", "--to", "onnx", "--out", "a.onnx"], "--out a.onnx exists already; name a file that does not"),
        (["run", "--to", "onnx", "--out", "b.onnx"], "--out b.onnx.labels.json exists already; name a file that"),
        (["run", "--to", "torch-export"], "digits-mlp.pt2 exists already; write --out FILE.pt2 for another name"),
        (["run", "--to", "onnx", "--out", "a.pt2"], "--out a.pt2 must end in .onnx"),
        (["run", "--to", "onnx", "--out", "no/a.onnx"], "--out no/a.onnx: the folder no does not exist; make it"),
        (
            ["run", "--to", "onnx", "--out", "run/a.onnx"],
            "run/a.onnx is in the run folder, which stays as it is; write",
        ),
        (
            [cliff, "--to", "onnx"],
            "cannot export the model of task 'q_learning': it learns from games that",
        ),
        ([cliff, "--to", "playground"], "the playground takes classifiers only; this run has task 'q_learning'"),
    ):
        assert f"dlcourse: error: {told}" in refused(lab, *words), lab.err
    assert "RUN is missing; write dlcourse export" in refused(lab)


def test_a_run_that_is_not_done_is_not_exported(lab: Lab, digits: Path) -> None:
    shutil.copytree(digits, "run")
    status = json.loads(Path("run/run.json").read_text())
    for state, told in (("failed", "run has failed ("), ("stopped", "run is not finished; write dlcourse resume run")):
        Path("run/run.json").write_text(json.dumps(status | {"status": state}))
        assert told in refused(lab, "run", "--to", "onnx")
    Path("run/run.json").write_text("{")
    assert "cannot export run: " in refused(lab, "run", "--to", "onnx")


def test_a_missing_library_is_named_with_what_installs_it(
    lab: Lab, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    for missing, told in (
        (("onnx", "onnxscript", "onnxruntime"), "the libraries onnx, onnxscript, onnxruntime"),
        (("onnxruntime",), "the library onnxruntime"),
    ):
        monkeypatch.setattr(
            formats.importlib.util, "find_spec", lambda name, out=missing: None if name in out else find_spec(name)
        )
        assert f"--to onnx needs {told}: pip install 'dlcourse[onnx]'" in refused(lab, digits, "--to", "onnx")


def test_what_is_exported_of_a_run_follows_from_its_task() -> None:
    """Each task is in the table, or one of those whose answers take more than one pass."""
    not_exported = {"diffusion", "q_learning", "monte_carlo", "policy_gradient", "actor_critic", "self_play"}
    not_classes = {"auto": "classification", "least_squares": "regression"}  # which make one of the others
    for name in TASKS:
        kind: Any = TASKS[not_classes.get(name, name)]
        assert issubclass(kind, tuple(exported.EXPORTED)) == (name not in not_exported), name


def test_every_format_has_its_module_and_its_line_of_help() -> None:
    assert {format.module for format in FORMATS.values()} == {
        module.__name__.rpartition(".")[2] for module in (onnx_file, torch_export, weights_file)
    } | {"playground"}
    assert all(f"\n  --to {name} " in export.HELP for name in FORMATS)


def test_a_run_is_opened_on_the_processor(lab: Lab, digits: Path) -> None:
    """Wherever it was trained: what is exported holds tensors of the CPU."""
    assert open_run(digits, Choice("cpu")).device.torch_device.type == "cpu"
