"""`dlcourse new`: says what it has written and what to type next, and answers mistakes in one line."""

from pathlib import Path

import pytest

from dlcourse.cli.main import main
from dlcourse.cli.new import HELP

WROTE = """\
wrote  mine/models/bottleneck.py        the model: edit it
       mine/conf/model/bottleneck.yaml  its options, each with type and meaning
       mine/tests/test_bottleneck.py    its test
       mine/plugins.toml                registers it
next   dlcourse train model=bottleneck data=digits --plugins mine
       pytest mine/tests
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_it_says_what_it_wrote_and_what_to_type_next(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "model", "bottleneck", "--plugins", "mine"]) == 0
    assert capsys.readouterr() == (WROTE, "")
    assert main(["list", "model=bottleneck", "--plugins", "mine"]) == 0
    assert "units  64  whole number >= 1  units of the hidden layer" in capsys.readouterr().out
    assert main(["list", "model=bottleneck"]) == 2


def test_the_environment_may_name_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DLCOURSE_PLUGINS", str(tmp_path / "other"))
    assert main(["new", "data", "own", "--plugins", "mine"]) == 0
    assert main(["new", "experiment", "own"]) == 0
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {
        *("mine/data/own.py", "mine/conf/data/own.yaml", "mine/tests/test_own.py", "mine/plugins.toml"),
        "other/conf/experiment/own.yaml",
    }


def test_an_experiment_is_a_file_with_which_a_run_is_composed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "experiment", "own", "--plugins", "my folder"]) == 0
    out = capsys.readouterr().out
    assert out.endswith("next   dlcourse train experiment=own --plugins 'my folder'\n") and out.count("\n") == 2
    words = ["train", "experiment=own", "--plugins", "my folder", "--cfg", "job", "-p"]
    assert main([*words, "model"]) == 0 and "- 128" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "KIND and NAME are missing; write dlcourse new model NAME --plugins DIR"),
        (["model"], "NAME is missing; write dlcourse new model NAME --plugins DIR"),
        (["modle", "own"], "unknown kind 'modle'; did you mean 'model'?"),
        (["optimizer", "own"], "unknown kind 'optimizer'; there are: model, data, task, experiment"),
        (["model", "own", "two"], "'two': expected one NAME"),
        (["model", "2own"], "'2own' is not a valid name; expected a letter"),
        (["model", "a/../b"], "'a/../b' is not a valid name"),
        (["model", "null"], "'null' is not a valid name"),
        (["model", "mlp"], "'mlp' is already an entry of dlcourse; choose another name, such as my_mlp"),
        (["experiment", "reverse"], "'reverse' is already an entry of dlcourse"),
        (["model", "own", "--force"], "unknown flag '--force'"),
        (["model", "own", "--plug=mine"], "unknown flag '--plug=mine'; did you mean '--plugins'?"),
    ],
)
def test_mistakes(words: list[str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", *words, "--plugins", "mine"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"dlcourse: error: {expected}") and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_no_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "model", "own"]) == 2
    assert capsys.readouterr().err == (
        "dlcourse: error: no plug-in folder is given; write dlcourse new model own --plugins DIR\n"
    )


@pytest.mark.parametrize("prepare", ["file", "link", "open", "broken"])
def test_a_folder_that_cannot_be_used_is_left_as_it_is(
    prepare: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "mine"
    if prepare == "file":
        place.touch()
    elif prepare == "link":
        (tmp_path / "elsewhere").mkdir()
        place.symlink_to(tmp_path / "elsewhere")
    else:
        place.mkdir()
        if prepare == "open":
            place.chmod(0o777)
        else:
            (place / "plugins.toml").write_text("model.own 3")
    before = sorted(tmp_path.rglob("*"))
    assert main(["new", "model", "own", "--plugins", "mine"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "--help"]) == 0
    printed = capsys.readouterr().out
    assert " ".join(printed.split()) == " ".join(HELP.split())
