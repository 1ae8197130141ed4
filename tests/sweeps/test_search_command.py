"""`-m hydra/sweeper=search`: real runs between bounds, ranked, stopped and continued; what dlcourse.cli.search refuses."""

import json
import os
import signal
from pathlib import Path

import pytest

from dlcourse.cli.search import words_of_experiment
from dlcourse.sweeps.agenda import SearchAgenda
from dlcourse.sweeps.plan import _checksum, read_plan
from dlcourse.sweeps.search import Choices, Interval
from dlcourse.training import session
from sweep_lab import TINY, Sweeps, rows

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")]

SEARCH = ("hydra/sweeper=search", "hydra.sweeper.trials=4")
RATE = "optimizer.lr=tag(log,interval(1e-3,1e-1))"


def test_trials_are_ranked_and_their_list_is_written_down(sweeps: Sweeps) -> None:
    folder = sweeps.sweep(*SEARCH, RATE, "trainer.batch_size=choice(8,16)")
    assert "       4 trials (tpe), 2 at a time, 1 thread each\n" in sweeps.out
    table = rows(folder)
    assert [row["rank"] for row in table] == ["1", "2", "3", "4"]
    assert all(1e-3 <= float(row["optimizer.lr"]) <= 1e-1 and row["trainer.batch_size"] in ("8", "16") for row in table)
    assert len({row["optimizer.lr"] for row in table}) == 4
    plan = read_plan(folder)
    assert (
        [run.folder for run in plan.runs] == ["1", "2", "3", "4"] and plan.search is not None and plan.search.jobs == 2
    )
    assert sweeps.resume(str(folder)) == 0
    assert "4 trials (tpe)   4 are done\n" in sweeps.out and "\nrun    " not in sweeps.out


