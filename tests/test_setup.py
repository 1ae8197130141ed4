"""scripts/setup: what it asks of pip, told by a stand-in that records its arguments and installs nothing."""

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from conftest import REPOSITORY

PYTHON = """\
#!/usr/bin/env bash
if [ "$1 $2" = "-m venv" ]; then
    mkdir -p "$3/bin"
    cp "$0" "$3/bin/python"
elif [ "$1" != "-c" ]; then
    echo "$@" >> pip.log
fi
"""
CPU = "--index-url https://download.pytorch.org/whl/cpu"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with what the script reads, and a stand-in for Python."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(REPOSITORY / "scripts" / "setup", tmp_path / "scripts")
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    return tmp_path


def set_up(checkout: Path, **environment: str) -> list[str]:
    """Run the script, which must succeed; returns what it has asked of pip so far."""
    done = run(checkout, **environment)
    assert done.returncode == 0, done.stderr
    return (checkout / "pip.log").read_text().splitlines()


def run(checkout: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    outer = {name: value for name, value in os.environ.items() if name != "DLCOURSE_TORCH"}
    command = ["bash", "-euc", "source scripts/setup"]
    given = outer | {"PYTHON": str(checkout / "python")} | environment
    return subprocess.run(command, cwd=checkout, env=given, capture_output=True, text=True, check=False)


def test_by_default_pip_installs_everything_from_its_own_index(checkout: Path) -> None:
    (command,) = set_up(checkout)
    assert command.endswith("--editable .[dev]") and "--index-url" not in command


def test_torch_comes_from_its_cpu_index_first_where_asked_for(checkout: Path) -> None:
    torch, rest = set_up(checkout, DLCOURSE_TORCH="cpu")
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    wanted = [word for word in project["dependencies"] if word.startswith("torch")]
    assert len(wanted) == 2
    assert torch.endswith(f"{CPU} {' '.join(wanted)}")
    assert rest.endswith("--editable .[dev]") and "--index-url" not in rest


def test_nothing_is_installed_twice_until_pyproject_changes(checkout: Path) -> None:
    set_up(checkout, DLCOURSE_TORCH="cpu")
    assert len(set_up(checkout)) == 2
    with (checkout / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    commands = set_up(checkout)
    assert len(commands) == 4 and CPU in commands[2], "the CPU's build again, without being asked"


def test_another_word_is_refused(checkout: Path) -> None:
    done = run(checkout, DLCOURSE_TORCH="rocm")
    assert done.returncode == 2
    assert done.stderr == "DLCOURSE_TORCH must be cpu or not set, got 'rocm'\n"
    assert not (checkout / "pip.log").exists()
