"""`-m`: every combination is checked before the first run, a failed run stops no other, the best stands first."""

import csv
import math
import re
from pathlib import Path

import pytest

from dlcourse.cli.hydra_overrides import parse
from dlcourse.errors import ConfigError, DataError, DivergedError
from dlcourse.sweeps.grid import combinations, job_name
from dlcourse.sweeps.ranking import Job, rank
from dlcourse.sweeps.summary import write_summary
from stand_in import CommandLine, Result, command_line


@pytest.fixture
def train(tmp_path, monkeypatch, capsys) -> CommandLine:
    return command_line(tmp_path, monkeypatch, capsys)


def _sweep_folder(root="outputs"):
    (folder,) = Path(root, "multirun").iterdir()
    return folder


def _rows(folder):
    with (folder / "summary.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_combination_runs_in_a_folder_of_its_own(train):
    assert train("-m", "model=mlp,cnn", "seed=2,1", "trainer.epochs=3") == 0
    configs = train.trained.configs
    assert [(config.model.name, config.seed, config.trainer.epochs) for config in configs] == [
        ("mlp", 2, 3),
        ("mlp", 1, 3),
        ("cnn", 2, 3),
        ("cnn", 1, 3),
    ]
    names = ["1-model=mlp,seed=2", "2-model=mlp,seed=1", "3-model=cnn,seed=2", "4-model=cnn,seed=1"]
    assert [config.run.dir for config in configs] == [str(_sweep_folder() / name) for name in names]
    assert train.trained.overrides[0] == ["model=mlp", "seed=2", "trainer.epochs=3"]


def test_a_header_for_each_run_and_the_way_to_look(train):
    train("-m", "model=mlp,cnn", "optimizer=sgd")
    assert "run 1 of 2  model=mlp optimizer=sgd\n" in train.out
    assert "run 2 of 2  model=cnn optimizer=sgd\n" in train.out
    assert f"look   dlcourse tensorboard {_sweep_folder()}\n" in train.out


def test_the_table_is_ranked_by_validation_not_by_test(train):
    assert train("-m", "trainer.epochs=4,2,3") == 0
    table = (_sweep_folder() / "summary.txt").read_text(encoding="utf-8")
    assert table in train.out
    heading, *lines = table.splitlines()
    assert heading == "ranked by val/accuracy (higher is better); the test set has no part in it"
    assert [line.split()[:2] for line in lines] == [["rank", "trainer.epochs"], ["1", "2"], ["2", "3"], ["3", "4"]]
    assert "test/" not in table
    rows = [(row["rank"], row["trainer.epochs"], float(row["val/accuracy"])) for row in _rows(_sweep_folder())]
    assert rows == [("1", "2", 1 / 2), ("2", "3", 1 / 3), ("3", "4", 1 / 4)]


def test_a_failed_run_stops_no_other(train):
    def fail(config):
        if config.seed in (1, 2):
            raise ConfigError("not this seed") if config.seed == 1 else KeyError("bug")

    train.trained.behave = fail
    assert train("-m", "seed=0,1,2,3") == 4
    assert [config.seed for config in train.trained.configs] == [0, 1, 2, 3]
    rows = _rows(_sweep_folder())
    assert [row["rank"] for row in rows] == ["1", "1", "", ""]
    assert rows[2]["error"] == "error: not this seed"
    assert rows[3]["error"].startswith("internal error: KeyError: 'bug'")
    assert "failed  seed=1: error: not this seed" in train.out
    assert train.err.count("not this seed") == train.err.count("KeyError") == 1
    assert train.err.splitlines()[-1].startswith("dlcourse: internal error: KeyError: 'bug'")


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (DataError("no such file: x.csv"), 2, "error: no such file: x.csv"),
        (DivergedError("the loss became nan"), 1, "error: the loss became nan"),
        (
            ValueError("bug"),
            1,
            "internal error: ValueError: bug; run again with --traceback to see where it comes from",
        ),
    ],
)
@pytest.mark.parametrize("launcher", [[], ["hydra/launcher=basic"]])
def test_a_sweep_of_one_run_fails_as_that_run(train, error, code, told, launcher):
    def fail(config):
        raise type(error)(str(error))

    train.trained.behave = fail
    assert train("seed=1") == code
    alone = train.err
    assert train("-m", "seed=1", *launcher) == code
    assert alone == f"dlcourse: {told}\n"
    assert train.err.endswith(alone) and train.err.count("dlcourse: ") == 1  # Hydra's own launcher may log before it
    assert "failed" not in train.out and "sweep" not in train.out
    assert list(Path("outputs/multirun").iterdir()) == []
    assert train("-m", "--traceback", "seed=1", *launcher) == code
    assert train.err.count(", in fail\n") == 1 and train.err.endswith(alone)


