"""Code of a plug-in folder: what it defines must fit the registry, and what goes wrong in it is told by file and line."""

import dataclasses
import sys
from pathlib import Path

import pytest
from torch import nn

import dlcourse
from dlcourse.cli.main import main
from dlcourse.config.registry import Choice
from dlcourse.errors import ConfigError
from dlcourse.models import MODELS
from dlcourse.plugins.load import load_entry
from dlcourse.plugins.named import naming
from dlcourse.spec import DataSpec
from dlcourse.training.registries import with_plugins
from own_entries import CODE, SHORT, bottleneck

SPEC = DataSpec("table", (6,), 3)


def test_an_entry_is_one_of_its_registry_while_its_folder_is_named(tmp_path: Path) -> None:
    folder = bottleneck(tmp_path / "mine")
    with naming([folder]):
        model = with_plugins()["model"].build(Choice("bottleneck", {"units": 3}), spec=SPEC)
        assert isinstance(model, nn.Module) and model.layers[1].out_features == 3
        with pytest.raises(ConfigError, match=r"model.units must be a whole number >= 1, got 0"):
            MODELS.check(Choice("bottleneck", {"units": 0}))
    assert "bottleneck" not in with_plugins()["model"]


def test_nothing_is_written_beside_a_module_and_a_changed_one_is_loaded_anew(tmp_path: Path) -> None:
    folder = bottleneck(tmp_path)
    before = sorted(folder.rglob("*"))
    first = load_entry(folder, "model", "bottleneck")
    assert load_entry(folder, "model", "bottleneck") is first
    assert sorted(folder.rglob("*")) == before
    (folder / "models/bottleneck.py").write_text(CODE.replace("Count = 2", "Count = 5"))
    assert load_entry(folder, "model", "bottleneck")(SPEC).layers[1].out_features == 5


def test_the_code_that_runs_is_the_code_that_was_read(tmp_path: Path) -> None:
    """A compiled copy that somebody has put beside it counts for nothing."""
    folder = bottleneck(tmp_path)
    source = folder / "models/bottleneck.py"
    cache = folder / "models/__pycache__" / f"bottleneck.{sys.implementation.cache_tag}.pyc"
    cache.parent.mkdir()
    cache.write_bytes(b"not Python at all")
    other = folder / "other.py"
    other.write_text("class Bottleneck: evil = True\n")
    import py_compile

    py_compile.compile(
        str(other), str(cache), dfile=str(source), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )
    assert not hasattr(load_entry(folder, "model", "bottleneck"), "evil")


def test_a_data_class_finds_the_types_of_its_fields(tmp_path: Path) -> None:
    code = CODE.replace("\nclass", "\n@dataclass(eq=False)\nclass").replace(
        "from torch", "from dataclasses import dataclass\nfrom torch"
    )
    code = (
        "from __future__ import annotations\n"
        + code[: code.index("    def")]
        + "    spec: DataSpec\n    units: Count = 2\n"
    )
    entry = load_entry(bottleneck(tmp_path, code), "model", "bottleneck")
    assert dataclasses.fields(entry)[1].default == 2


def test_an_entry_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no model 'bottle' in its plugins.toml"):
        load_entry(bottleneck(tmp_path), "model", "bottle")


