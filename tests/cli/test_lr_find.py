"""`dlcourse lr_find`: words to a suggestion, a picture and a command to type, and what is refused in one line."""

import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlcourse.cli import lr_find as lr_find_module
from dlcourse.cli import main as program
from dlcourse.cli.composed import composed
from dlcourse.config.paths import conf_dir
from dlcourse.errors import ConfigError, OutputError
from dlcourse.plots.lr_range import LrRangeCurve
from lab import Lab, report
from own_entries import bottleneck


@pytest.fixture
def lr_find(lab: Lab):
    """Runs the command with these words in an empty folder; returns what it prints."""

    def run(*words: str, code: int = 0) -> str:
        assert program.main(["lr_find", *words]) == code
        out, err = lab.capsys.readouterr()
        assert err == "" if code != 2 else err.count("\n") == 1, err
        return err if code == 2 else out

    return run


def labeled(out: str, label: str) -> str:
    """What stands behind a label."""
    (line,) = (line for line in out.splitlines() if line.startswith(f"{label} "))
    return line.removeprefix(label).strip()


def test_a_rate_is_found_and_nothing_but_the_picture_is_left(lr_find, lab: Lab) -> None:
    out = lr_find("data=iris", "model=mlp", "optimizer.lr=5", "model.hidden=[8]", "run.root=x y")
    assert out.startswith("dlcourse lr_find   mlp on iris   adam   batches of 32   ")
    lr, _, meaning = labeled(out, "lr").partition(", ")
    assert 1e-4 < float(lr) < 1 and meaning.startswith("where the loss falls fastest; it is lowest at ")
    assert labeled(out, "saved") == "lr_find.png"
    assert shlex.split(labeled(out, "train")) == [
        *("dlcourse", "train", "data=iris", "model=mlp", "model.hidden=[8]", "run.root=x y", f"optimizer.lr={lr}")
    ]
    assert [path.name for path in lab.folder.iterdir()] == ["lr_find.png"]
    with Image.open("lr_find.png") as picture:
        assert picture.size[0] > 500


def test_the_same_words_give_the_same_answer_and_the_command_runs(lr_find, lab: Lab) -> None:
    first = lr_find("data=iris", "seed=3", "--out", "a.png")
    assert lr_find("data=iris", "seed=3", "--out=b.png").replace("b.png", "a.png") == first
    command = shlex.split(labeled(first, "train"))
    run = lab.train(*command[2:], "trainer.epochs=1", "report=light")
    assert report(run)["epochs"] == 1


def test_a_hyphen_will_do(lab: Lab) -> None:
    assert program.main(["lr-find", "--help"]) == 0
    assert lab.capsys.readouterr().out.startswith("dlcourse lr_find [GROUP=NAME ...]")


def test_your_own_files_take_part(lr_find, tmp_path: Path) -> None:
    (tmp_path / "own" / "model").mkdir(parents=True)
    (tmp_path / "own" / "model" / "small.yaml").write_text("defaults: [mlp, _self_]\nhidden: [4]\n")
    out = lr_find("data=iris", "model=small", "--config-dir", str(tmp_path / "own"))
    assert f"dlcourse train --config-dir {tmp_path / 'own'} data=iris model=small optimizer.lr=" in out


def test_the_command_to_type_names_the_plug_ins(lr_find, tmp_path: Path) -> None:
    folder = bottleneck(tmp_path / "mine")
    out = lr_find("data=iris", "model=bottleneck", "--plugins", str(folder))
    assert f"dlcourse train --plugins={folder} data=iris model=bottleneck optimizer.lr=" in out


def test_a_picture_that_cannot_be_written_loses_no_suggestion(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OutputError("no space left")

    monkeypatch.setattr(lr_find_module, "write_named", full)
    assert program.main(["lr_find", "data=iris"]) == OutputError.exit_code
    out, err = lab.capsys.readouterr()
    assert float(labeled(out, "lr").partition(",")[0]) > 0 and "no space left" in err


def test_no_rate_is_suggested_where_nothing_learns(lr_find) -> None:
    out = lr_find("data=iris", "model=mlp", "trainer.clip_norm=1e-30", "optimizer=sgd", code=1)
    assert labeled(out, "lr") == "none: the loss does not fall at any of them"
    assert "optimizer.lr=" not in out and Path("lr_find.png").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--outt x.png", "unknown flag '--outt'; did you mean '--out'?"),
        ("--out x.jpg", "--out x.jpg must end in .png"),
        ("--out there.png", "--out there.png exists already; name a file that does not"),
        ("--out none/x.png", "--out none/x.png: the folder none does not exist; make it first, or name another"),
        ("-m", "-m is for dlcourse train; dlcourse lr_find is of one model, leave -m out"),
        ("seed=1,2", "'seed=1,2' has several values; dlcourse lr_find takes one"),
        ("model=cnm", "unknown model 'cnm'; did you mean 'cnn'?"),
        ("model=cnn data=iris", "model 'cnn' "),
        ("data=ring model=gan", "the loss of task 'adversarial' does not fall as its model gets better"),
        ("debug=fast", "debug=fast is for dlcourse train; leave it out"),
        (
            "data=diabetes model=linreg task=least_squares trainer=one_step",
            "task 'least_squares' takes one step that no learning rate scales; there is none to find",
        ),
    ],
)
def test_what_cannot_be_found_is_one_line(lr_find, words: str, message: str) -> None:
    Path("there.png").write_text("mine")
    assert lr_find(*words.split(), code=2).startswith(f"dlcourse: error: {message}")
    assert [path.name for path in Path().iterdir()] == ["there.png"]
    assert Path("there.png").read_text() == "mine"


def test_words_are_composed_as_for_a_training(lab: Lab) -> None:
    config = composed(["model=cnn", "experiment=null", "optimizer.lr=0.5"], [conf_dir()], "lr_find")
    assert (config.model.name, config.optimizer.options["lr"]) == ("cnn", 0.5)
    with pytest.raises(ConfigError, match="dlcourse lr_find takes one"):
        composed(["model=cnn,mlp"], [conf_dir()], "lr_find")


def test_the_picture_marks_the_suggestion_on_the_smoothed_losses_and_cuts_off_what_diverges() -> None:
    lrs = np.geomspace(1e-4, 1e-2, 3)
    (axes,) = LrRangeCurve(lrs, np.array([[2.0, 1.0, 1e9], [2.0, 1.2, 3.0]]), [2.0, 1.1, 2.5], 1e-3, "mlp").draw().axes
    assert axes.get_xscale() == "log" and axes.get_ylim()[1] < 4
    (mark,) = (line for line in axes.lines if line.get_marker() == "o")
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (1e-3, pytest.approx(1.1))
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        *("2 tests", "mean, smoothed", "falls fastest: 0.001")
    ]
