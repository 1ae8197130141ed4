"""The command line: what Hydra offers still works, and every mistake is told in one line that says what to type."""

import os
import subprocess
import sys

import pytest

from dlcourse import __version__
from dlcourse.cli.config_files import entries
from dlcourse.config.paths import conf_dir
from dlcourse.config.run_config import GROUPS
from dlcourse.errors import DivergedError
from stand_in import CommandLine, command_line


@pytest.fixture
def train(tmp_path, monkeypatch, capsys) -> CommandLine:
    return command_line(tmp_path, monkeypatch, capsys)


def _only_files_of_the_test(train):
    return [
        path for path in train.folder.parent.rglob("*") if train.folder not in path.parents and path.is_file()
    ] == []


# Verbs


def test_help_names_the_verbs_and_exit_codes(train):
    assert train.raw("--help") == 0
    for word in ("dlcourse train", "dlcourse list", "0    done", "130  Ctrl-C, 143 SIGTERM"):
        assert word in train.out


def test_nothing_is_bad_input_with_help_on_stderr(train):
    assert train.raw() == 2
    assert train.out == "" and "dlcourse train" in train.err


def test_version(train):
    assert train.raw("--version") == 0
    assert train.out == f"dlcourse {__version__}\n"


def test_misspelt_verb(train):
    assert train.raw("trian") == 2
    assert train.err == "dlcourse: error: unknown command 'trian'; did you mean 'train'?\n"


def test_forgotten_verb(train):
    assert train.raw("model=cnn") == 2
    assert train.err == "dlcourse: error: unknown command 'model=cnn'; write dlcourse train model=cnn ...\n"


# Errors


def test_an_error_of_the_run_is_one_line_with_its_exit_code(train):
    def fail(config):
        raise DivergedError("loss is nan at step 3")

    train.trained.behave = fail
    assert train() == 1
    assert train.err == "dlcourse: error: loss is nan at step 3\n"


@pytest.mark.parametrize("ask", ["flag", "variable"])
def test_a_traceback_only_where_asked_for(train, monkeypatch, ask):
    def fail(config):
        raise KeyError("bug")

    train.trained.behave = fail
    assert train() == 1
    assert train.err.startswith("dlcourse: internal error: KeyError: 'bug'; run again with --traceback")
    assert "Traceback" not in train.err
    if ask == "variable":
        monkeypatch.setenv("DLCOURSE_TRACEBACK", "1")
    assert train(*(["--traceback"] if ask == "flag" else [])) == 1
    assert "Traceback" in train.err and "in fail" in train.err


def test_interrupting_is_quiet(train):
    def interrupt(config):
        raise KeyboardInterrupt

    train.trained.behave = interrupt
    assert train() == 130
    assert train.err == ""


