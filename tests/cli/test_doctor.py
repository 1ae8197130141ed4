"""`dlcourse doctor` finds planted faults: each is planted by real means, and looked for by a real process."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from conftest import REPOSITORY
from dlcourse.cli import doctor, doctor_finding, doctor_system, doctor_torch
from dlcourse.cli.main import main
from dlcourse.config.machine import cores
from torture import full_disk

Found = list[dict[str, str]]
assert doctor_finding.Finding("data", "ok", "").to_mapping()["fix"] == ""


def examined(folder: Path, *path: Path, shell: str = "", **changes: str) -> tuple[int, Found]:
    """The exit code and the findings of a real process, with these folders in front of the path of modules."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), "DLCOURSE_DATA": str(folder), **changes}
    command = shlex.join([sys.executable, "-m", "dlcourse", "doctor", "--json"])
    ended = subprocess.run(
        ["sh", "-c", f"{shell}{command}"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode in (0, 1) and "Traceback" not in ended.stderr, ended.stderr
    return ended.returncode, json.loads(ended.stdout)


def faults(found: Found) -> dict[str, str]:
    """The lines that are not ok, by the name of their check."""
    told: dict[str, str] = {}
    for each in found:
        if each["state"] != "ok":
            line = f"{each['state']}: {each['text']}; {each['fix']}"
            told[each["check"]] = f"{told[each['check']]}\n{line}" if each["check"] in told else line
    return told


def stand_in(folder: Path, module: str, code: str) -> Path:
    """A package of this name and code, to be found before the real one."""
    (folder / module).mkdir(parents=True)
    (folder / module / "__init__.py").write_text(code)
    return folder


def without_torch(folder: Path) -> Path:
    """A torch that does not import, as one whose library of CUDA is missing: a process that ends after half a second."""
    code = 'raise ImportError("libcudart.so.13: cannot open shared object file: No such file or directory")\n'
    return stand_in(folder / "without_torch", "torch", code)


def installed(folder: Path, name: str, version: str, *lines: str) -> Path:
    """What pip has noted of an installed package, to be found before the note on the real one."""
    place = folder / f"{name}-{version}.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text(
        "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *lines, ""])
    )
    return folder


def torchvision_without_operators(folder: Path) -> Path:
    """The real torchvision without its library, which is what one that was built for another torch comes to."""
    real = Path(str(metadata.distribution("torchvision").locate_file("torchvision")))
    (folder / "torchvision").mkdir(parents=True)
    for path in real.iterdir():
        if path.suffix != ".so":
            (folder / "torchvision" / path.name).symlink_to(path)
    return folder


def plugin(folder: Path) -> Path:
    (folder / "hydra_plugins").mkdir(parents=True)
    (folder / "hydra_plugins" / "colorful.py").write_text("x = 1\n")
    return folder


def source(folder: Path) -> Path:
    """A copy of dlcourse and its config files; returns the folder to import it from."""
    kept = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "src", folder / "src", ignore=kept)
    shutil.copytree(REPOSITORY / "conf", folder / "conf")
    return folder / "src"


