"""A run is called by the names that the user chose, on the console, in its folder, and where runs are compared."""

import shutil
from pathlib import Path

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from dlcourse.cli.main import main
from lab import Lab, report
from stand_in import CommandLine, command_line


@pytest.fixture
def train(tmp_path, monkeypatch, capsys) -> CommandLine:
    line = command_line(tmp_path, monkeypatch, capsys)
    line.write("model/mine.yaml", "# Mine.\nname: mlp\nhidden: [4]\n")
    line.write("data/few.yaml", "# Few.\nname: moons\nsize: 60\n")
    line.write("experiment/try.yaml", "# @package _global_\ndefaults: [{override /model: mine}]\n")
    return line


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ([], "digits-mlp"),
        (["model=mine"], "digits-mine"),
        (["model=mine", "data=few"], "few-mine"),
        (["experiment=try"], "try"),
        (["experiment=try", "model=cnn"], "try"),
        (["experiment=try", "run.name=second try"], "second try"),
        (["run.name=学"], "学"),
    ],
)
def test_a_run_is_called_by_what_was_chosen(train, words, name):
    assert train(*words) == 0
    assert train.trained.configs[0].run.name == train.trained.configs[0].name == name


@pytest.mark.parametrize(
    "name", ["a/b", "..", ".hidden", "a\\b", "''", "é" * 128, "a\u202eb", "../../elsewhere", "/tmp/x"]
)
def test_a_name_that_is_no_plain_folder_is_refused(train, name):
    assert "run.name must be a plain folder name, such as first_try" in train.refuses(f"run.name={name}")
    assert "run.name must be a plain folder name" in train.refuses("-m", f"run.name={name}", "seed=1,2")
    assert list(Path.cwd().iterdir()) == []


def test_each_run_of_a_sweep_has_its_name_and_a_named_sweep_its_folder(train):
    assert train("-m", "model=mine,mlp") == 0
    assert [config.name for config in train.trained.configs] == ["digits-mine", "digits-mlp"]
    assert train("-m", "model=mine,mlp", "run.name=widths") == 0
    assert [config.name for config in train.trained.configs[2:]] == ["widths", "widths"]
    assert sorted(path.name for path in Path("outputs").iterdir()) == ["multirun", "widths"]


TINY = ["--config-dir", "own", "experiment=quick", "data.size=60", "trainer.epochs=1"]


@pytest.fixture
def named(lab: Lab) -> Path:
    """A run of an experiment of the user's own."""
    (lab.folder / "own" / "experiment").mkdir(parents=True)
    text = "# @package _global_\ndefaults: [{override /data: moons}, {override /model: mlp}]\nmodel: {hidden: [4]}\n"
    (lab.folder / "own" / "experiment" / "quick.yaml").write_text(text)
    run = lab.train(*TINY)
    assert run is not None
    return run


def test_the_name_is_seen_wherever_the_run_is(lab: Lab, named: Path) -> None:
    assert named.parent == lab.folder / "outputs" / "quick"
    assert lab.out.startswith("dlcourse train   quick (mlp on moons)   adam")
    assert report(named)["run"] == "quick"
    assert yaml.safe_load((named / "config.yaml").read_text())["run"]["name"] == "quick"
    events = EventAccumulator(str(named)).Reload()
    content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    shown = HParamsPluginData.FromString(content).session_start_info.hparams
    assert (shown["run"].string_value, shown["model"].string_value) == ("quick", "mlp")


def test_tags_are_seen_wherever_the_run_is(lab: Lab) -> None:
    run = lab.train(
        "data=moons", "data.size=60", "model=mlp", "model.hidden=[4]", "trainer.epochs=1", "run.tags=[first,学 3]"
    )
    assert run is not None
    assert lab.out.splitlines()[0].endswith("seed 0   tags first, 学 3")
    assert report(run)["tags"] == ["first", "学 3"]
    events = EventAccumulator(str(run)).Reload()
    content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    shown = HParamsPluginData.FromString(content).session_start_info.hparams
    assert shown["tags"].string_value == "first, 学 3"


@pytest.mark.parametrize("tags", ["['']", "['a\u202eb']", "['a, b']", "[' ']"])
def test_tags_that_cannot_be_shown_are_refused(train, tags):
    assert "run.tags must be words without commas, got" in train.refuses(f"run.tags={tags}")


@pytest.mark.usefixtures("with_pictures")  # without them, the run says how to draw them: dlcourse resume
def test_auto_looks_for_an_unfinished_run_of_that_name(lab: Lab, named: Path) -> None:
    (named / "run.json").write_text('{"status": "stopped"}')
    assert lab.attempt(*TINY, "resume=auto") == 0, lab.err
    assert "resume from step" in lab.out
    (named / "run.json").write_text('{"status": "stopped"}')
    assert lab.attempt(*TINY, "resume=auto", "run.name=other") == 0, lab.err
    assert "resume" not in lab.out and len(list(Path("outputs/other").iterdir())) == 1


def test_a_run_from_before_there_were_names_resumes(lab: Lab, named: Path) -> None:
    config = yaml.safe_load((named / "config.yaml").read_text())
    del config["run"]["name"]
    (named / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    shutil.rmtree(named / "checkpoints")
    (named / "run.json").write_text('{"status": "running", "files": {}}')
    assert main(["resume", str(named)]) == 0
    assert lab.capsys.readouterr().out.startswith("dlcourse train   mlp on moons   adam")