@pytest.mark.parametrize("words", ["list", "train --help", "train --cfg all"])
def test_a_closed_pipe_is_silent(words):
    command = f"{sys.executable} -u -m dlcourse {words} | head -n 1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["modle=cnn"], "unknown option 'modle'; did you mean 'model'?"),
        (["model=cnm"], "unknown model 'cnm'; did you mean 'cnn'?"),
        (["model=../../x"], "unknown model '../../x'; there are: "),
        (["optimizer.lrr=1"], "unknown option 'optimizer.lrr'; did you mean 'optimizer.lr'?"),
        (["optim.lr=1"], "unknown option 'optim.lr'; did you mean 'optimizer.lr'?"),
        (["epochs=3"], "unknown option 'epochs'; did you mean 'trainer.epochs'?"),
        (["trainer/epochs=3"], "options of a section are written with a dot: trainer.epochs"),
        (["cnn"], "'cnn' is not of the form option=value"),
        (["+model=mlp"], "model is already chosen; write model=mlp without '+'"),
        (["~optimizer"], "'optimizer' cannot be removed"),
        (["model@x=mlp"], "'@' cannot be used here"),
        (["model=[mlp]"], "model must be one name"),
        (["model=null"], "model must be one name"),
        (["trainer.epochs=1", "trainer.epochs=2"], "'trainer.epochs' is given twice"),
        (["--epochs", "5"], "unknown flag '--epochs'; write trainer.epochs=5"),
        (["--lr=0.1"], "unknown flag '--lr=0.1'; write optimizer.lr=0.1"),
        (["--multrun"], "unknown flag '--multrun'; did you mean '--multirun'?"),
        (["trainer.epochs=[1,2"], "'[' is not closed by ']'"),
        (["trainer.epochs=1,2"], "'trainer.epochs=1,2' has several values; add -m to run them all"),
        (["trainer.epochs=range(1,3)"], "has several values; add -m"),
        (["trainer.epochs=abc"], "trainer.epochs must be a whole number >= 1, got 'abc'"),
        (["trainer.epochs="], "trainer.epochs must be a whole number >= 1, got no value"),
        (["+trainer.foo=1"], "unknown option 'trainer.foo'"),
        (["data=folder", "data.root=${nope}"], "data.root: '${nope}' refers to nothing"),
        (
            ["data=folder", "data.root=${oc.env:HOME}"],
            "data.root: '${oc.env:...}' cannot be used; write the value itself",
        ),
        (["data=folder", "data.root=${"], "data.root"),
        (["hydra.run.dir=x"], "'hydra.run.dir' cannot be set; write run.dir=FOLDER"),
        (["hydra.mode=MULTIRUN"], "write -m"),
        (["-m", "+hydra.sweeper.params.seed=3", "seed=1,2"], "'hydra.sweeper.params.seed' cannot be set"),
        (
            ["data.root=${oc.create:x}", "data=folder"],
            "data.root: '${oc.create:...}' cannot be used; write the value itself",
        ),
        (["+hydra.callbacks.x._target_=os.getcwd"], "'_target_' is reserved"),
        (["hydra/job_logging=default"], "it is a setting of Hydra itself"),
        (["hydra/launcher=nope"], "unknown hydra/launcher 'nope'; there are: basic, dlcourse"),
        (["--cfg", "job", "-m"], "--multirun and --cfg do not go together"),
        (["--resolve"], "--resolve needs --cfg"),
        (["--cfg", "jop"], "invalid choice: 'jop'"),
        (["--config-name", "x"], "--config-name cannot be used"),
        (["--experimental-rerun", "x.pickle"], "--experimental-rerun cannot be used"),
        (["-m", "model=mlp,cnm"], "unknown model 'cnm'; did you mean 'cnn'?"),
        (["-m", "run.dir=x", "seed=1,2"], "write run.root=FOLDER"),
        (["-sc", "install=tcsh"], "No completion plugin for 'tcsh'"),
    ],
)
def test_mistakes_are_refused_in_one_line(train, words, message):
    assert message in train.refuses(*words)
    assert _only_files_of_the_test(train)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model/own.yaml", "name: [mlp\n", "own.yaml line 2: expected ',' or ']'"),
        ("model/own.yaml", "name: mlp\n\thidden: 1\n", "own.yaml line 2: "),
        ("model/own.yaml", b"name: \xff\n", "own.yaml is not UTF-8 (byte 6)"),
        ("model/own.yaml", "- a\n", "own.yaml holds a list; expected lines of the form 'option: value'"),
        ("model/own.yaml", "", "own.yaml is empty"),
        ("model/own.yaml", "a: &x 1\nb: *x\n", "own.yaml line 1: anchors"),
        (
            "model/own.yaml",
            "a: !!python/object/apply:os.getcwd []\n",
            "own.yaml line 1: could not determine a constructor",
        ),
        ("model/own.yaml", "a: !!timestamp x\n", "own.yaml has a value that does not fit its tag"),
        ("model/own.yaml", "a: !!bool x\n", "own.yaml has a value that does not fit its tag"),
        ("model/own.yaml", "a: !!int ''\n", "own.yaml has a value that does not fit its tag"),
        ("model/own.yaml", "a: " + "[" * 3000 + "]" * 3000, "own.yaml line 1: too deeply nested"),
        ("model/own.yaml", "a: " + "x" * 70000, "own.yaml is too large"),
        (
            "model/cnn.yaml",
            "name: cnn\n",
            "cnn.yaml has the name of an entry of dlcourse; rename it, such as my_cnn.yaml",
        ),
        ("config.yaml", "seed: 1\n", "would be ignored"),
        ("model/.yaml", "name: mlp\n", ".yaml has no name in front of '.yaml'"),
        ("model/own.yaml", "# @x y\u2028# @package hydra\nmode: x\n", "own.yaml: '@package hydra' cannot be used"),
        (
            "model/own.yaml",
            "defaults: [data: xor]\nname: own\n",
            "own.yaml: {'data': 'xor'} cannot stand in 'defaults'",
        ),
        ("model/own.yaml", "defaults: [.yaml]\nname: own\n", "own.yaml: '.yaml' cannot stand in 'defaults'"),
        (
            "data/own.yaml",
            "defaults: [shared@_here_: [split, file]]\nname: mnist\n",
            "own.yaml: unknown shared options 'file'; did you mean 'files'?",
        ),
        (
            "data/own.yaml",
            "defaults: [shared@_here_: ../../model/mlp]\nname: mnist\n",
            "own.yaml: unknown shared options '../../model/mlp'; there are: augment,",
        ),
        (
            "data/own.yaml",
            "defaults: [_self_, shared@_here_: [images, augment]]\nname: mnist\naugment: {flip: true}\n",
            "own.yaml: 'augment.flip' has no effect, 'augment' follows _self_ in 'defaults'; put _self_ behind it",
        ),
        (
            "data/own.yaml",
            "defaults: [override /data/shared@data: [split]]\nname: mnist\n",
            "own.yaml: {'override /data/shared@data': ['split']} cannot stand in 'defaults'",
        ),
        (
            "model/own.yaml",
            "defaults: [shared@_here_: [split]]\nname: mlp\n",
            "own.yaml: {'shared@_here_': ['split']} cannot stand in 'defaults'",
        ),
        ("model/own.yaml", f"defaults: [{'x' * 300}]\nname: mlp\n", "unknown model"),
        ("data/shared/split.yaml", "subset: 10\n", "data/shared would replace options of dlcourse; rename it"),
    ],
)
def test_bad_files_are_named_with_their_line(train, name, content, message):
    train.write(name, content)
    group = name.partition("/")[0]
    assert message in train.refuses("data=own" if group == "data" else "model=own")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("trainr: {epochs: 3}", "unknown section 'trainr' in {path}; did you mean 'trainer'?"),
        ("trainer: {epoch: 3}", "unknown option 'trainer.epoch' in {path}; did you mean 'trainer.epochs'?"),
        (
            "defaults: [{override /model: cnm}]",
            "unknown model 'cnm'; did you mean 'cnn'? (asked for by experiment=own)",
        ),
        ("defaults: [{override /modle: cnn}]", "own.yaml: {'override /modle': 'cnn'} cannot stand in 'defaults'"),
        (
            "hydra: {callbacks: {x: {_target_: os.getcwd}}}",
            "own.yaml: section 'hydra' would change Hydra itself; remove it",
        ),
        ("hydra: {run: {dir: elsewhere}}", "own.yaml: section 'hydra' would change Hydra itself; remove it"),
        (
            "hydra: {launcher: {x: {_target_: os.getcwd}}}",
            "own.yaml: section 'hydra' would change Hydra itself; remove it",
        ),
    ],
)
def test_bad_experiments_are_refused(train, body, message):
    path = train.write("experiment/own.yaml", f"# @package _global_\n{body}\n")
    assert message.replace("{path}", str(path)) in train.refuses("experiment=own")
    assert _only_files_of_the_test(train)


