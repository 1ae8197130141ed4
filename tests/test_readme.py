"""README.md and docs/ keep their word: commands are understood, numbers are those of the program, entries are added so."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from conftest import REPOSITORY
from dlcourse.cli import hydra_guard, main
from dlcourse.cli.hydra_overrides import parse
from dlcourse.config.paths import conf_dir
from dlcourse.config.registry import Choice
from dlcourse.config.run_config import RunConfig
from dlcourse.console import Console
from dlcourse.device import cpu
from dlcourse.errors import UserError
from dlcourse.models.summary import count_parameters
from dlcourse.training.build import build_data, build_task, check_entries, unfitted_model
from lab import Lab, composed
from tiny_data import tiny_data
from transcripts import PAGES

DOCS = REPOSITORY / "docs"
EVERYTHING = "\n".join(page.read_text(encoding="utf-8") for page in [*PAGES, REPOSITORY / "CONTRIBUTING.md"])
EXTENDING = (DOCS / "extending.md").read_text(encoding="utf-8")
ADDED = ("bottleneck", "checkerboard", "quantile", "asgd")
WALKS_TABLES = re.compile(r"(?:\bin |list\(|set\(|sorted\()(?:MODELS|REGISTRIES|GROUPS)\b")


def part(page: str, beginning: str, end: str) -> str:
    """What stands in a page between two texts that have to be there."""
    text = (DOCS / page).read_text(encoding="utf-8")
    assert beginning in text and end in text.partition(beginning)[2], f"{page} without {beginning!r} ... {end!r}"
    return text.partition(beginning)[2].partition(end)[0]


def blocks(text: str) -> list[str]:
    """What stands between fences, without the indentation of a list; `console` is for tests/test_docs.py."""
    found = re.findall(r"^ *```(\w*)[^`\n]*\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for kind, block in found if kind != "console"]


# What is added step by step


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which every step of docs/extending.md has been taken, letter by letter."""
    copy = tmp_path_factory.mktemp("extended")
    for name in ("src", "conf", "tests", "scripts"):
        shutil.copytree(REPOSITORY / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(REPOSITORY / name, copy)
    steps = re.findall(r"^\d\. (?:.|\n(?!\d\. |\n?[^ \n]))*", EXTENDING, re.MULTILINE)
    assert len(steps) == 17
    for step in steps:
        file = copy / re.findall(r"`((?:src|conf|tests)/[\w/.]+)`", step)[0]
        (block,) = blocks(step)
        if step[3:].startswith("Write"):
            assert not file.exists()
            file.write_text(block, encoding="utf-8")
        else:
            assert step[3:].startswith("Add")
            file.write_text(with_pieces(file.read_text(encoding="utf-8"), block), encoding="utf-8")
    return copy


def with_pieces(source: str, block: str) -> str:
    """The source with imports, a function, a line of a table: a block's pieces in their places."""
    pieces = re.split(r"\n\n(?! )", block.rstrip("\n"))
    table = re.search(r"^[A-Z]+: (?:Registry|dict)\b", source, re.MULTILINE)
    for piece in pieces:
        before, rest = source[: table.start()], source[table.start() :]
        if piece.startswith("from "):
            imports = re.findall(r"^from dlcourse\..*\n", before, re.MULTILINE)
            together = "".join(imports)
            assert together in before
            source = before.replace(together, "".join(sorted([*imports, f"{piece}\n"]))) + rest
        elif piece.startswith("def "):
            source = f"{before}{piece}\n\n\n{rest}"
        else:
            end = re.search(r"^( *)\}", rest, re.MULTILINE)
            source = f"{before}{rest[: end.start()]}{end[1]}    {piece}\n{rest[end.start() :]}"
        table = re.search(r"^[A-Z]+: (?:Registry|dict)\b", source, re.MULTILINE)
    return source


def run(folder: Path, *words: str, **environment: str) -> None:
    """Run a Python module on the project in that folder; it must succeed."""
    paths = os.pathsep.join(str(folder / name) for name in ("src", "tests"))
    outer = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env=outer | {"PYTHONPATH": paths} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_what_is_added_step_by_step_passes_its_tests_and_every_one_that_walks_the_tables(extended: Path) -> None:
    tests = sorted((extended / "tests").rglob("test_*.py"))
    own = [path for path in tests if not (REPOSITORY / path.relative_to(extended)).exists()]
    assert len(own) == 4
    walkers = [path for path in tests if path.name != "test_docs.py" and WALKS_TABLES.search(path.read_text())]
    assert {"test_design.py", "test_compatibility.py", "test_list_entries.py"} <= {path.name for path in walkers}
    run(extended, "pytest", "-q", "-x", "-p", "some_entries", *map(str, [*own, *walkers]), ENTRIES=" ".join(ADDED))


@pytest.mark.slow
def test_what_is_added_step_by_step_is_as_tidy_as_the_rest(extended: Path) -> None:
    run(extended, "ruff", "check", "src", "tests")
    run(extended, "ruff", "format", "--check", "src", "tests")
    run(extended, "mypy")


@pytest.mark.slow
def test_what_was_added_does_what_the_page_says(extended: Path) -> None:
    commands = re.findall(r"^Now `dlcourse ([^`]*)`", EXTENDING, re.MULTILINE)
    assert len(commands) == 5
    for command in commands:
        short = ["trainer.epochs=2"] if command.startswith("train") else []
        run(extended, "dlcourse", *command.split(), *short)
    assert len(list((extended / "outputs").glob("*/*/report.json"))) == 4
    assert len(list((extended / "outputs").glob("checkerboard-mlp/*/decision_boundary.png"))) == 1


# Commands


def commands(verb: str) -> list[str]:
    """The words behind `dlcourse VERB` of each such line in a block."""
    lines = [line for block in blocks(EVERYTHING) for line in block.splitlines()]
    found = [line.split("  #")[0] for line in lines if re.match(rf"dlcourse {verb}(?: |$)", line)]
    return sorted({line.removeprefix(f"dlcourse {verb}") for line in found})


def rows() -> list[tuple[str, str]]:
    """Command and parameters of each row in the tables of results."""
    tables = (DOCS / "results.md").read_text(encoding="utf-8").split("| command | parameters |")[1:]
    assert len(tables) == 3
    lines = [line.split(" | ") for table in tables for line in table.partition("\n\n")[0].splitlines()[2:]]
    return [(cells[0].split("`")[1], cells[1]) for cells in lines]


@pytest.mark.parametrize("command", commands("train"))
def test_a_command_to_train_is_understood(command: str) -> None:
    words = shlex.split(command)
    is_sweep = "-m" in words
    overrides = parse([word for word in words if word != "-m"])
    hydra_guard.check(overrides, [conf_dir()], sweep=is_sweep)
    if not is_sweep:
        check_entries(composed(*words))


@pytest.mark.parametrize("command", [*commands("sample"), *commands("resume")])
def test_a_command_on_a_run_is_understood_up_to_the_run(command: str, lab: Lab) -> None:
    verb = "sample" if command in commands("sample") else "resume"
    assert main.main([verb, *shlex.split(command)]) == 2
    assert "does not exist" in lab.capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [pytest.param(command, marks=pytest.mark.slow if "-xl" in command else ()) for command in commands("summary")],
)
def test_a_command_to_summarize_is_understood(command: str, lab: Lab) -> None:
    words = shlex.split(command)
    is_run = any(word.startswith("outputs") for word in words)
    assert main.main(["summary", *words]) == (2 if is_run else 0)
    assert is_run == ("does not exist" in lab.capsys.readouterr().err)