def test_what_the_only_run_of_a_sweep_wrote_before_it_failed_is_kept(train):
    def fail(config):
        Path(config.run.dir).mkdir()
        raise DivergedError("the loss became nan")

    train.trained.behave = fail
    assert train("-m", "seed=1") == 1
    assert (_sweep_folder() / "1").is_dir()


def test_one_failure_among_runs_is_one(train):
    def fail(config):
        if len(train.trained.configs) == 1:
            raise DivergedError("the loss became nan")

    train.trained.behave = fail
    assert train("-m", "seed=1,1") == 4
    assert "failed  run 1: error: the loss became nan\n" in train.out
    assert train.err == "dlcourse: error: the loss became nan\n"


def test_interrupting_keeps_what_is_done(train):
    def interrupt(config):
        if config.seed == 2:
            raise KeyboardInterrupt

    train.trained.behave = interrupt
    assert train("-m", "seed=1,2,3") == 130
    assert [row["seed"] for row in _rows(_sweep_folder())] == ["1"]
    assert "not run  2 of 3, interrupted" in train.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model=mlp,cnm"], "unknown model 'cnm'"),
        (
            ["trainer.epochs=1,0"],
            "trainer.epochs must be a whole number >= 1, got 0 (in the run with trainer.epochs=0)",
        ),
        (
            ["optimizer=adam,sgd", "optimizer.beta1=0.5"],
            "unknown option 'optimizer.beta1' (in the run with optimizer=sgd)",
        ),
        (["optimizer.lr=0.1,-1"], "optimizer.lr must be a number > 0, got -1 (in the run with optimizer.lr=-1)"),
        (["model=mlp,cnn", "trianer.epochs=2"], "unknown option 'trianer.epochs'; did you mean 'trainer.epochs'?"),
        (["seed=range(5,1)"], "the sweep is empty"),
        (["seed=interval(0,1)"], "is a range without steps"),
        (["seed=range(0,20000)"], "more than 10000 runs"),
        (["seed=range(0,200)", "trainer.epochs=range(1,200)"], "more than 10000 runs"),
        (["model=glob(zzz*)"], "the sweep is empty"),
    ],
)
def test_what_cannot_run_is_refused_before_the_first_run(train, words, message):
    assert message in train.refuses("-m", *words)
    assert not Path("outputs").exists()


def test_hydras_grammar_of_several_values(train):
    assert train("-m", "seed=range(1,3)", "model=glob(ml*)", "optimizer=choice(sgd,adam)") == 0
    assert [(config.seed, config.optimizer.name) for config in train.trained.configs] == [
        (1, "sgd"),
        (1, "adam"),
        (2, "sgd"),
        (2, "adam"),
    ]


@pytest.mark.parametrize(("launcher", "code"), [("dlcourse", 4), ("basic", 2)])
def test_a_run_is_checked_as_it_is_composed(train, launcher, code):
    """A file that changes after the sweep was checked is not acted on, whoever starts the run."""
    for seed, name in ((1, "one"), (2, "two")):
        train.write(f"experiment/{name}.yaml", f"# @package _global_\nseed: {seed}\n")
    changed = "# @package _global_\nseed: 2\nhydra: {run: {dir: elsewhere}, sweep: {dir: elsewhere}}\n"
    train.trained.behave = lambda config: train.write("experiment/two.yaml", changed)
    assert train("-m", "experiment=one,two", f"hydra/launcher={launcher}") == code
    assert [config.seed for config in train.trained.configs] == [1]
    assert "sets what only dlcourse may set in section 'hydra'" in train.out + train.err
    assert not Path("elsewhere").exists()
    assert code == 2 or [row["rank"] for row in _rows(_sweep_folder())] == ["1", ""]