@pytest.mark.slow
def test_six_faults_at_once(tmp_path: Path) -> None:
    place, data = tmp_path / "packages", tmp_path / "data"
    torchvision_without_operators(place)
    installed(place, "tqdm", "4.1")
    plugin(place)
    (data / "text").mkdir(parents=True)
    (data / "text" / "tinyshakespeare.txt").write_text("To be, or nought to be.\n")
    copy = source(tmp_path / "copy")
    (copy.parent / "conf" / "model" / "cnn.yaml").unlink()
    code, found = examined(data, copy, place, OMP_NUM_THREADS=str(cores() + 1), TMPDIR="/nosuch/folder")
    told = faults(found)
    assert code == 1
    assert set(told) == {"packages", "plugins", "threads", "disk", "torchvision", "entries", "data"}
    assert told["packages"].startswith(f"fail: tqdm is 4.1, and dlcourse needs >=4.66 (in {place})")
    assert told["packages"].endswith("pip install 'tqdm>=4.66'")
    assert "hydra_plugins.colorful is not part of dlcourse" in told["plugins"]
    assert told["plugins"].startswith("warn: ") and f"take {place} off PYTHONPATH" in told["plugins"]
    assert told["threads"].startswith(f"warn: OMP_NUM_THREADS={cores() + 1} is more than the {cores()} CPU core")
    assert told["disk"] == "warn: TMPDIR=/nosuch/folder is not a folder; mkdir -p /nosuch/folder, or unset TMPDIR"
    assert told["torchvision"].startswith("fail: ") and "does not work with torch" in told["torchvision"]
    assert told["torchvision"].endswith("pip install --force-reinstall torch torchvision")
    assert told["entries"].startswith(
        f"fail: {copy.parent / 'conf' / 'model' / 'cnn.yaml'} is missing; reinstall dlcourse"
    )
    assert "data=tinyshakespeare: " in told["data"] and "tinyshakespeare.txt: sha256 differs" in told["data"]
    assert told["data"].endswith("delete it to download it again, or write data.verify=false for a repacked copy")
    assert [each["state"] for each in found if each["check"] == "training"] == ["ok"]


@pytest.mark.slow
def test_nothing_is_found_where_nothing_is_wrong_and_nothing_is_left(tmp_path: Path) -> None:
    code, found = examined(tmp_path, OMP_NUM_THREADS="1")
    assert (code, faults(found)) == (0, {})
    checks = [each["check"] for each in found]
    assert set(checks) >= {
        name.replace("folder_of_data", "data folder") for names in doctor.CHECKS.values() for name in names
    }
    assert list(tmp_path.iterdir()) == []


NEEDS_TORCH = {"torch", "torchvision", "entries", "device", "data", "training"}


def test_without_torch_it_says_so_and_checks_the_rest(tmp_path: Path) -> None:
    code, found = examined(tmp_path, without_torch(tmp_path))
    told = faults(found)
    assert code == 1 and set(told) - {"threads"} == NEEDS_TORCH
    version = metadata.version("torch")
    line = f"fail: {version} does not import: ImportError: libcudart.so.13: cannot open shared object file: No such file or"
    assert told["torch"].startswith(line) and told["torch"].endswith("pip install --force-reinstall torch torchvision")
    for check in NEEDS_TORCH - {"torch"}:
        assert told[check] == "fail: not checked: torch does not import; "


@pytest.mark.slow
def test_without_hydra_it_says_so(tmp_path: Path) -> None:
    broken = stand_in(without_torch(tmp_path), "packaging", "raise ImportError('gone')\n")
    stand_in(broken, "yaml", "raise ImportError('gone, too')\n")
    _, found = examined(tmp_path, broken)
    told = faults(found)
    assert told["packages"] == "fail: cannot be checked: ImportError: gone; "
    assert told["files"] == "fail: cannot be checked: ImportError: gone, too; "


def test_a_torchvision_for_another_torch_is_found_by_what_it_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(installed(tmp_path, "torchvision", "0.99.0", "Requires-Dist: torch (==9.9.0)"))
    (finding,) = doctor_torch.check_torchvision()
    assert finding.text == f"0.99.0 needs torch==9.9.0, but torch {metadata.version('torch')} is installed"
    assert finding.state == "fail" and finding.fix == "pip install --force-reinstall torch torchvision"