def test_a_file_that_includes_itself(train):
    train.write("model/own.yaml", "defaults: [own]\nname: mlp\n")
    assert "include" in train.refuses("model=own")


@pytest.mark.parametrize(
    "group",
    [pytest.param(group, marks=pytest.mark.slow if group in ("data", "experiment") else ()) for group in GROUPS],
)
def test_a_copy_of_each_entry_is_an_entry_of_the_user(train, group):
    for path in (conf_dir() / group).glob("*.yaml"):
        train.write(f"{group}/my_{path.name}", path.read_text(encoding="utf-8"))
    assert train.raw("list", group, "--config-dir", str(train.folder)) == 0
    for name in [name for name in entries(group, [train.folder]) if name.startswith("my_")][:3]:
        texts = []
        for chosen in (name, name.removeprefix("my_")):
            assert train(f"{group}={chosen}", "--cfg", "job") == 0
            texts.append(train.out)
        assert texts[0] == texts[1]


def test_a_user_may_replace_what_is_shared(train):
    train.write("data/own.yaml", "defaults: [shared@_here_: [split], _self_]\nname: mnist\nval_fraction: 0.3\n")
    assert train("data=own", "--cfg", "job", "--package", "data") == 0
    assert train.out == "# @package data\nsubset: null\nval_fraction: 0.3\nk_fold: null\nfold: null\nname: mnist\n"
    assert train.raw("list", "data=own", "--config-dir", str(train.folder)) == 0
    assert "val_fraction  0.3   number in (0, 1)" in train.out


def test_what_entries_share_is_nothing_to_choose(train, monkeypatch):
    assert "unknown data 'shared/images'" in train.refuses("data=shared/images")
    assert "'@' cannot be used here" in train.refuses("data/shared@data=split")
    assert train("--help") == 0
    assert "data/shared" not in train.out and "data: adding" in train.out
    for line, proposals in (("data", "data. data=\n"), ("data/", "\n")):
        monkeypatch.setenv("COMP_LINE", f"dlcourse {line}")
        assert train("-sc", "query=bash") == 0
        assert train.out == proposals


