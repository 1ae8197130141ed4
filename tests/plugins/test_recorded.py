"""A run remembers by checksum which code of a plug-in folder it used, and where that was it does not say."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from dlcourse.cli.main import main
from dlcourse.config.registry import Choice
from dlcourse.errors import ConfigError
from dlcourse.plugins import recorded
from dlcourse.plugins.named import naming
from dlcourse.sweeps.plan import Plan, PlannedRun, write_plan
from dlcourse.training.opened import open_run
from lab import Lab, composed
from own_entries import CODE, SHORT, bottleneck

CHANGED = "plug-in models/bottleneck.py has changed since the run\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run with the model in the folder `mine`."""
    folder = tmp_path_factory.mktemp("plugins")
    assert main(["train", *SHORT, f"run.dir={folder}/run", "--plugins", str(bottleneck(folder / "mine"))]) == 0
    return folder / "run"


@pytest.fixture
def run(lab: Lab, trained: Path) -> Path:
    """A copy of it, beside a folder `mine`."""
    bottleneck(lab.folder / "mine")
    return Path(shutil.copytree(trained, lab.folder / "run"))


def test_a_run_records_the_checksum_and_no_folder(run: Path) -> None:
    facts = json.loads((run / "run.json").read_text())
    with naming(["mine"]):
        (entry,) = recorded.named_entries()
    assert facts["plugins"] == {"model": {"file": "models/bottleneck.py", "sha256": entry.sha256}}
    texts = [path.read_bytes() for path in run.rglob("*") if path.is_file()]
    assert not any(b"mine" in text for text in texts)


def test_a_run_without_plugins_records_none(tmp_path: Path) -> None:
    with naming([bottleneck(tmp_path)]):
        assert recorded.used(composed("model=mlp")) == {}


def test_every_command_asks_for_the_folder_and_says_what_has_changed(run: Path, lab: Lab) -> None:
    Path("rows.csv").write_text("a,b,c,d\n1,2,3,4\n")
    commands = {
        "evaluate": ["evaluate", str(run), "--json"],
        "predict": ["predict", str(run), "rows.csv"],
        "resume": ["resume", str(run), "trainer.epochs=2"],
        "summary": ["summary", str(run)],
        "rerun": ["rerun", str(run), "optimizer=sgd", "run.dir=again"],
        "verify": ["verify", str(run)],
    }
    for words in commands.values():
        assert main(words) == 2
        err = lab.capsys.readouterr().err
        assert err == "dlcourse: error: model 'bottleneck' is from a plug-in folder; name it: --plugins DIR\n"
    with naming(["mine"]):
        open_run(run)
        assert lab.capsys.readouterr().err == ""
        Path("mine/models/bottleneck.py").write_text(CODE + "\n# Changed.\n")
        open_run(run)
        assert lab.capsys.readouterr() == ("", f"note: {CHANGED}")
    assert main([*commands["rerun"], "--plugins", "mine"]) == 0
    assert f"note   {CHANGED}" in lab.capsys.readouterr().out
    assert main([*commands["verify"], "--plugins", "mine"]) == 0
    assert "note   model: the plug-in models/bottleneck.py differs (sha256)\n" in lab.capsys.readouterr().out
    assert main([*commands["resume"], "--plugins", "mine"]) == 0
    assert f"note   {CHANGED}" in lab.capsys.readouterr().out
    with naming(["mine"]):
        open_run(run)
    assert lab.capsys.readouterr().err == "", "the weights are those of the new code by now"


RECORDS = [None, 3, "mine", [], {"model": "mine"}, {"model": {"file": 3, "sha256": ""}}, {"hydra": {}}, {"model": []}]


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_of_another_form_is_none(record: object) -> None:
    config = composed()
    recorded.require_named(config, {"plugins": record})
    assert list(recorded.changes(config, {"plugins": record})) == []


def test_an_entry_of_ours_is_from_no_folder_whatever_a_record_says() -> None:
    recorded.require_named(composed("model=mlp"), {"plugins": {"model": {"file": "x.py", "sha256": "0"}}})


RUNS = (("mlp", "1"), ("bottleneck", "2"))


def test_a_sweep_of_which_a_run_used_a_plugin_asks_for_the_folder(run: Path, lab: Lab) -> None:
    sweep = Path("sweep")
    sweep.mkdir()
    run.rename(sweep / "2")
    shutil.copytree(sweep / "2", sweep / "1")
    facts = json.loads((sweep / "1/run.json").read_text())
    (sweep / "1/run.json").write_text(json.dumps(facts | {"plugins": {}}))  # as that of a run with a model of ours
    write_plan(sweep, Plan(tuple(PlannedRun((f"model={model}",), (), name) for model, name in RUNS)))
    assert main(["resume", "sweep"]) == 2
    assert "model 'bottleneck' is from a plug-in folder; name it: --plugins DIR" in lab.capsys.readouterr().err


def test_a_folder_that_lost_the_entry_is_as_good_as_none(tmp_path: Path) -> None:
    config = dataclasses.replace(composed(), model=Choice("bottleneck"))
    with naming([bottleneck(tmp_path)]):
        facts = {recorded.KEY: recorded.used(config)}
        recorded.require_named(config, facts)
        (tmp_path / "plugins.toml").write_text("")
        with pytest.raises(ConfigError, match="is from a plug-in folder"):
            recorded.require_named(config, facts)