@pytest.mark.slow
def test_a_search_is_continued_by_its_command_and_by_resume(sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sweeps.sweep(*SEARCH, RATE, "resume=auto")
    whole = whole.rename("whole")
    run = session.run
    with monkeypatch.context() as patch:  # the third ends its process, twice
        patch.setattr(
            session, "run", lambda config, words: os._exit(0) if config.run.dir.endswith("/3") else run(config, words)
        )
        folder = sweeps.sweep(*SEARCH, RATE, "resume=auto", code=4)
    assert sweeps.out.count("ended too early; see 3.log") == 2
    assert sweeps.sweep(*SEARCH, RATE, "resume=auto") == folder
    assert "3 are done" in sweeps.out and sweeps.out.count("\nrun    ") == 1
    assert read_plan(folder).runs[:3] == read_plan(whole).runs[:3]
    assert sweeps.sweep(*SEARCH, RATE, "hydra.sweeper.seed=1", "resume=auto") != folder


@pytest.mark.slow
def test_each_trial_with_several_seeds_is_one_row(sweeps: Sweeps) -> None:
    folder = sweeps.sweep("hydra/sweeper=search", "hydra.sweeper.trials=2", RATE, "hydra.sweeper.seeds=2")
    content = json.loads((folder / "summary.json").read_text())
    assert [len(row["runs"]) for row in content["ranked"]] == [2, 2]
    assert [run["seed"] for row in content["ranked"] for run in row["runs"]] == ["0", "1"] * 2


@pytest.mark.slow
def test_a_search_by_another_number_is_ranked_by_it(sweeps: Sweeps) -> None:
    folder = sweeps.sweep(*SEARCH, RATE, "hydra.sweeper.metric=val/loss")
    assert "ranked by val/loss (lower is better)" in sweeps.out
    losses = [float(row["val/loss"]) for row in rows(folder)]
    assert losses == sorted(losses)


@pytest.mark.slow
def test_entries_may_be_chosen_by_a_pattern(sweeps: Sweeps) -> None:
    folder = sweeps.sweep("hydra/sweeper=search", "hydra.sweeper.trials=3", "optimizer=glob(ad*)", "optimizer.lr=0.01")
    plan = read_plan(folder)
    assert plan.search is not None
    assert plan.search.space == {"optimizer": Choices(("adadelta", "adagrad", "adam", "adamw"))}
    assert "only" not in sweeps.out


def test_a_trial_that_diverges_is_the_worst_and_no_failure(sweeps: Sweeps) -> None:
    folder = sweeps.sweep(*SEARCH, "optimizer=sgd", "optimizer.lr=choice(0.1,1e30)", "hydra.sweeper.method=random")
    assert "note   there are only 2 settings, fewer than trials: some are tried again\n" in sweeps.out
    assert "diverged  optimizer.lr=1e+30: the loss became" in sweeps.out
    assert {row["rank"] for row in rows(folder) if row["optimizer.lr"] == "0.1"} >= {"1"}
    assert sweeps.resume(str(folder)) == 0 and "failed" not in sweeps.out


def test_a_search_that_is_stopped_at_once_can_be_resumed(sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(SearchAgenda, "take", lambda self: os.kill(os.getpid(), signal.SIGTERM))
        folder = sweeps.sweep(*SEARCH, RATE, code=143)
    assert read_plan(folder).runs == () and "internal" not in sweeps.err
    assert sweeps.resume(str(folder)) == 0
    assert len(rows(folder)) == 4


def test_the_best_go_on_with_halving(sweeps: Sweeps) -> None:
    words = ("hydra/sweeper=search", "hydra.sweeper.trials=3", "hydra.sweeper.method=halving", RATE, "trainer.epochs=3")
    folder = sweeps.sweep(*words)
    assert "       3 trials (halving): 3 to epoch 1, then 1 to epoch 3, 2 at a time" in sweeps.out
    assert "note   scheduler=cosine: each stage follows the schedule of its own epochs" in sweeps.out
    assert sorted(row["trainer.epochs"] for row in rows(folder)) == ["1", "1", "3"]
    (best,) = (run for run in read_plan(folder).runs if run.words[-1] == "trainer.epochs=3")
    records = [json.loads(line) for line in (folder / best.folder / "metrics.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in records if "val/loss" in record] == [1, 2, 3]
    assert sweeps.resume(str(folder)) == 0 and "\nrun    " not in sweeps.out


def test_the_ranges_may_stand_in_an_experiment(sweeps: Sweeps) -> None:
    Path("own/experiment").mkdir(parents=True)
    text = (
        "# @package _global_\nseed: 7\nsearch:\n  optimizer.lr: tag(log,interval(1e-3,1e-1))\n  optimizer: sgd,adam\n"
    )
    Path("own/experiment/mine.yaml").write_text(text)
    folder = sweeps.sweep("--config-dir", "own", *SEARCH, "experiment=mine", "optimizer=adam")
    plan = read_plan(folder)
    assert plan.search is not None and plan.search.space == {"optimizer.lr": Interval(1e-3, 1e-1, log=True)}
    assert "seed 7" in (folder / "1.log").read_text()
    assert sweeps.attempt("--config-dir", "own", *TINY, "experiment=mine") == 0, (
        "alone it is an experiment like any other"
    )
    Path("own/experiment/mine.yaml").write_text("# @package _global_\nsearch: 3\n")
    assert sweeps.attempt("--config-dir", "own", "-m", *SEARCH, "experiment=mine") == 2
    assert "'search' of an experiment must give options ranges, such as optimizer.lr: tag(log," in sweeps.err


def test_the_command_line_has_the_last_word_over_an_experiments_ranges() -> None:
    ranges = {"optimizer.lr": "interval(0,1)", "optimizer": "sgd,adam", "model.hidden": "choice([8])"}
    given = ["optimizer=adam", "+model.hidden=[4]"]
    assert words_of_experiment(ranges, given) == ["optimizer.lr=interval(0,1)"]


@pytest.mark.slow
def test_a_range_for_a_whole_number_gives_whole_numbers(sweeps: Sweeps) -> None:
    folder = sweeps.sweep(*SEARCH, "trainer.batch_size=interval(4.5,20)", "trainer.checkpoint.keep=interval(1,3)")
    assert {float(row["trainer.batch_size"]).is_integer() for row in rows(folder)} == {True}
    assert all(5 <= int(row["trainer.batch_size"]) <= 20 for row in rows(folder))


def test_halving_decides_how_long_a_run_is_trained_and_not_a_time(sweeps: Sweeps) -> None:
    assert sweeps.attempt("-m", "hydra/sweeper=search", "hydra.sweeper.method=halving", RATE, "trainer.time=1s") == 2
    assert sweeps.err == (
        "dlcourse: error: method=halving decides itself how long a run is trained; leave out trainer.time\n"
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            [],
            "the search has nothing to choose; give an option several values, such as 'optimizer.lr=tag(log,interval(1e-4",
        ),
        (["optimizer.lrr=interval(0,1)"], "unknown option 'optimizer.lrr'; did you mean 'optimizer.lr'?"),
        (["optimizer=sgd,adamm"], "unknown optimizer 'adamm'; did you mean 'adam'?"),
        (["model.dropout=interval(0,2)"], "model.dropout must be a number in [0, 1), got 2.0"),
        (["model.dropout=choice(0.1,-1)"], "model.dropout must be a number in [0, 1), got -1"),
        (["optimizer.lr=interval(0.1,0.01)"], "the lower bound must be below the upper one"),
        (
            ["trainer.batch_size=interval(1.2,1.8)"],
            "the lower bound must be below the upper one, with numbers between them",
        ),
        (["optimizer.lr=tag(log,interval(0,1))"], "both bounds of a logarithmic range must be greater than 0"),
        (["optimizer.lr=tag(ln,interval(1,2))"], "unknown tag ln; a search knows tag(log,...)"),
        ([RATE, "hydra.sweeper.trials=0"], "hydra.sweeper.trials must be a whole number >= 1, got 0"),
        (
            [RATE, "hydra.sweeper.trials=2001", "hydra.sweeper.seeds=5"],
            "the search has more than 10000 runs; write fewer",
        ),
        ([RATE, "hydra.sweeper.method=tpf"], "hydra.sweeper.method must be tpe, random or halving, got 'tpf'"),
        ([RATE, "hydra.sweeper.trial=3"], "hydra.sweeper.trial"),
        ([RATE, "hydra.sweeper.metric=test/accuracy"], "the test set has no part in a search; write val/accuracy"),
        ([RATE, "hydra.sweeper.metric=accuracy"], "must be a number on validation; write val/accuracy"),
        (
            [RATE, "hydra.sweeper.method=halving"],
            "trainer.epochs=2: method=halving needs 3 or more, for a third to go on",
        ),
        (
            [RATE, "hydra.sweeper.method=halving", "trainer.patience=2"],
            "method=halving decides itself how long a run is trained; leave out trainer.patience",
        ),
        (
            ["hydra.sweeper.method=halving", "trainer.epochs=3,9"],
            "method=halving decides itself how long a run is trained; leave out a range for trainer.epochs",
        ),
        ([RATE, "hydra/launcher=dlcourse"], "hydra/sweeper=search runs its trials with hydra/launcher=local"),
        (
            [RATE, "seed=1,2", "hydra.sweeper.seeds=2"],
            "hydra.sweeper.seeds=2 and seed both give seeds; leave one of them out",
        ),
        ([RATE, "hydra.launcher.jobs=0"], "hydra.launcher.jobs must be a whole number >= 1 or null, got 0"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_is_written(
    words: list[str], told: str, sweeps: Sweeps
) -> None:
    given = {word.partition("=")[0] for word in words}
    tiny = [word for word in TINY if word.partition("=")[0] not in given]
    assert sweeps.attempt("-m", "hydra/sweeper=search", *tiny, *words) == 2
    assert told in sweeps.err and sweeps.err.count("\n") == 1, sweeps.err
    assert not Path("outputs").exists()


def test_a_grid_says_that_a_range_is_for_a_search(sweeps: Sweeps) -> None:
    assert sweeps.attempt("-m", *TINY, RATE) == 2
    assert "is a range without steps; add hydra/sweeper=search to search it, or write choice(...)" in sweeps.err


def test_a_number_that_no_run_has_ends_the_search(sweeps: Sweeps) -> None:
    sweeps.sweep(*SEARCH, RATE, "hydra.sweeper.metric=val/acuracy", code=2)
    assert (
        "hydra.sweeper.metric=val/acuracy: the runs have no such number; expected one of val/loss, val/accuracy"
        in sweeps.err
    )


def test_a_strangers_search_is_checked_like_a_command_line(sweeps: Sweeps) -> None:
    folder = sweeps.sweep(*SEARCH, RATE)
    content = json.loads((folder / "sweep.json").read_text())
    content["runs"] = []
    del content["sha256"]
    search = content["search"]
    for strange, told in (
        ({"words": [*search["words"], "hydra.run.dir=/x"]}, "'hydra.run.dir' cannot be set"),
        ({"space": {"model._target_": {"words": ["os.system"]}}}, "'_target_' is reserved"),
        ({"space": 3}, "sweep.json is damaged: it is no list of runs"),
        ({"method": "genetic"}, "sweep.json is damaged: it is no list of runs"),
        ({"jobs": "all"}, "sweep.json is damaged: it is no list of runs"),
        ({"colour": "red"}, "sweep.json is damaged: it is no list of runs"),
    ):
        changed = content | {"search": search | strange}
        (folder / "sweep.json").write_text(json.dumps(changed | {"sha256": _checksum(changed)}))
        assert sweeps.resume(str(folder)) == 2
        assert told in sweeps.err and sweeps.err.count("\n") == 1