def test_hydras_own_sweeper_is_silent_about_no_failed_run(train):
    def fail(config):
        raise ConfigError("not this seed")

    train.trained.behave = fail
    assert train("-m", "hydra/sweeper=basic", "hydra/launcher=basic", "seed=1,2") == 2
    assert "not this seed" in train.err


def test_other_launchers_may_run_the_jobs(train):
    assert train("-m", "hydra/launcher=basic", "trainer.epochs=2,1") == 0
    assert [row["trainer.epochs"] for row in _rows(_sweep_folder())] == ["1", "2"]
    assert [path.name for path in Path.cwd().iterdir()] == ["outputs"]


def test_options_may_belong_to_what_a_swept_entry_chooses(train):
    train.write("model/sized.yaml", "name: sized\nsize: 1\n")
    train.write("experiment/one.yaml", "# @package _global_\ndefaults: [{override /model: sized}]\nseed: 1\n")
    train.write("experiment/two.yaml", "# @package _global_\ndefaults: [{override /model: sized}]\nseed: 2\n")
    assert train("-m", "experiment=one,two", "model.size=5") == 0
    assert [(config.seed, config.model.options["size"]) for config in train.trained.configs] == [(1, 5), (2, 5)]


def test_one_run_where_nothing_varies(train):
    assert train("-m", "seed=4") == 0
    assert [config.run.dir for config in train.trained.configs] == [str(_sweep_folder() / "1")]


def test_awkward_roots_and_values(train):
    assert train("-m", "run.root=a b/学=生", "data=folder", "data.root=学/x=1,~/it's") == 0
    assert [config.data.options["root"] for config in train.trained.configs] == ["学/x=1", "~/it's"]
    folders = [Path(config.run.dir) for config in train.trained.configs]
    assert {folder.parent for folder in folders} == {_sweep_folder("a b/学=生")}


@pytest.mark.parametrize("overrides", [["a=/../../x"], ["a=" + "x" * 300], ["a=学 生\\:*"], ["a=.", "b=.."], []])
def test_names_of_runs_are_safe(overrides):
    name = job_name(3, 120, overrides)
    assert name.startswith("003") and len(name) <= 100
    assert re.fullmatch(r"[A-Za-z0-9_=.,+-]+", name)


def test_combinations_vary_the_last_override_fastest():
    assert combinations(parse(["a=1,2", "b=x", "c=3,4"])) == [
        ["a=1", "b=x", "c=3"],
        ["a=1", "b=x", "c=4"],
        ["a=2", "b=x", "c=3"],
        ["a=2", "b=x", "c=4"],
    ]


def _job(best, mode="min", monitor="val/loss"):
    return Job([f"x={best}"], Path("x"), Result(Path("x"), best, monitor=monitor, mode=mode, scalars={monitor: best}))


def test_losses_rank_upwards_and_nan_comes_last():
    ranked = [group.best_run.best for group in rank([_job(0.3), _job(math.nan), _job(0.1), _job(0.2)])]
    assert ranked[:3] == [0.1, 0.2, 0.3] and math.isnan(ranked[3])


def test_different_monitors_are_ranked_apart():
    jobs = [_job(0.3), _job(0.5, "max", "val/accuracy"), _job(0.1), _job(0.9, "max", "val/accuracy")]
    assert [group.best_run.best for group in rank(jobs)] == [0.9, 0.5, 0.1, 0.3]


def test_a_sweep_without_one_good_run_has_a_summary(tmp_path, capsys):
    write_summary(tmp_path, [Job(["x=1"], tmp_path / "1", ConfigError("no"))])
    assert (tmp_path / "summary.txt").read_text() == "failed  x=1: error: no\n"
    assert _rows(tmp_path)[0]["error"] == "error: no"