SYSTEM: dict[str, tuple[str, dict[str, str], str, str]] = {
    "quota": (
        "ulimit -f 100; ",
        {},
        "disk",
        "fail: {folder} (for results): a file of 1 MiB cannot be written: file too",
    ),
    "no data": ("", {"DLCOURSE_DATA": "nowhere"}, "data folder", "warn: DLCOURSE_DATA=nowhere does not exist"),
    "memory": ("ulimit -v 900000; ", {}, "memory", "warn: only 0.9 GiB allowed by ulimit -v; raise the limit"),
    "no folder": ("touch file; ", {"DLCOURSE_DATA": "file"}, "data folder", "fail: DLCOURSE_DATA=file is not a folder"),
    "threads": ("", {"OMP_NUM_THREADS": "many"}, "threads", "warn: OMP_NUM_THREADS=many is not a number of threads"),
    "output": ("", {"PYTHONIOENCODING": "latin-1"}, "text", "warn: output in iso8859-1, not UTF-8"),
    "locale": ("", {"PYTHONUTF8": "0", "LC_ALL": "C"}, "text", "warn: file names in ascii, not UTF-8"),
}
"""A line of a shell before the command, variables, the check that finds it, and how that begins."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "quota" else pytest.mark.slow) for name in SYSTEM]
)
def test_a_fault_of_the_system(name: str, tmp_path: Path) -> None:
    shell, changes, check, expected = SYSTEM[name]
    _, found = examined(tmp_path, without_torch(tmp_path), shell=shell, **changes)
    assert faults(found)[check].startswith(expected.format(folder=tmp_path))


def test_cached_files_do_not_count_against_the_memory_of_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "memory.max": "4294967296",
        "memory.current": "4284481536",
        "memory.stat": "anon 5\ninactive_file 3221225472",
    }
    monkeypatch.setattr(doctor_system, "_lines", lambda path: files.get(path.name, "").splitlines())
    (finding,) = doctor_system.check_memory()
    assert (finding.state, finding.text) == ("ok", "3.0 GiB available in this container")


@pytest.mark.slow
def test_a_plugin_that_hides_ours_fails(tmp_path: Path) -> None:
    hides = stand_in(without_torch(tmp_path), "hydra_plugins", "")
    code, found = examined(tmp_path, hides)
    line = faults(found)["plugins"]
    assert code == 1 and line.startswith(
        f"fail: {hides / 'hydra_plugins' / '__init__.py'} hides dlcourse's own Hydra plugin"
    )


def test_a_plugin_of_a_package_is_removed_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = installed(plugin(tmp_path), "hydra_colorful", "1.0")
    (place / "hydra_colorful-1.0.dist-info" / "RECORD").write_text("hydra_plugins/colorful.py,,\n")
    monkeypatch.syspath_prepend(place)
    (finding,) = doctor_system.check_plugins()
    assert (finding.state, finding.fix) == ("warn", "if you do not need it: pip uninstall hydra_colorful")


@pytest.mark.parametrize(
    ("gone", "expected"),
    [
        ("config.yaml", "conf/config.yaml is not a regular file"),
        pytest.param(
            *("data/shared/split.yaml", "conf/data/shared/split.yaml is not a regular file"), marks=pytest.mark.slow
        ),
        pytest.param("scheduler", "conf/scheduler has no entries", marks=pytest.mark.slow),
    ],
)
def test_a_missing_config_file(gone: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf = shutil.copytree(REPOSITORY / "conf", tmp_path / "conf")
    path = conf / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    monkeypatch.setattr(doctor_system, "conf_dir", lambda: conf)
    monkeypatch.setattr("dlcourse.cli.config_files.conf_dir", lambda: conf)
    (finding,) = doctor_system.check_files()
    assert finding.state == "fail" and expected in finding.text and finding.fix == doctor_system.REINSTALL


@pytest.mark.slow
def test_a_file_that_pip_has_installed_is_missed(tmp_path: Path) -> None:
    place = installed(tmp_path / "site", "dlcourse", "0.1.0", "Requires-Dist: pyyaml>=6")
    copy = source(tmp_path / "copy")
    shutil.copytree(copy / "dlcourse", place / "dlcourse")
    shutil.copytree(copy.parent / "conf", place / "dlcourse" / "conf")
    names = ["dlcourse/export/static/page.js", "dlcourse/conf/config.yaml", "dlcourse/plugins/templates/table.txt"]
    gone = ["dlcourse/cli/__pycache__/main.cpython-311.pyc", "../../bin/dlcourse"]  # a cache and a script may be
    (place / "dlcourse-0.1.0.dist-info" / "RECORD").write_text("".join(f"{name},,\n" for name in [*names, *gone]))
    (place / names[0]).unlink()
    (place / names[2]).unlink()
    _, found = examined(tmp_path, place, without_torch(tmp_path))
    assert faults(found)["files"].startswith(
        f"fail: {place / names[0]} is missing; 1 more like this; reinstall dlcourse"
    )


@pytest.mark.slow
@pytest.mark.skipif(not full_disk.is_possible(), reason="this machine does not let us mount small disks (unshare -rm)")
def test_a_full_disk_and_one_that_takes_nothing(tmp_path: Path) -> None:
    broken = without_torch(tmp_path)
    for options, reason in (("size=64k", "no space left on device"), ("ro", "read-only file system")):
        script = f"mkdir -p outputs && mount -t tmpfs -o {options} tmpfs outputs && "
        ended = subprocess.run(
            ["unshare", "-rm", "sh", "-c", f"{script}{sys.executable} -m dlcourse doctor --json"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(broken)},
            capture_output=True,
            text=True,
            check=False,
        )
        line = faults(json.loads(ended.stdout))["disk"]
        assert line.startswith(
            f"fail: {tmp_path / 'outputs'} (for results): a file of 1 MiB cannot be written: {reason}"
        )


@pytest.mark.slow
def test_a_byte_of_real_data_that_is_another(tmp_path: Path, real_data: Path) -> None:
    place = tmp_path / "MNIST" / "raw"
    place.mkdir(parents=True)
    for path in (real_data / "MNIST" / "raw").iterdir():
        (place / path.name).write_bytes(path.read_bytes())
    assert "data" not in faults(examined(tmp_path)[1])
    path = next(place.glob("t10k-labels*"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    code, found = examined(tmp_path)
    assert code == 1 and faults(found)["data"].startswith(f"fail: data=mnist: {path}: ")


def test_people_get_a_line_for_each_check_with_what_to_type_below(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "9999")
    monkeypatch.setenv("DLCOURSE_DATA", str(tmp_path / "no\x1bwhere"))
    monkeypatch.setattr(doctor, "CHECKS", {"doctor_system": ("threads", "folder_of_data", "python"), "nosuch": ("x",)})
    assert main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("warn  threads      OMP_NUM_THREADS=9999 is more than the ")
    assert lines[1].startswith(19 * " " + "unset OMP_NUM_THREADS, or export OMP_NUM_THREADS=")
    assert lines[2].startswith("warn  data folder  DLCOURSE_DATA=") and "no\\x1bwhere" in lines[2]
    assert lines[4].startswith("ok    python       ")
    assert lines[5].startswith("fail  x            cannot be checked: ModuleNotFoundError: ")
    assert lines[6:] == ["", "1 ok, 2 warn, 1 fail"]


@pytest.mark.parametrize(("word", "expected"), [("--jsn", "'--json'"), ("mnist", "doctor takes no arguments")])
def test_a_mistake_is_one_line(word: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", word]) == 2
    out, err = capsys.readouterr()
    assert out == "" and expected in err and err.count("\n") == 1


def test_help_needs_no_check(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "CHECKS", {})
    assert main(["doctor", "--help"]) == 0
    assert capsys.readouterr().out.startswith("dlcourse doctor  check this installation")


@pytest.mark.slow
def test_a_device_and_a_training_that_fail_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_torch, "_CHANCE", 1.0)
    (finding,) = doctor_torch.check_training()
    assert finding.state == "fail" and "validation accuracy" in finding.text and finding.fix
