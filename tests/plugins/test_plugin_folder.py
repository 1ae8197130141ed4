"""A plug-in folder is refused in one line before any of its code runs, and names what is wrong where."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dlcourse.cli.main import main
from dlcourse.errors import UserError
from dlcourse.plugins.folder import is_entry_name, read_folder
from own_entries import LINE, YAML, bottleneck

Change = Callable[[Path], object]


def test_the_table_is_read_and_no_code_is_run(tmp_path: Path) -> None:
    folder = bottleneck(tmp_path / "mine", code="raise SystemExit('it runs')\n")
    (entry,) = read_folder(str(folder)).entries
    assert (entry.group, entry.name, entry.file, entry.symbol) == (
        "model",
        "bottleneck",
        "models/bottleneck.py",
        "Bottleneck",
    )
    assert entry.path.read_bytes() == entry.content


def test_a_folder_with_config_files_alone_is_one(tmp_path: Path) -> None:
    (tmp_path / "conf/experiment").mkdir(parents=True)
    assert read_folder(str(tmp_path)).entries == ()


def table(text: str) -> Change:
    return lambda folder: (folder / "plugins.toml").write_text(text)


def code(content: bytes) -> Change:
    return lambda folder: (folder / "models/bottleneck.py").write_bytes(content)


def link(name: str) -> Change:
    def change(folder: Path) -> None:
        (folder / name).rename(folder.parent / "elsewhere")
        (folder / name).symlink_to(folder.parent / "elsewhere")

    return change


def open_to_everyone(name: str) -> Change:
    return lambda folder: (folder / name).chmod(0o777)


def pipe(name: str) -> Change:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return change


REFUSED: dict[str, tuple[Change, str]] = {
    "a syntax error": (code(b"import torch\n\nclass Bottleneck(:\n"), "models/bottleneck.py line 3: invalid syntax"),
    "an indentation": (code(b"def f():\nreturn 1\n"), "models/bottleneck.py line 2: expected an indented block"),
    "a null byte": (code(b"a = 1\0\n"), "models/bottleneck.py"),
    "an unknown encoding": (code(b"# coding: klingon\n"), "models/bottleneck.py line 1: unknown encoding: klingon"),
    "not UTF-8": (code(b"a = '\xff'\n"), "models/bottleneck.py line 1: (unicode error)"),
    "endless brackets": (code(b"[" * 100_000), "models/bottleneck.py"),
    "two megabytes": (code(b"#" * 2**21), "models/bottleneck.py is too large for a plug-in; the limit is 1 MiB"),
    "no module": (lambda folder: (folder / "models/bottleneck.py").unlink(), "bottleneck.py, which does not exist"),
    "no YAML": (
        lambda folder: (folder / "conf/model/bottleneck.yaml").unlink(),
        "model.bottleneck has no options file; write ",
    ),
    "our name": (
        table('model.mlp = "models/bottleneck.py:Bottleneck"'),
        "model.mlp is already an entry of dlcourse; choose another name, such as my_mlp",
    ),
    "a name twice": (table(LINE + LINE), "plugins.toml line 2: Cannot overwrite a value"),
    "no name": (table('model.on = "models/bottleneck.py:Bottleneck"'), "model.on is not a valid name; expected a letter"),
    "a group that is none": (
        table('models.bottleneck = "models/bottleneck.py:Bottleneck"'),
        "unknown group 'models'; did you mean 'model'?",
    ),
    "no lines": (table('model = "models/bottleneck.py:Bottleneck"'), "'model' must be lines such as model.my_model"),
    "no class": (table('model.bottleneck = "models/bottleneck.py"'), "does not name a class; expected \"FILE.py:CLASS\""),
    "a number": (table("model.bottleneck = 3"), "model.bottleneck = 3 does not name a class"),
    "a file above": (table('model.bottleneck = "../x.py:Bottleneck"'), "does not name a class"),
    "a whole path": (table('model.bottleneck = "/tmp/x.py:Bottleneck"'), "does not name a class"),
    "no TOML": (table("model.bottleneck: 3\n"), "plugins.toml line 1: "),
    "nested TOML": (table("a = " + "[" * 5000), "plugins.toml"),
    "a table of other bytes": (lambda folder: (folder / "plugins.toml").write_bytes(b"\xff"), "is not UTF-8 (byte 0)"),
    "a link to a module": (link("models/bottleneck.py"), "bottleneck.py is a symbolic link"),
    "a link to the modules": (link("models"), "models is a symbolic link"),
    "a link to the table": (link("plugins.toml"), "plugins.toml is a symbolic link"),
    "a link to the config files": (link("conf"), "conf is a symbolic link"),
    "a link to a group": (link("conf/model"), "model is a symbolic link"),
    "a link to a YAML": (link("conf/model/bottleneck.yaml"), "bottleneck.yaml is a symbolic link"),
    "a pipe for a module": (pipe("models/bottleneck.py"), "bottleneck.py is neither a file nor a folder"),
    "a pipe for the table": (pipe("plugins.toml"), "plugins.toml is neither a file nor a folder"),
    "a folder open to everyone": (open_to_everyone("."), "can be changed by everyone on this machine"),
    "a module open to everyone": (
        open_to_everyone("models/bottleneck.py"),
        "its code would run as you; type chmod o-w ",
    ),
    "modules open to everyone": (open_to_everyone("models"), "models can be changed by everyone"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_told_in_one_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = bottleneck(tmp_path / "mine")
    change, expected = REFUSED[name]
    change(folder)
    assert main(["list", "models", "--plugins", str(folder)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("dlcourse: error: ")
    assert expected in err and str(folder) in err


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gone", "does not exist; dlcourse new model NAME --plugins DIR creates one"),
        ("file", "is not a folder"),
        ("empty", "has neither plugins.toml nor conf/"),
        ("link", "is a symbolic link; name the folder it points to"),
        ("link/", "is a symbolic link"),
        ("a\0b", "holds a character that no path can have"),
        ("x" * 300, "file name too long"),
        ("a:b", "a path with ':' cannot be used; rename the folder"),
        ("", "--plugins needs a folder"),
    ],
)
def test_a_folder_that_is_none(
    name: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(bottleneck(tmp_path / "mine"))
    assert main(["list", f"--plugins={name}"]) == 2
    err = capsys.readouterr().err
    assert expected in err and err.count("\n") == 1


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="nothing is unreadable for root")
@pytest.mark.parametrize("name", [".", "conf", "conf/model", "plugins.toml", "models", "models/bottleneck.py"])
def test_what_cannot_be_read_is_told(name: str, tmp_path: Path) -> None:
    folder = bottleneck(tmp_path / "mine")
    (folder / name).chmod(0)
    try:
        with pytest.raises(UserError, match="permission denied"):
            read_folder(str(folder))
    finally:
        (folder / name).chmod(0o700)


def test_a_yaml_of_the_folder_is_checked_as_any_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = bottleneck(tmp_path / "mine")
    (folder / "conf/model/bottleneck.yaml").write_text(YAML + "hydra: {callbacks: {}}\n")
    assert main(["train", "model=bottleneck", "--plugins", str(folder)]) == 2
    assert "section 'hydra' would change Hydra itself" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["bottleneck", "a", "Wide_net2"])
def test_names(name: str) -> None:
    assert is_entry_name(name)


@pytest.mark.parametrize("name", ["", "2a", "_a", "a-b", "a b", "a.b", "é", "null", "On", "NaN", "a" * 61, "a\n"])
def test_what_is_no_name(name: str) -> None:
    assert not is_entry_name(name)