def test_named_entries_exist() -> None:
    for group, name in re.findall(r"\b(model|data|optimizer|experiment|features|trainer)=([a-z]\w*)", EVERYTHING):
        known = name in (*ADDED, "cnm", "adamm", "wide", "small_net") or (conf_dir() / group / f"{name}.yaml").is_file()
        assert known, f"{group}={name}"


# Numbers


def tiny(config: RunConfig, folder: Path) -> RunConfig:
    """The same config on files that have the real ones' shapes, and few examples."""
    words = [word for word in tiny_data(config.data.name, folder)[1:] if not word.startswith("data.context=")]
    few = dict(composed(f"data={config.data.name}", *words).data.options)
    given = {word.partition("=")[0].removeprefix("data.") for word in words} | {"subset", "windows"}
    options = {**config.data.options, **{name: value for name, value in few.items() if name in given}}
    return RunConfig(**{**vars(config), "data": Choice(config.data.name, options)})


@pytest.mark.parametrize(("command", "parameters"), rows())
def test_a_model_has_the_number_of_parameters_told(command: str, parameters: str, tmp_path: Path) -> None:
    device, config = cpu(), tiny(composed(*shlex.split(command)), tmp_path)
    if config.data.name in ("tinyshakespeare", "preferences"):
        symbols = "\no" + "".join(map(chr, range(33, 96)))  # the real text has 65 different ones
        (tmp_path / "text" / "tinyshakespeare.txt").write_text(40 * symbols, encoding="utf-8")
    data = build_data(config, device)
    if config.task.name == "rlhf":  # which needs the runs that it starts from
        model = unfitted_model(config, data.spec)
    else:
        model = build_task(config, data, device, Console()).model
    assert f"{count_parameters(model):,}" == parameters


def test_exit_codes_are_those_of_the_program() -> None:
    (sentence,) = re.findall(r"^Exit codes: (.*?)`--traceback`", EVERYTHING, re.MULTILINE | re.DOTALL)
    told = {int(code): words for code, words in re.findall(r"(\d+) ([^;,.]*)", sentence)}
    in_help = main.HELP.partition("Exit codes:")[2]
    assert set(told) == {int(code) for code in re.findall(r"\b\d+\b", in_help)} | {129}
    for error in UserError.__subclasses__():
        assert error.exit_code in told
    assert told[2].startswith("bad input") and told[0].startswith("done")


@pytest.mark.usefixtures("with_pictures")
def test_a_run_leaves_the_files_listed(lab: Lab) -> None:
    cells = re.findall(r"^\| (`.*?) \|", part("concepts/run-folder.md", "| file | what |\n", "\n\n"), re.MULTILINE)
    listed = {name.rstrip("/") for cell in cells for name in re.findall(r"`(.*?)`", cell)}
    folder = lab.train("data=digits", "model=mlp", "model.hidden=[8]", "data.subset=200", "trainer.epochs=1")
    left = {path.name for path in folder.iterdir() if not path.name.startswith((".", "events."))}
    assert left - {"confusion_matrix.csv"} <= listed
    sometimes = {"progress", *(name for name in listed if name.endswith(".png"))} - {
        "mistakes.png",
        "learning_curve.png",
    }
    assert listed - sometimes - {".csv", "coefficients.csv"} <= left  # which only a linear model leaves
