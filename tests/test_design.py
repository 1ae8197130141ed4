"""The rules of the house: one file for each entry, every option spelled out, imports in one direction."""

import ast
import dataclasses
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dlcourse.cli.config_files import SHARED, all_options, entries, parts
from dlcourse.cli.entry_docs import read_entry
from dlcourse.config.options import Schema, check_options, describe, schema
from dlcourse.config.paths import conf_dir
from dlcourse.config.registry import Choice
from dlcourse.config.run_config import GROUPS, TrainerConfig
from dlcourse.training.registries import REGISTRIES

ENTRIES = [(group, name) for group, registry in REGISTRIES.items() for name in registry]
PACKAGE = Path(__file__).resolve().parents[1] / "src" / "dlcourse"


@pytest.mark.parametrize("group", REGISTRIES)
def test_every_entry_has_its_file_and_every_file_its_entry(group: str) -> None:
    assert {path.stem for path in (conf_dir() / group).glob("*.yaml")} == set(REGISTRIES[group])


@pytest.mark.parametrize(("group", "name"), ENTRIES)
def test_a_file_names_its_entry_and_says_what_it_is(group: str, name: str) -> None:
    text = (conf_dir() / group / f"{name}.yaml").read_text(encoding="utf-8")
    assert re.match(r"# \S.{10,}[.:]\n", text), "the first line is a comment that says what this is"
    assert yaml.safe_load(text)["name"] == name


@pytest.mark.parametrize(("group", "name"), ENTRIES)
def test_a_file_spells_out_every_option_with_type_default_and_meaning(group: str, name: str) -> None:
    path = conf_dir() / group / f"{name}.yaml"
    first, *written = all_options(path)
    assert first == "name", "the file's own lines come first: _self_ stands before what is shared"
    expected = REGISTRIES[group].schema(name)
    assert sorted(written) == sorted(expected)
    values = {option: all_options(path)[option] for option in written}
    built = REGISTRIES[group][name]
    if dataclasses.is_dataclass(built):
        assert built(**REGISTRIES[group].check(Choice(name, values))) == built()
    else:
        assert REGISTRIES[group].check(Choice(name, values)) == {key: p.default for key, p in expected.items()}
    check_comments(path, expected)


@pytest.mark.parametrize("name", sorted(path.stem for path in (conf_dir() / "trainer").glob("*.yaml")))
def test_a_trainer_file_spells_out_every_option(name: str) -> None:
    path = conf_dir() / "trainer" / f"{name}.yaml"
    written = all_options(path)
    assert list(written) == list(schema(TrainerConfig))
    if name == "default":
        assert TrainerConfig(**check_options(TrainerConfig, written, where="trainer")) == TrainerConfig()
    check_comments(path, schema(TrainerConfig))


def check_comments(path: Path, expected: Schema) -> None:
    """What `dlcourse list` says of an entry's options are their types, each with a meaning."""
    listed = {option.path: option for option in read_entry(path.parent.name, path).options}
    for names, parameter in nested(expected):
        option = listed.pop(names)
        assert option.type == describe(parameter.annotation) and option.meaning, f"{path.stem}: {option}"
    assert not listed


