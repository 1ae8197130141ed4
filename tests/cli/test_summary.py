"""`dlcourse summary`: words to a model, what is said of it, and what is refused in one line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dlcourse.cli import main as program
from dlcourse.cli.compatibility import announced, trains_on
from dlcourse.data import DATASETS
from dlcourse.gpt_sizes import SIZES
from dlcourse.models import MODELS
from lab import Lab, report
from tiny_data import tiny_data


@pytest.fixture
def summary(lab: Lab):
    """Runs the command with these words in an empty folder; returns what it prints."""

    def run(*words: str, code: int = 0) -> str:
        assert program.main(["summary", *words]) == code
        out, err = lab.capsys.readouterr()
        assert out == "" if code else err == "", err
        return err if code else out

    return run


@pytest.fixture
def facts(summary):
    """The same as JSON."""
    return lambda *words: json.loads(summary(*words, "--json"))


def numbers(out: str, label: str) -> list[str]:
    """The cells of the line that begins with the label."""
    (line,) = (line for line in out.splitlines() if line.startswith(f"{label} "))
    return line.removeprefix(label).split()


def test_a_model_is_told_layer_by_layer(summary) -> None:
    out = summary("model=cnn", "data=mnist", "trainer.batch_size=128")
    assert out.startswith("dlcourse summary   cnn on mnist   batches of 128   adam   float32\n")
    assert "data   1x28x28   10 classes   as announced: no file was read\n" in out
    assert numbers(out, "blocks.0") == ["Conv2d", "32x28x28", "288", "451.6", "k", "32", "x", "(1", "x", "3", "x", "3)"]
    assert "a multiply-add is 2" in out
    layers, memory = (line.split() for line in out.splitlines() if line.startswith("total"))
    assert layers == ["total", "241,770", "15.20", "M"]
    parts = [numbers(out, part)[0] for part in ("weights", "gradients", "optimizer state", "activations", "temporary")]
    assert sum(map(float, parts)) == pytest.approx(float(memory[1]), abs=0.03)
    assert "adam keeps 2 numbers for each parameter" in out


def test_the_same_for_programs(facts) -> None:
    found = facts("model=lstm", "data=mnist", "optimizer=sgd")
    assert found["parameters"] == sum(layer["parameters"] for layer in found["layers"]) == 82_186
    assert found["flops"] == sum(layer["flops"] for layer in found["layers"]) == 2 * (28 * 512 * (28 + 128) + 10 * 128)
    recurrent = next(layer for layer in found["layers"] if layer["name"] == "recurrent")
    assert recurrent["shape"] == [28, 128] and recurrent["kind"] == "LSTM"
    parts = dict(found["memory"])
    assert parts.pop("total") == sum(parts.values()) and parts["optimizer_state"] == 0
    assert (found["model"], found["data"], found["task"]) == ("lstm", "mnist", "classification")
    assert (found["batch_size"], found["data_read"], found["precision"]) == (64, False, "float32")


_READ_TEXTS = ("transformer", "gru", "lstm", "rnn")  # and whole ones to know their symbols, which takes seconds


@pytest.mark.parametrize(
    "model", [pytest.param(model, marks=pytest.mark.slow if model in _READ_TEXTS else ()) for model in MODELS]
)
def test_every_model_is_summarized_on_data_of_every_kind_of_target(facts, model: str) -> None:
    kinds = {}
    for data in DATASETS:
        if len(announced(data)) == 1 and data not in ("images", "text", "tinyshakespeare", "pydoc"):
            kinds.setdefault(announced(data)[0].target, []).append(data)
    for names in kinds.values():
        data = next((name for name in names if trains_on(model, announced(name)[0])), None)
        if data is not None:
            found = facts(f"model={model}", f"data={data}", "trainer.batch_size=4")
            assert found["parameters"] > 0 and found["flops"] > 0 and found["memory"]["activations"] > 0
            assert found["data_read"] == (announced(data)[0].target == "next")  # a text's symbols are its own


def test_both_players_of_a_gan_are_in_the_table(summary) -> None:
    out = summary("model=gan", "data=moons", "trainer.batch_size=8")
    assert "\ngenerator\n" in out and "\ndiscriminator\n" in out


def test_a_running_average_has_a_line(summary) -> None:
    assert "\naverage " in summary("model=diffusion", "data=moons")
    assert "\naverage " not in summary("model=diffusion", "data=moons", "task.ema=0")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if size.layers > 12 else ()) for name, size in SIZES.items()],
)
def test_sizes_of_gpt_have_the_parameters_of_the_formula(facts, name: str) -> None:
    found = facts(name, "trainer.batch_size=1")
    size = SIZES[name]
    assert found["parameters"] == size.parameters
    # A product with each weight but those of positions and norms, biases left out, and the scores of attention.
    products = (
        size.vocabulary * size.width + 12 * size.layers * size.width**2 + 2 * size.layers * size.context * size.width
    )
    assert found["flops"] == 2 * size.context * products
    assert found["memory"]["weights"] == 4 * size.parameters


@pytest.mark.slow
def test_equal_blocks_of_a_large_model_are_told_once(summary) -> None:
    out = summary("gpt2-xl", "trainer.batch_size=1")
    assert out.startswith("dlcourse summary   gpt2-xl, GPT-2 XL   batches of 1   adam   float32\n")
    assert "\ntotal                                                   1,557,611,200  3.507 T\n" in out
    assert "\n  blocks.0-47\n" in out and "  48 x (4,800 x 1,600 + 4,800)\n" in out and out.count("\n") < 40
    assert " GiB\n" in out


def test_a_size_takes_other_options(facts) -> None:
    plain, other = facts("nano"), facts("nano", "trainer.batch_size=8", "optimizer=sgd", "model.tie=false")
    assert (plain["batch_size"], other["batch_size"], other["optimizer"]) == (64, 8, "sgd")
    assert other["parameters"] - plain["parameters"] == 65 * 128


def test_a_run_is_summarized_from_its_folder(lab: Lab, facts, summary) -> None:
    words = ("data=digits", "model=mlp", "model.hidden=[8]", "data.subset=200", "trainer.epochs=1", "report=light")
    run = lab.train(*words).relative_to(lab.folder)
    for folder in (str(run), "outputs"):
        assert facts(folder)["parameters"] == report(run)["model"]["parameters"]
    out = summary(str(run))
    assert f"1x8x8   10 classes   of the run in {run}\n" in out
    (run / "config.yaml").write_text((run / "config.yaml").read_text().replace("- 8", "- 9"))
    assert "config.yaml is damaged or was changed" in summary(str(run), code=2)


def test_a_run_needs_no_data(lab: Lab, facts, tmp_path: Path) -> None:
    run = lab.train(*tiny_data("csv", tmp_path), "model=logreg", "trainer.epochs=1", "report=light")
    (tmp_path / "table.csv").unlink()
    assert facts(str(run))["parameters"] == report(run)["model"]["parameters"]


def test_data_are_read_if_their_files_decide(summary, tmp_path: Path) -> None:
    out = summary(*tiny_data("csv", tmp_path), "model=logreg")
    assert "train / " in out and "read, as training does\n" in out
    out = summary(*tiny_data("text", tmp_path), "model=gru", "model.hidden=8")
    assert " tokens of 19   the next token   read, as training does\n" in out
    out = summary(*tiny_data("images", tmp_path), "model=cnn", "model.channels=[4]")
    assert "3x16x16   2 classes   read, as training does\n" in out


def test_data_are_not_read_if_they_need_not_be(summary) -> None:
    nowhere = ["data=cifar10", "data.root=nowhere", "data.download=false"]
    assert "3x32x32   10 classes   as announced" in summary(*nowhere, "model=resnet")
    assert "3x48x48   10 classes   as announced" in summary("experiment=lecture_cnn48", "data.root=nowhere")
    assert "is not in nowhere" in summary(*nowhere, "model=resnet", "data.classes=[cat,dog]", code=2)
    assert "is not in nowhere" in summary(*nowhere, "model=resnet", "trainer.batch_size=full", code=2)


def test_the_announced_shape_of_images_is_that_of_read_ones(facts, tmp_path: Path) -> None:
    words = [*tiny_data("mnist", tmp_path), "model=cnn", "data.resize=20", "data.rgb=true"]
    announced_shape = facts(*words)
    read = facts(*words, "trainer.batch_size=full")
    assert announced_shape["data_read"] is False and read["data_read"] is True
    assert announced_shape["input_shape"] == read["input_shape"] == [3, 20, 20]
    assert announced_shape["parameters"] == read["parameters"] and read["batch_size"] == 54


def test_frozen_parameters_are_told(summary, facts) -> None:
    words = ("data=digits", "model=mlp", "freeze=[layers.1.*]")
    assert "freeze 16,640 of 50,826 parameters are left as they are\n" in summary(*words)
    assert facts(*words)["frozen"] == 16_640


def test_config_files_of_ones_own(facts, tmp_path: Path) -> None:
    (tmp_path / "mine" / "model").mkdir(parents=True)
    (tmp_path / "mine" / "model" / "wide.yaml").write_text("# Wide.\nname: mlp\nhidden: [1000]\n")
    assert facts("--config-dir", "mine", "model=wide")["parameters"] == 64 * 1000 + 1000 + 1000 * 10 + 10


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model=cnm"], "unknown model 'cnm'; did you mean 'cnn'?"),
        (["cnn"], "'cnn' is not of the form option=value; write model=cnn"),
        (["gtp2"], "unknown size 'gtp2'; did you mean 'gpt2'?"),
        (["model=cnn,mlp"], "'model=cnn,mlp' has several values; dlcourse summary takes one"),
        (["-m", "model=cnn"], "-m is for dlcourse train; dlcourse summary is of one model, leave -m out"),
        (["--jason"], "unknown flag '--jason'; did you mean '--json'?"),
        (["--config-dir"], "--config-dir needs a folder: dlcourse summary --config-dir DIR"),
        (["optimizer.lr=-1"], "optimizer.lr must be a number > 0, got -1"),
        (["gpt2", "gpt3"], "'gpt3' after 'gpt2': dlcourse summary is of one model; give one of them"),
        (["gpt2", "model=cnn"], "'model' is given twice: model=transformer and model=cnn; give one of them"),
        (
            ["gpt2", "data=mnist"],
            "'data=mnist': gpt2 has its own context and vocabulary; for others write model=transformer",
        ),
        (
            ["gpt2", "trainer.batch_size=full"],
            "trainer.batch_size=full needs data, and gpt2 has none here; write trainer.batch_size=8",
        ),
        (["outputs/none"], "'outputs/none' does not exist; expected the folder of a run, such as outputs/mnist-cnn"),
        (["data=csv"], "data.file is missing; write data=csv data.file=FILE data.target=COLUMN"),
        (
            ["data=moons", "model=cnn"],
            "model 'cnn' needs images with classes or numbers, and data 'moons' has examples of shape (2,); write model=mlp",
        ),
        (
            ["data=moons", "model.norm=batch", "trainer.batch_size=1"],
            "batch norm needs two examples or more in a batch; write trainer.batch_size=2",
        ),
        (
            ["model=torchvision", "model.arch=inception_v3", "data=cifar10"],
            "model 'torchvision' with model.arch=inception_v3 cannot take the 32x32 images of data 'cifar10' (Calculated "
            "padded input size per channel: (1 x 1). Kernel size: (3 x 3). Kernel size can't be greater than actual input "
            "size); write another model.arch, or data.resize=75",
        ),
    ],
)
def test_what_is_wrong_is_told_in_one_line(summary, words: list[str], message: str) -> None:
    assert summary(*words, code=2) == f"dlcourse: error: {message}\n"


def test_a_run_takes_no_options_and_a_sweep_is_none(lab: Lab, summary) -> None:
    run = lab.train("data=moons", "model=mlp", "model.hidden=[4]", "trainer.epochs=1", "report=light")
    assert summary(str(run), "optimizer=sgd", code=2) == (
        f"dlcourse: error: 'optimizer=sgd': a run is summarized as it is; write dlcourse summary {run}\n"
    )
    (run.parent / "sweep.json").write_text("{}")
    message = f"{run.parent} is a sweep; write dlcourse summary with the folder of one of its runs"
    assert summary(str(run.parent), code=2) == f"dlcourse: error: {message}\n"


@pytest.mark.parametrize("word", ["parameters", "params", "flops", "layers", "model"])
def test_other_words_for_it_are_answered(lab: Lab, word: str) -> None:
    assert program.main([word]) == 2
    assert lab.capsys.readouterr().err == f"dlcourse: error: unknown command '{word}'; did you mean 'summary'?\n"


def test_help_has_an_example_that_works(summary) -> None:
    out = summary("--help")
    example = out.partition("Example:\n  dlcourse summary ")[2].partition("\n")[0]
    assert "cnn on mnist   batches of 128" in summary(*example.split())


def test_torch_is_not_imported_before_the_words_are_checked(tmp_path: Path) -> None:
    code = (
        "import sys; from dlcourse.cli.main import main; code = main(sys.argv[1:]); "
        "print(code, [name for name in ('torch', 'sklearn', 'torchvision') if name in sys.modules])"
    )
    for words in (["model=cnm"], ["--help"], ["gpt2", "data=mnist"], ["trainer.epoch=1"], ["outputs/x"]):
        command = [sys.executable, "-c", code, "summary", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
        assert done.stdout.splitlines()[-1].endswith(" []"), words


def test_nothing_is_written(summary, tmp_path: Path) -> None:
    summary("data=moons", "model=mlp")
    assert list(tmp_path.iterdir()) == []
