"""What names a plug-in folder: the flag, the environment, a caller; and what the processes that are started are told."""

import os
from pathlib import Path

import pytest

from dlcourse.cli import config_files
from dlcourse.cli.main import main
from dlcourse.errors import ConfigError
from dlcourse.plugins.named import (
    VARIABLE,
    as_folders,
    config_folders,
    flags,
    named_entries,
    named_paths,
    naming,
    taken_out,
)
from dlcourse.sweeps.plan import PlannedRun, command
from own_entries import bottleneck


@pytest.mark.parametrize(
    ("words", "folders", "others"),
    [
        (["--plugins", "a", "train", "seed=1"], ["a"], ["train", "seed=1"]),
        (["train", "--plugins=a", "seed=1", "--plugins", "b"], ["a", "b"], ["train", "seed=1"]),
        (["train", "plugins=a"], [], ["train", "plugins=a"]),
    ],
)
def test_the_flag_is_taken_out_wherever_it_stands(words: list[str], folders: list[str], others: list[str]) -> None:
    assert taken_out(words) == (folders, others)


@pytest.mark.parametrize("words", [["list", "--plugins"], ["--plugins", "--help"], ["--plugins="]])
def test_the_flag_needs_a_folder(words: list[str]) -> None:
    with pytest.raises(ConfigError, match="--plugins needs a folder: --plugins DIR"):
        taken_out(words)


def test_folders_are_named_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    with naming(["a", tmp_path / "b"]):
        assert named_paths() == [f"{tmp_path}/a", f"{tmp_path}/b"]
        with naming(["c"]):
            assert named_paths()[0] == f"{tmp_path}/c" and len(named_paths()) == 3
        with naming([]):
            assert len(named_paths()) == 2
        assert os.environ[VARIABLE] == f"{tmp_path}/a:{tmp_path}/b"
    assert named_paths() == [] and VARIABLE not in os.environ


def test_the_environment_may_name_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "a:b::a")
    assert named_paths() == [f"{tmp_path}/a", f"{tmp_path}/b"]


def test_a_caller_names_none_or_one_or_several() -> None:
    assert as_folders(None) == () and as_folders("a") == ("a",)
    assert as_folders(Path("a")) == (Path("a"),) and as_folders(["a", "b"]) == ("a", "b")


def test_the_commands_of_a_sweep_name_the_same_folders(tmp_path: Path) -> None:
    run = PlannedRun(("seed=1",), ("seed=1",), "1")
    assert "--plugins" not in " ".join(command(run, tmp_path, None))
    with naming([tmp_path / "a b", tmp_path / "c"]):
        words = command(run, tmp_path, "conf")
        assert words[4:9] == ["train", *flags(), "--config-dir", "conf"]
        assert taken_out(words)[0] == named_paths() == [f"{tmp_path}/a b", f"{tmp_path}/c"]


def test_a_name_in_two_folders_is_refused(tmp_path: Path) -> None:
    first, second = bottleneck(tmp_path / "first"), bottleneck(tmp_path / "second")
    with naming([first, second]), pytest.raises(ConfigError) as refused:
        named_entries()
    assert str(refused.value) == f"model 'bottleneck' is in two plug-in folders, {first} and {second}; rename one"


def test_a_variant_in_another_folder_must_have_a_name_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two files Hydra would silently take one."""
    folder, own = bottleneck(tmp_path / "mine"), tmp_path / "own"
    (own / "model").mkdir(parents=True)
    (own / "model/bottleneck.yaml").write_text("name: bottleneck\nunits: 7\n")
    words = ["train", "--plugins", str(folder), "--config-dir", str(own), "--cfg", "job", "-p", "model"]
    assert main([*words, "model=bottleneck"]) == 2
    expected = f"{own}/model/bottleneck.yaml has the name of {folder}/conf/model/bottleneck.yaml; rename it"
    assert expected in capsys.readouterr().err
    (own / "model/bottleneck.yaml").rename(own / "model/wide.yaml")
    assert main([*words, "model=wide"]) == 0
    assert "units: 7" in capsys.readouterr().out


def test_config_files_of_the_folder_are_found_while_it_is_named(tmp_path: Path) -> None:
    folder = bottleneck(tmp_path)
    with naming([folder]):
        assert config_folders() == [folder / "conf"]
        assert "bottleneck" in config_files.entries("model", config_files.folders(None))
    assert "bottleneck" not in config_files.entries("model", config_files.folders(None))


def test_a_misspelt_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--plugin", "mine"]) == 2
    assert "unknown flag '--plugin'; did you mean '--plugins'?" in capsys.readouterr().err