def nested(expected: Schema, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, parameter in expected.items():
        yield (*above, name), parameter
        if dataclasses.is_dataclass(parameter.annotation):
            yield from nested(schema(parameter.annotation), (*above, name))


def test_an_option_that_data_sets_share_stands_once() -> None:
    files = list((conf_dir() / "data").rglob("*.yaml"))
    lines = Counter(line for path in files for line in path.read_text(encoding="utf-8").splitlines())
    assert [line for line, count in lines.items() if count > 2 and re.match(r" *\w+: .*#", line)] == []


def test_every_shared_file_says_for_what_it_is_and_is_used() -> None:
    used = {part for group in GROUPS for path in entries(group, [conf_dir()]).values() for part in parts(path)}
    shared = set(conf_dir().rglob(f"{SHARED}/*.yaml"))
    assert shared and shared <= used
    for path in shared:
        assert re.match(r"# For \S.{10,}\.\n", path.read_text(encoding="utf-8"))


LAYERS = (
    "errors signals terminal text_table",
    "error_line",
    "console files html_table",
    "state_dict config",
    "plugins",
    "plots device",
    "gpt_sizes rng optim spec",
    "tokens metrics environments",
    "runs",
    "data models",
    "tasks",
    "training",
    "sweeps",
    "pages",
    "export",
    "lectures",
    "cli",
    "api",
    "__main__",
)
"""The modules and packages of dlcourse: each may import those of the lines before its own."""


def test_imports_go_one_way() -> None:
    before = {"__version__"}
    for layer in LAYERS:
        for package in layer.split():
            for path in [PACKAGE / f"{package}.py", *(PACKAGE / package).rglob("*.py")]:
                if path.exists():
                    upward = imported_packages(path) - before - {package}
                    assert not upward, f"{path.relative_to(PACKAGE)} imports {sorted(upward)}"
        before |= set(layer.split())


def test_every_package_has_its_layer() -> None:
    found = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert found == {"__init__", *(package for layer in LAYERS for package in layer.split())}


def test_every_module_has_a_test_that_names_it() -> None:
    tests = Path(__file__).parent
    imported = {name for path in tests.rglob("test_*.py") for name in imported_modules(path)}
    untested = [
        str(module)
        for module in (path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
        if module.stem not in ("__init__", "__main__")
        and ".".join(("dlcourse", *module.with_suffix("").parts)) not in imported
        and not (tests / module.with_name(f"test_{module.name}")).exists()
    ]
    assert untested == [], "import it in a test, or write tests/FOLDER/test_MODULE.py"


def imported_packages(path: Path) -> set[str]:
    """The modules and packages of dlcourse that a file imports, by the first part of their names."""
    return {name.split(".")[1] for name in imported_modules(path) if name.startswith("dlcourse.")}


def imported_modules(path: Path) -> set[str]:
    """The names that a file imports in full, `package.module` and what of it: `a.b` and `a.b.c` for `from a.b import c`."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
    return modules


@pytest.mark.parametrize(
    "module",
    [
        "cli.main",
        "config.run_config",
        "cli.list_entries",
        "plots",
        "cli.train",
        "cli.summary",
        "config.registry",
        "api.run",
        "api.train",
    ],
)
def test_what_runs_before_training_imports_nothing_heavy(module: str) -> None:
    code = (
        f"import sys, dlcourse.{module}; "
        "print([m for m in ('torch', 'sklearn', 'matplotlib', 'torchvision') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


_AT_THE_FIRST_STEP = """
import sys
heavy = sys.argv.pop().split(",")
import dlcourse.optim.step
from dlcourse.cli.main import command

descend = dlcourse.optim.step.ScheduledOptimizer.descend

def first_step(self, loss):
    descend(self, loss)
    print("found", [name for name in heavy if name in sys.modules])
    sys.exit()

dlcourse.optim.step.ScheduledOptimizer.descend = first_step
sys.exit(command())
"""


@pytest.mark.parametrize("choice", ["data=digits", "data=shapes model=cnn", "data=text data.file=words.txt model=gru"])
def test_what_runs_before_the_first_step_imports_nothing_that_it_does_not_need(choice: str, tmp_path: Path) -> None:
    """torch's compiler takes a second to import, scikit-learn with SciPy two, Matplotlib half a second."""
    (tmp_path / "words.txt").write_text("to be or not to be, that is the question " * 40)
    heavy = "torch._dynamo,torch._inductor,sympy,sklearn,scipy,matplotlib,torchvision"
    command = [sys.executable, "-c", _AT_THE_FIRST_STEP, "train", *choice.split()]
    found = subprocess.run([*command, heavy], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "found []" in found.stdout, found.stdout + found.stderr


def test_nothing_in_the_package_runs_foreign_code() -> None:
    banned = re.compile(
        r"(?<!safetensors\.)torch\.load|allow_pickle=True|hydra\.utils\.instantiate|(?<![.\w])eval\(|(?<![.\w])exec\(|shell=True|extractall"
    )
    found = {
        f"{path.name}: {match[0]}"
        for path in PACKAGE.rglob("*.py")
        for match in banned.finditer(path.read_text(encoding="utf-8"))
    }
    assert found == {"pretrained.py: torch.load"}  # with weights_only=True: see test_security.py
