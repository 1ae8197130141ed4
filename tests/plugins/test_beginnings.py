"""What `dlcourse new` writes is an entry like those of dlcourse: it fits its registry, and every option is spelled out."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from dlcourse.cli import config_files
from dlcourse.cli.entry_docs import read_entry
from dlcourse.config.options import describe
from dlcourse.config.registry import Choice
from dlcourse.errors import ConfigError, OutputError
from dlcourse.plugins import beginnings
from dlcourse.plugins.beginnings import KINDS, beginning, class_name, write
from dlcourse.plugins.folder import GROUPS
from dlcourse.plugins.named import naming
from dlcourse.training.registries import REGISTRIES, with_plugins


def begin(folder: Path, kind: str, name: str) -> list[Path]:
    """Write the files of a new entry; returns their paths."""
    files, line = beginning(folder, kind, name)
    write(folder, files, line)
    return [file.path for file in files]


@pytest.mark.parametrize("kind", GROUPS)
def test_a_new_entry_is_one_of_its_registry_and_spells_out_every_option(kind: str, tmp_path: Path) -> None:
    begin(tmp_path / "mine", kind, "own_one")
    with naming([tmp_path / "mine"]):
        expected = with_plugins()[kind].schema("own_one")
        path = config_files.entries(kind, config_files.folders(None))["own_one"]
        written = config_files.all_options(path)
        listed = {option.name: option for option in read_entry(kind, path).options if option.depth == 0}
        assert written.pop("name") == "own_one" and sorted(written) == sorted(expected) and written
        assert REGISTRIES[kind].check(Choice("own_one", written)) == {key: p.default for key, p in expected.items()}
    for option, parameter in expected.items():
        assert listed[option].type == describe(parameter.annotation) and listed[option].meaning


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_are_as_tidy_as_those_of_dlcourse(kind: str, tmp_path: Path) -> None:
    files = begin(tmp_path / "mine", kind, "own_one")
    texts = [path.read_text() for path in files]
    assert all(len(line) <= 120 for text in texts for line in text.splitlines())
    assert not any(re.search(r"\b(?:NAME|CLASS)\b", text) for text in texts)
    modules = [str(path) for path in files if path.suffix == ".py"]
    if modules:
        rules = [
            "--isolated",
            "--line-length=120",
            "--select=E,F,W,I,B,C4,N,PTH,RET,RUF,SIM,UP",
            "--config",
            "lint.isort.known-third-party=['dlcourse']",
        ]
        command = [sys.executable, "-m", "ruff", "check", *rules, *modules]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
        command = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length=120", "--check", *modules]
        assert subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.slow
def test_the_tests_that_come_with_new_entries_pass_and_can_fail(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    for kind in GROUPS:
        begin(folder, kind, f"own_{kind}")
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "9 passed" in done.stdout, done.stdout
    for file, right, wrong in (
        ("models/own_model.py", "self.layers(inputs)", "self.layers(0 * inputs)"),
        ("data/own_data.py", "points.norm(dim=1) < self.radius", "points.norm(dim=1) > self.radius"),
        ("tasks/own_task.py", "delta=delta", "delta=2 * delta"),
    ):
        text = (folder / file).read_text()
        assert right in text
        (folder / file).write_text(text.replace(right, wrong))
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    for kind in GROUPS:
        assert f"FAILED tests/test_own_{kind}.py" in done.stdout


@pytest.mark.parametrize(("name", "expected"), [("wide_net", "WideNet"), ("x", "X"), ("a_1b", "A1b"), ("Own", "Own")])
def test_the_name_of_the_class(name: str, expected: str) -> None:
    assert class_name(name) == expected


@pytest.mark.parametrize("name", ["NAME", "CLASSNAME", "tensor", "count", "path"])
def test_a_name_that_stands_in_the_templates_does_no_harm(name: str, tmp_path: Path) -> None:
    begin(tmp_path, "model", name)
    with naming([tmp_path]):
        assert name in with_plugins()["model"]


def test_a_table_that_cannot_be_written_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(tmp_path, "model", "first")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(beginnings, "write_durably", full)
    with pytest.raises(OutputError, match="no space left on device"):
        begin(tmp_path, "model", "second")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("before", ["", "# Mine.", '# Mine.\nmodel.first = "models/first.py:First"\n'])
def test_the_table_keeps_what_was_there(before: str, tmp_path: Path) -> None:
    begin(tmp_path, "model", "first")
    (tmp_path / "plugins.toml").write_text(before)
    begin(tmp_path, "model", "second")
    line = 'model.second = "models/second.py:Second"\n'
    assert (tmp_path / "plugins.toml").read_text() == before + "\n" * (before == "# Mine.") + line


def test_a_table_into_whose_section_the_line_would_fall_is_left_alone(tmp_path: Path) -> None:
    begin(tmp_path, "model", "first")
    text = '[model]\nfirst = "models/first.py:First"\n'
    (tmp_path / "plugins.toml").write_text(text)
    with pytest.raises(ConfigError, match="has a section that a line model"):
        begin(tmp_path, "model", "second")
    assert (tmp_path / "plugins.toml").read_text() == text and not (tmp_path / "models/second.py").exists()


@pytest.mark.parametrize("file", ["models/own.py", "conf/model/own.yaml", "tests/test_own.py"])
def test_no_file_is_overwritten_and_none_is_written_beside_it(file: str, tmp_path: Path) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text("mine")
    with pytest.raises(ConfigError, match=r"exists already; choose another name"):
        begin(tmp_path, "model", "own")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / file]
    assert (tmp_path / file).read_text() == "mine"


def test_of_a_dangling_link_nothing_is_written_through(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    (folder / "models").mkdir(parents=True)
    (folder / "models/own.py").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="exists already"):
        begin(folder, "model", "own")
    (folder / "models/own.py").unlink()
    (folder / "models").rmdir()
    (tmp_path / "other").mkdir()
    (folder / "models").symlink_to(tmp_path / "other")
    with pytest.raises(ConfigError, match="models is a symbolic link"):
        begin(folder, "model", "own")
    assert list((tmp_path / "other").iterdir()) == []


def test_a_name_that_the_table_has_is_refused(tmp_path: Path) -> None:
    begin(tmp_path, "model", "own")
    for path in ("models/own.py", "conf/model/own.yaml", "tests/test_own.py"):
        (tmp_path / path).unlink()
    (tmp_path / "conf/model/own.yaml").write_text("name: own\n")
    with pytest.raises(ConfigError):
        begin(tmp_path, "model", "own")
    assert not (tmp_path / "models/own.py").exists()


def test_if_the_system_refuses_in_the_middle_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = beginnings.write_new
    calls = []

    def full(path: Path, content: bytes) -> None:
        calls.append(path)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        whole(path, content)

    monkeypatch.setattr(beginnings, "write_new", full)
    with pytest.raises(OutputError, match="no space left on device; name another folder with --plugins DIR"):
        begin(tmp_path / "mine", "model", "own")
    assert list(tmp_path.iterdir()) == [], "neither files nor folders"


def test_another_that_takes_the_name_meanwhile_keeps_it(tmp_path: Path) -> None:
    files, line = beginning(tmp_path, "model", "own")
    (tmp_path / "conf/model").mkdir(parents=True)
    (tmp_path / "conf/model/own.yaml").write_text("mine")
    with pytest.raises(ConfigError, match=r"own.yaml exists already; choose another name"):
        write(tmp_path, files, line)
    assert [path.read_text() for path in tmp_path.rglob("*") if path.is_file()] == ["mine"]