REFUSED = {
    "no spec": (CODE.replace("spec: DataSpec, ", "").replace("spec.num_features", "4").replace("spec.num_outputs", "3"),
                "Bottleneck has no parameter 'spec'; expected __init__(self, spec, ...)"),
    "an option without a type": (CODE.replace("units: Count = 2", "units=2"), "option 'units' has no type; write one"),
    "an option of a type that is none": (CODE.replace("units: Count", "units: list"), "option 'units' has no type that"),
    "an option of a list of anything": (CODE.replace("units: Count", "units: list[int]"), "option 'units' has no type that"),
    "a type that is not there": (CODE.replace("units: Count", 'units: "Size"'), "its parameters cannot be read: name"),
    "any options": (CODE.replace("units: Count = 2", "**units: int"), "option 'units' takes any number of options"),
    "no module": (CODE.replace("(nn.Module)", "").replace("super().__init__()", "pass").replace("forward", "apply"),
                  "Bottleneck is not a model; expected a class derived from torch.nn.Module"),
    "a number": (CODE.replace("class Bottleneck", "class Other") + "Bottleneck = 3\n", "Bottleneck is not a class"),
    "another name": (CODE.replace("class Bottleneck", "class Other"),
                     "has no 'Bottleneck', which model.bottleneck names; there are: Other"),
    "a module that is not installed": ("import torchh\n" + CODE, "bottleneck.py line 1: ModuleNotFoundError: No module"),
    "an error": (CODE + "\n1 / 0\n", f"bottleneck.py line {CODE.count(chr(10)) + 2}: ZeroDivisionError: division by zero"),
    "an end of the program": ("raise SystemExit(0)\n" + CODE, "bottleneck.py line 1: SystemExit: 0"),
    "an import from beside": ("from other import x\n" + CODE, "bottleneck.py line 1: ModuleNotFoundError"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_told_in_one_line(name: str, tmp_path: Path) -> None:
    code, expected = REFUSED[name]
    folder = bottleneck(tmp_path / "mine", code)
    with pytest.raises(ConfigError) as refused:
        load_entry(folder, "model", "bottleneck")
    line = str(refused.value)
    assert line.startswith(f"{folder}/models/bottleneck.py") and expected in line and "\n" not in line


def test_what_does_not_fit_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    bottleneck(tmp_path / "mine", CODE + "\n1 / 0\n")
    assert main(["train", *SHORT, "--plugins", "mine"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.count("ZeroDivisionError") == err.count("bottleneck.py") == 1
    assert not Path("outputs").exists()


def test_data_and_tasks_must_be_of_their_kind(tmp_path: Path) -> None:
    for group, expected in (
        ("data", "is not a data set; expected a class"),
        ("task", "is not a task; expected a class"),
    ):
        folder = bottleneck(tmp_path / group, line=f'{group}.bottleneck = "models/bottleneck.py:Bottleneck"\n')
        (folder / "conf/model").rename(folder / "conf" / group)
        with pytest.raises(ConfigError, match=expected):
            load_entry(folder, group, "bottleneck")


def test_a_task_must_define_what_a_task_does(tmp_path: Path) -> None:
    code = "from dlcourse.tasks.task import PredictionTask\nclass Bottleneck(PredictionTask):\n    pass\n"
    folder = bottleneck(tmp_path, code, 'task.bottleneck = "models/bottleneck.py:Bottleneck"\n')
    (folder / "conf/model").rename(folder / "conf/task")
    with pytest.raises(ConfigError, match="does not define losses, which a task needs"):
        load_entry(folder, "task", "bottleneck")


def test_an_error_in_the_model_is_told_by_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a defect of dlcourse would be without the plug-in is no defect of dlcourse."""
    monkeypatch.chdir(tmp_path)
    bottleneck(tmp_path / "mine", CODE.replace("self.layers(inputs)", "self.layer(inputs)"))
    assert main(["train", *SHORT, "--plugins", "mine"]) == 1
    line = CODE[: CODE.index("return")].count("\n") + 1
    err = capsys.readouterr().err
    assert err.startswith(f"dlcourse: plug-in error: mine/models/bottleneck.py line {line}: AttributeError: ")
    assert err.count("\n") == 1


def test_a_shape_that_does_not_fit_is_told_with_the_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    bottleneck(tmp_path / "mine", CODE.replace("nn.Linear(units,", "nn.Linear(1 + units,"))
    assert main(["train", *SHORT, "--plugins", "mine"]) == 2
    err = capsys.readouterr().err
    assert "model 'bottleneck' with task 'auto' cannot take data 'iris'" in err or "'classification'" in err
    assert "mine/models/bottleneck.py line 19)" in err and err.count("\n") == 1


def test_from_python_a_folder_counts_for_the_call_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = bottleneck(tmp_path / "mine")
    run = dlcourse.train(*SHORT, plugins=folder)
    assert sum(parameter.numel() for parameter in run.model.parameters()) == 4 * 2 + 2 + 2 * 3 + 3
    assert len(dlcourse.load(run.folder, plugins=[folder]).data().test) == 30
    with pytest.raises(ConfigError, match="model 'bottleneck' is from a plug-in folder; name it: --plugins DIR"):
        _ = dlcourse.load(run.folder).model
    with pytest.raises(ConfigError, match="unknown model 'bottleneck'"):
        dlcourse.train(*SHORT)