def test_config_folder_that_does_not_exist(train):
    assert train.raw("train", "--config-dir", "nowhere") == 2
    assert "--config-dir 'nowhere' does not exist" in train.err


# Composition


def test_the_defaults_reach_the_run(train):
    assert train("seed=3") == 0
    config = train.trained.configs[0]
    assert (config.model.name, config.data.name, config.optimizer.name, config.seed) == ("mlp", "digits", "adam", 3)
    assert train.trained.overrides == [["seed=3"]]


def test_flags_may_stand_anywhere(train):
    assert train("model=cnn", "--cfg", "job", "seed=3", "--package", "seed") == 0
    assert train.out == "3\n"


@pytest.fixture
def with_overriding_entries(train):
    """Data asks for task=regression, a model for task=own, an experiment for a model, a task and options."""
    train.write("task/own.yaml", "name: own\n")
    train.write("data/numbers.yaml", "defaults:\n  - override /task@_global_.task: regression\nname: numbers\n")
    train.write("model/picky.yaml", "defaults:\n  - override /task@_global_.task: own\nname: picky\nsize: 1\n")
    train.write(
        "experiment/try.yaml",
        "# @package _global_\ndefaults:\n  - override /model: picky\n  - override /task: classification\n"
        "trainer: {epochs: 9}\nmodel: {size: 7}\nseed: 5\n",
    )
    return train


@pytest.mark.parametrize(
    ("words", "task"),
    [
        ([], "classification"),
        (["data=numbers"], "regression"),
        (["data=numbers", "model=picky"], "own"),
        (["data=numbers", "model=picky", "experiment=try"], "classification"),
        (["data=numbers", "experiment=try", "task=regression"], "regression"),
    ],
)
def test_task_is_chosen_by_command_line_then_experiment_then_model_then_data(with_overriding_entries, words, task):
    train = with_overriding_entries
    assert train(*words) == 0
    assert train.trained.configs[0].task.name == task


def test_an_experiment_wins_over_the_defaults_and_the_command_line_over_the_experiment(with_overriding_entries):
    train = with_overriding_entries
    assert train("experiment=try") == 0
    assert train("experiment=try", "model=mlp", "trainer.epochs=2", "seed=1") == 0
    first, second = train.trained.configs
    assert (first.model.name, first.model.options["size"], first.trainer.epochs, first.seed) == ("picky", 7, 9, 5)
    assert (second.model.name, second.trainer.epochs, second.seed) == ("mlp", 2, 1)


def test_no_experiment_can_be_said(train):
    assert train("experiment=null") == 0


@pytest.mark.parametrize("flag", [["--help"], ["--info", "defaults"], ["--info", "seed=3"], ["--hydra-help"]])
def test_hydras_own_pages(train, flag):
    assert train(*flag) == 0
    assert train.out and train.trained.configs == []


def test_help_of_train_shows_the_choices(train):
    train("--help")
    assert "cnn, " in train.out and "-sc install=bash" in train.out


# Start-up


@pytest.mark.parametrize(
    ("words", "forbidden"),
    [
        (["--help"], ("torch", "hydra", "omegaconf", "numpy")),
        (["list"], ("torch", "hydra", "omegaconf", "numpy")),
        (["runs"], ("torch", "hydra", "omegaconf", "numpy")),
        (["tensorboard", "--help"], ("torch", "hydra", "omegaconf", "numpy", "tensorboard")),
        (["report", "--help"], ("torch", "hydra", "omegaconf", "numpy", "jinja2", "markdown")),
        (["train", "--cfg", "job"], ("torch", "numpy")),
        (["train", "--help"], ("torch", "numpy")),
        (["train", "--info", "defaults"], ("torch", "numpy")),
        (["-sc", "query=bash"], ("torch", "numpy")),
    ],
)
def test_nothing_heavy_is_imported(train, words, forbidden):
    words = [words[0], "--config-dir", str(train.folder), *words[1:]] if words[0] == "train" else words
    code = (
        "import sys; from dlcourse.cli.main import main; print('|', main(sys.argv[1:]), *sys.modules, file=sys.stderr)"
    )
    environment = {**os.environ, "COMP_LINE": "dlcourse train mod"}
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, env=environment, timeout=60, check=True
    )
    code, *modules = done.stderr.partition("|")[2].split()
    assert code == "0"
    assert not set(forbidden) & set(modules)
