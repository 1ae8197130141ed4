"""`dlcourse.load`: what a run folder says, from Python, for a run of every family; nothing in it or around it is changed."""

import dataclasses
import hashlib
import json
import math
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import dlcourse
from dlcourse.api.run import Run
from dlcourse.cli.main import main
from dlcourse.config.run_config import FolderConfig
from dlcourse.errors import ConfigError, DataError
from dlcourse.rng import seed_everything
from dlcourse.runs.metrics_log import read_metrics
from dlcourse.runs.reopen import read_config, read_spec
from dlcourse.tasks.answers import Answer
from dlcourse.training import session
from dlcourse.training.opened import open_run
from fake_runs import leave
from lab import Lab
from torture.families import family

MODELS = {"line": "linreg", "mlp": "mlp", "cnn": "cnn", "regression": "lstm", "language": "transformer"} | {
    name: name for name in ("vae", "gan")
}
"""A family of tiny runs for each kind of model: linear, MLP, CNN, LSTM, GPT, VAE, GAN."""
ANSWERING = [name for name in MODELS if name != "gan"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A finished run of each, whose pictures are small."""
    place = tmp_path_factory.mktemp("runs")
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dlcourse.runs.logger.to_image", lambda picture: pixels)
        for name in (*MODELS, "csv"):
            config = family(name, place / "files", place)
            where = FolderConfig(dir=str(place / name), name=config.name)
            session.run(dataclasses.replace(config, run=where), [])
    return {name: place / name for name in (*MODELS, "csv")}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", MODELS)
def test_a_run_of_every_family_is_read_and_stays_as_it_is(name: str, folders: dict[str, Path]) -> None:
    folder = folders[name]
    before = content(folder)
    run = dlcourse.load(folder)
    assert isinstance(run, Run) and run.folder == folder
    assert run.config == read_config(folder) and run.config.model.name == MODELS[name]
    assert run.report == json.loads((folder / "report.json").read_text())
    assert run.record == dlcourse.runs(folder)[0]
    assert not run.model.training and run.task.model is run.model
    weights = open_run(folder).task.model.state_dict()
    assert all(torch.equal(tensor, weights[key]) for key, tensor in run.model.state_dict().items())
    data = run.data()
    assert data.spec == run.spec == read_spec(folder)
    assert [len(data.train), len(data.val), len(data.test)] == [
        run.report["data"][key] for key in ("train", "val", "test")
    ]
    assert repr(run).startswith(f"<Run {run.config.name}: {run.config.model.name} on {run.config.data.name}, done, ")
    assert "\n" not in repr(run) and str(folder) in repr(run)
    html = run._repr_html_()
    assert all(f">{word}<" in html for word in (run.config.name, run.config.data.name, run.config.model.name, "done"))
    assert content(folder) == before


@pytest.mark.parametrize("name", MODELS)
def test_metrics_are_what_was_logged(name: str, folders: dict[str, Path]) -> None:
    table = dlcourse.load(folders[name]).metrics
    assert list(table)[:2] == ["step", "epoch"] and {"train/loss", "val/loss", "test/loss"} <= table.keys()
    assert len({len(column) for column in table.values()}) == 1
    assert table["step"] == sorted(set(table["step"]))
    logged = 0
    for record in read_metrics(folders[name] / "metrics.jsonl"):
        for key, value in record.items():
            if "/" in key:
                assert str(table[key][table["step"].index(record["step"])]) == str(float(value))
                logged += 1
    assert logged == sum(not math.isnan(value) for key in table if "/" in key for value in table[key])
    report = dlcourse.load(folders[name]).report
    assert table.series("test/loss") == ([report["steps"]], [report["test"]["loss"]])


@pytest.mark.parametrize("name", MODELS)
def test_an_evaluation_gives_the_runs_own_figures_and_is_what_the_command_prints(
    name: str, folders: dict[str, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlcourse.runs.logger.to_image", lambda picture: np.zeros((4, 4, 3), np.uint8))
    run = dlcourse.load(folders[name])
    with torch.no_grad():
        for parameter in run.model.parameters():
            parameter.zero_()  # what is done to this model is nothing to the kept weights, nor they to it
    found = run.evaluate()
    assert capsys.readouterr().out == ""
    assert found["test"] and found["test"] == {key: run.report["test"][key] for key in found["test"]}
    assert all(not parameter.any() for parameter in run.model.parameters())
    assert main(["evaluate", str(folders[name]), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(found))
    assert len(list(Path("outputs/evaluations").glob("*/*/evaluation.json"))) == 2


def test_an_evaluation_takes_what_the_command_takes(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlcourse.runs.logger.to_image", lambda picture: np.zeros((4, 4, 3), np.uint8))
    run = dlcourse.load(folders["cnn"])
    assert run.evaluate("data.test_size=60", "device=cpu")["examples"] == 60
    for word, told in (
        ("--json", "'--json': expected data=NAME, data.OPTION=VALUE or device=NAME"),
        ("outputs", "'outputs': expected data=NAME"),
        ("model=cnn", "'model=cnn': evaluate takes"),
        ("data=moons", "data 'moons' do not fit this run"),
    ):
        with pytest.raises(ConfigError, match=told):
            run.evaluate(word)


@pytest.mark.parametrize("name", ANSWERING)
def test_the_models_answers_to_the_datas_own_inputs(name: str, folders: dict[str, Path]) -> None:
    run = dlcourse.load(folders[name])
    batch = next(iter(run.data().test.batches(5)))
    expected = run.task.answer(batch.inputs)  # type: ignore[attr-defined]
    run.model.train()
    found = run.predict(batch.inputs)
    assert run.model.training
    assert len(found) == len(batch.inputs) and all(isinstance(answer, Answer) for answer in found)
    assert list(map(repr, found)) == list(map(repr, expected))
    assert list(map(repr, run.predict(batch.inputs.numpy()))) == list(map(repr, found))
    assert run.predict(batch.inputs[:0]) == []


def test_probabilities_are_those_of_the_models_own_forward_pass_in_any_number_of_batches(
    folders: dict[str, Path],
) -> None:
    run = dlcourse.load(folders["mlp"])
    inputs = torch.cat([batch.inputs for batch in run.data().test.batches(50)])
    assert len(inputs) > run.config.trainer.eval_batch_size
    with torch.no_grad():
        probabilities = run.model(inputs).softmax(1)
    found = run.predict(inputs)
    assert [answer.label for answer in found] == [run.spec.class_names[place] for place in probabilities.argmax(1)]
    assert [answer.probability for answer in found] == pytest.approx(probabilities.amax(1).tolist(), abs=1e-6)
    ranked = found[0].ranked
    shown = ", ".join(f"{name} {100 * share:.1f} %" for name, share in ranked[:3])
    assert repr(found[0]) == f"Answer({shown}, ...)"


def test_files_are_read_as_the_command_reads_them(folders: dict[str, Path]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)
    Image.fromarray(pixels).save("a.png")
    Image.fromarray(pixels[::-1].copy()).save("b.png")
    run = dlcourse.load(folders["cnn"])
    first, second = run.predict(["a.png", Path("b.png")])
    assert repr(run.predict("a.png")) == repr([first]) and first.subject == "a.png" and second.subject == "b.png"
    assert repr(first).startswith(f"Prediction('a.png': {first.answer.label} ")
    with pytest.raises(ConfigError, match=r"'c\.png' does not exist; expected a picture"):
        run.predict("c.png")


def test_rows_of_a_table_are_read_and_columns_that_are_not_are_named(folders: dict[str, Path]) -> None:
    Path("new.csv").write_text("b;a;other\n1;2;3\n0;1;9\n")
    run = dlcourse.load(folders["csv"])
    with pytest.warns(UserWarning, match=r"new\.csv: not read: other"):
        found = run.predict("new.csv", separator=";")
    assert [each.row for each in found] == [2, 3] and found[0].answer.label in ("yes", "no")
    assert repr(found[0]).startswith("Prediction('new.csv', row 2: ")


def test_a_run_that_reads_text_takes_texts(folders: dict[str, Path]) -> None:
    run = dlcourse.load(folders["language"])
    found = run.predict(["It was", "the"])
    assert [each.subject for each in found] == ["It was", "the"]
    assert found[0].answer.label in run.spec.vocabulary
    with pytest.raises(ConfigError, match=r"'a\.txt' is a path, and this run reads text; give the text itself"):
        run.predict(Path("a.txt"))
    with pytest.raises(ConfigError, match="text: the training data have no '#'"):
        run.predict("#")


def test_a_model_that_generates_does_not_predict(folders: dict[str, Path]) -> None:
    run = dlcourse.load(folders["gan"])
    with pytest.raises(ConfigError, match="generates and does not predict; write dlcourse sample"):
        run.predict(np.zeros((1, 2)))


def draws() -> list[float]:
    return [random.random(), float(np.random.rand()), float(torch.rand(()))]


USES: dict[str, Callable[[Run], Any]] = {
    "model": lambda run: run.model,
    "data": lambda run: run.data(),
    "predict": lambda run: run.predict(torch.zeros(2, *run.spec.input_shape)),
    "evaluate": lambda run: run.evaluate(),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("name", ["mlp", "vae"])
def test_the_callers_random_state_and_threads_stay(
    name: str, use: str, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlcourse.runs.logger.to_image", lambda picture: np.zeros((4, 4, 3), np.uint8))
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)  # the run has 1
        seed_everything(7)
        expected = draws()
        seed_everything(7)
        USES[use](dlcourse.load(folders[name]))
        assert draws() == expected and torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)


def test_a_figure_is_the_pixels_of_its_file(folders: dict[str, Path]) -> None:
    run = dlcourse.load(folders["vae"])
    assert {"learning_curve", "samples", "progress/samples_0001"} <= set(run.figures)
    assert {f"{name}.png" for name in run.figures} == {
        path.relative_to(run.folder).as_posix() for path in run.folder.rglob("*.png")
    }
    for name in (*run.figures, "learning_curve.png"):
        figure = run.figure(name)
        path = run.folder / f"{name.removesuffix('.png')}.png"
        assert isinstance(figure, Image.Image) and np.array_equal(np.asarray(figure), np.asarray(Image.open(path)))
        assert figure._repr_png_()  # by which a notebook shows it


def test_a_figure_that_is_not_there_is_answered_with_those_that_are(folders: dict[str, Path], tmp_path: Path) -> None:
    copy = shutil.copytree(folders["mlp"], tmp_path / "copy")
    run = dlcourse.load(copy)
    with pytest.raises(ConfigError, match=r"has no figure 'confusion'; did you mean 'confusion_matrix'\?"):
        run.figure("confusion")
    with pytest.raises(ConfigError, match=r"has no figure '\.\./mlp/learning_curve'"):
        run.figure("../mlp/learning_curve")
    (copy / "learning_curve.png").write_bytes(b"\x89PNG no picture")
    with pytest.raises(DataError, match=r"cannot read .*learning_curve\.png as a picture"):
        run.figure("learning_curve")
    (copy / "learning_curve.png").unlink()
    (copy / "learning_curve.png").symlink_to(folders["mlp"] / "learning_curve.png")
    assert "learning_curve" not in run.figures
    for path in copy.rglob("*.png"):
        path.unlink()
    with pytest.raises(ConfigError, match=r"has no figure 'mistakes'; dlcourse resume .* report=full draws those"):
        run.figure("mistakes")


def test_a_folder_above_is_enough_and_names_the_newest(folders: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(folders["line"], tmp_path / "outputs/line/first")
    assert dlcourse.load("outputs").folder == Path("outputs/line/first")
    assert dlcourse.load(Path("outputs/line")).folder == Path("outputs/line/first")
    (record,) = dlcourse.runs()
    assert dlcourse.load(record.folder).config == dlcourse.load(folders["line"]).config


def test_what_cannot_be_loaded_is_told_in_one_line(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'nothing' does not exist; expected the folder of a run"):
        dlcourse.load("nothing")
    with pytest.raises(dlcourse.UserError, match="is not finished, it has no weights"):
        dlcourse.load(leave(tmp_path / "running", status="running"))
    copy = shutil.copytree(folders["line"], tmp_path / "copy")
    (copy / "report.json").unlink()
    run = dlcourse.load(copy)
    with pytest.raises(DataError, match=r"has no report\.json, the run has not ended; write dlcourse resume"):
        _ = run.report
    damaged = bytearray((copy / "weights.safetensors").read_bytes())
    damaged[-1] ^= 1
    (copy / "weights.safetensors").write_bytes(damaged)
    with pytest.raises(DataError, match=r"weights\.safetensors"):
        _ = run.model
    (copy / "config.yaml").write_text("model: {name: cnn}\n")
    with pytest.raises(DataError, match=r"config\.yaml is damaged or was changed"):
        dlcourse.load(copy)


def with_config(folder: Path, config: dict[str, Any], facts: dict[str, Any]) -> Path:
    """The folder with another config, for which its run.json vouches."""
    text = yaml.safe_dump(config, sort_keys=False).encode()
    (folder / "config.yaml").write_bytes(text)
    files = facts["files"] | {"config.yaml": hashlib.sha256(text).hexdigest()}
    (folder / "run.json").write_text(json.dumps(facts | {"files": files}))
    return folder


def test_a_run_of_the_version_before_is_loaded(folders: dict[str, Path], tmp_path: Path) -> None:
    """Its config has none of the options that came later, and its run.json no config."""
    copy = shutil.copytree(folders["mlp"], tmp_path / "copy")
    config = yaml.safe_load((copy / "config.yaml").read_text())
    for option in ("init_skip", "freeze", "report"):
        del config[option]
    facts = json.loads((copy / "run.json").read_text())
    del facts["config"], facts["steps"]
    older, run = dlcourse.load(with_config(copy, config, facts)), dlcourse.load(folders["mlp"])
    assert older.config == run.config and older.metrics.keys() == run.metrics.keys()
    inputs = torch.zeros(1, *run.spec.input_shape)
    assert torch.equal(older.model(inputs), run.model(inputs))


def test_names_of_a_strangers_run_are_no_markup(folders: dict[str, Path], tmp_path: Path) -> None:
    copy = shutil.copytree(folders["mlp"], tmp_path / "copy")
    config = yaml.safe_load((copy / "config.yaml").read_text())
    config["run"]["name"], config["data"]["name"] = "<script>alert(1)", "<b>\x1b[2J"
    run = dlcourse.load(with_config(copy, config, json.loads((copy / "run.json").read_text())))
    assert "<script" not in run._repr_html_() and "<b>" not in run._repr_html_()
    assert "&lt;script&gt;alert(1)" in run._repr_html_() and "\x1b" not in run._repr_html_() + repr(run)


def test_a_run_whose_report_is_of_an_older_version_is_named_all_the_same(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    copy = shutil.copytree(folders["mlp"], tmp_path / "copy")
    (copy / "report.json").write_text('{"test": {}}')
    assert repr(dlcourse.load(copy)).startswith("<Run digits-mlp: mlp on digits, damaged: cannot read report.json")


def test_data_are_built_with_the_seed_of_the_run(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a data set of one's own that draws from the global random state."""
    run = dlcourse.load(folders["line"])
    seed_everything(run.config.seed)
    expected = draws()
    monkeypatch.setattr("dlcourse.training.build.build_data", lambda config, device: draws())
    assert run.data() == expected  # type: ignore[comparison-overlap]


def test_a_resumed_run_has_each_step_once(lab: Lab) -> None:
    words = ("data=iris", "model.hidden=[4]", "trainer.batch_size=8", "trainer.checkpoint.steps=5", "device.threads=1")
    assert lab.train(*words, "trainer.epochs=2", "report=light", "run.dir=run") is not None
    shorter = dlcourse.load("run").metrics
    assert main(["resume", "run", "trainer.epochs=4"]) == 0
    table = dlcourse.load("run").metrics
    assert table["step"] == sorted(set(table["step"])) and table["step"][: len(shorter["step"])] == shorter["step"]
    assert len(table.series("test/loss")[0]) == 1 and len(table.series("val/loss")[0]) == 4


def test_config_and_spec_need_no_torch(folders: dict[str, Path]) -> None:
    code = (
        "import sys, dlcourse; before = set(sys.modules); run = dlcourse.load(sys.argv[1]); print(run.config.model.name, "
        "run.spec.name, len(run.metrics['step']) > 0, run.report['mode'], repr(run) > '', "
        "[name for name in ('torch', 'sklearn', 'matplotlib', 'torchvision') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folders["mlp"])], capture_output=True, text=True, check=True)
    assert done.stdout == "mlp digits True max True []\n"
