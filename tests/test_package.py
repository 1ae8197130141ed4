"""The package as users install it: sdist, wheel from the sdist, and a run outside any checkout."""

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from conftest import REPOSITORY


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel built from the sdist, in a folder outside the checkout."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(REPOSITORY)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_config_files_and_the_plugins(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        f"dlcourse/conf/{path.relative_to(REPOSITORY / 'conf')}" for path in (REPOSITORY / "conf").rglob("*.yaml")
    }
    assert expected <= names
    assert "hydra_plugins/dlcourse_sweep.py" in names
    beginnings = (REPOSITORY / "src" / "dlcourse" / "plugins" / "templates").iterdir()
    assert {f"dlcourse/plugins/templates/{path.name}" for path in beginnings} <= names
    templates = (REPOSITORY / "src" / "dlcourse" / "pages" / "templates").glob("*.j2")
    assert {f"dlcourse/pages/templates/{path.name}" for path in templates} <= names
    assert not any(name.startswith(("tests/", "conf/")) for name in names)


def test_the_wheel_says_that_it_is_typed(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    assert "dlcourse/py.typed" in archive.namelist()
    (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    assert "Classifier: Typing :: Typed" in archive.read(metadata).decode()


@pytest.mark.slow
def test_an_installed_wheel_trains_outside_any_checkout(wheel: Path, tmp_path: Path) -> None:
    site, work = tmp_path / "site", tmp_path / "work"
    work.mkdir()
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    where = subprocess.run(
        [sys.executable, "-c", "import dlcourse.config.paths as p; print(p.conf_dir())"],
        cwd=work, env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert Path(where.stdout.strip()) == site / "dlcourse" / "conf"
    command = [sys.executable, "-m", "dlcourse", "train", "data=iris", "trainer.epochs=2"]
    done = subprocess.run(command, cwd=work, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(list(work.glob("outputs/iris-mlp/*/report.json"))) == 1


@pytest.mark.slow
def test_with_an_installed_wheel_a_model_of_the_user_s_own_is_made_tested_listed_and_trained(
    wheel: Path, tmp_path: Path
) -> None:
    """In an environment that has no checkout: of this one it sees the libraries, and not dlcourse."""
    environment, work = tmp_path / "environment", tmp_path / "work"
    work.mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True, capture_output=True)
    (site,) = environment.glob("lib/python*/site-packages")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    for path in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if "dlcourse" not in path.name and path.suffix != ".pth" and not (site / path.name).exists():
            (site / path.name).symlink_to(path)
    outer = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST_", "DLCOURSE_PL"))
    }

    def python(*words: str, code: int = 0) -> str:
        done = subprocess.run(
            [str(environment / "bin/python"), *words], cwd=work, env=outer, check=False, capture_output=True, text=True
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    where = python("-P", "-c", "import dlcourse.config.paths as p; print(p.conf_dir())")
    assert Path(where.strip()) == site / "dlcourse" / "conf"
    dlcourse = ("-P", "-m", "dlcourse")
    made = python(*dlcourse, "new", "model", "bottleneck", "--plugins", "mine")
    assert "mine/models/bottleneck.py" in made
    train = ("train", "model=bottleneck", "data=digits", "trainer.epochs=2", "report=light")
    assert f"next   dlcourse {' '.join(train[:3])} --plugins mine" in made
    assert "3 passed" in python("-m", "pytest", "-q", "-p", "no:cacheprovider", "mine/tests")
    assert "model  bottleneck   4,810 parameters" in python(*dlcourse, *train, "--plugins", "mine")
    assert len(list(work.glob("outputs/digits-bottleneck/*/report.json"))) == 1
    assert "bottleneck" in python(*dlcourse, "list", "--plugins", "mine")
    assert "bottleneck" not in python(*dlcourse, "list")
    assert "unknown model 'bottleneck'" in python(*dlcourse, *train, code=2)
    evaluate = ("evaluate", "outputs/digits-bottleneck")
    assert "is from a plug-in folder; name it: --plugins DIR" in python(*dlcourse, *evaluate, code=2)
    assert "accuracy" in python(*dlcourse, *evaluate, "--plugins", "mine")


def requirements() -> list[str]:
    """What pyproject.toml asks for: the dependencies, and those of every extra."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [*project["dependencies"], *(word for extra in project["optional-dependencies"].values() for word in extra)]


@pytest.mark.parametrize("required", sorted(set(requirements())))
def test_the_lock_pins_what_pyproject_asks_for_at_a_version_that_it_allows(required: str) -> None:
    lock = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+) \\\n    --hash=sha256:[0-9a-f]{64}$", lock, re.MULTILINE))
    assert len(pinned) == lock.count("=="), "every pin has one hash"
    requirement = Requirement(required)
    name = canonicalize_name(requirement.name)
    assert name in pinned, "run scripts/lock"
    assert requirement.specifier.contains(pinned[name]), "run scripts/lock"


def in_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import sys; before = {*sys.modules}; import dlcourse; print(sorted({*sys.modules} - before))"
    assert in_python(code) == "['dlcourse']"


def test_the_names_of_the_package_are_imported_when_they_are_used() -> None:
    code = (
        "import sys, dlcourse; assert {*dlcourse.__all__} <= {*dir(dlcourse)}; "
        "print([callable(getattr(dlcourse, name)) for name in dlcourse.__all__ if name != '__version__'], "
        "[name for name in ('torch', 'sklearn', 'matplotlib', 'torchvision') if name in sys.modules])"
    )
    assert in_python(code) == "[True, True, True, True, True] []"
    assert in_python("from dlcourse import *; print(load.__name__, train.__name__, runs('tests'))") == "load train []"


def test_the_package_of_run_folders_lists_them_whichever_way_it_is_imported() -> None:
    code = (
        "import dlcourse.runs.find; from dlcourse import runs; print(runs is dlcourse.runs, runs('tests'), runs.find)"
    )
    assert in_python(code).startswith("True [] <module 'dlcourse.runs.find'")


def test_a_name_that_is_not_there_is_no_attribute() -> None:
    assert in_python("import dlcourse; print(hasattr(dlcourse, 'lod'))") == "False"
    assert in_python("import dlcourse\ntry: dlcourse.lod\nexcept AttributeError as e: print(e)") == (
        "module 'dlcourse' has no attribute 'lod'"
    )
