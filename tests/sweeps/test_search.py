"""What a search tries next: within its bounds, the same whenever it is asked, and better than chance with `tpe`."""

import json
import math
import statistics
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace

import pytest

from dlcourse.errors import ConfigError
from dlcourse.sweeps.search import Choices, Interval, Search, Trial, best, described, propose, search_from

SPACE = {
    "optimizer.lr": Interval(1e-4, 1e-1, log=True),
    "model.hidden": Interval(16, 512, log=True, whole=True),
    "model.dropout": Interval(0.0, 0.5),
    "optimizer": Choices(("sgd", "adam")),
}
SEARCH = Search(words=("data=digits",), space=SPACE, trials=60)


def loss(words: Mapping[str, str]) -> float:
    """The lower the better: rate 0.01, 128 hidden, no dropout, adam."""
    rate, hidden = math.log10(float(words["optimizer.lr"])) + 2, math.log2(int(words["model.hidden"])) - 7
    return rate**2 + hidden**2 / 10 + float(words["model.dropout"]) + 0.3 * (words["optimizer"] == "sgd")


def searched(search: Search, count: int, before: tuple[Trial, ...] = ()) -> list[Trial]:
    trials = list(before)
    while len(trials) < count:
        words = propose(search, len(trials), trials, "min")
        trials.append(Trial(words, loss(words)))
    return trials


@pytest.mark.parametrize("method", ["tpe", "random", "halving"])
def test_every_trial_is_within_the_bounds(method: str) -> None:
    for trial in searched(replace(SEARCH, method=method), 40):  # type: ignore[arg-type]
        assert list(trial.words) == list(SPACE)
        assert 1e-4 <= float(trial.words["optimizer.lr"]) <= 1e-1
        assert 16 <= int(trial.words["model.hidden"]) <= 512
        assert 0 <= float(trial.words["model.dropout"]) <= 0.5
        assert trial.words["optimizer"] in ("sgd", "adam")


def test_rounding_stays_within_the_bounds() -> None:
    odd = Interval(0.00012345678, 0.00012345679)
    assert odd.word(0.000123456785) == "0.00012345679"
    assert Interval(0.12344, 1.0).word(0.123441) == "0.12344"
    assert Interval(1, 9, whole=True).word(3.0) == "3"
    assert Interval(1e-4, 1.0, log=True).word(0.0031415926) == "0.003142"


def test_a_logarithmic_range_is_uniform_in_the_logarithm() -> None:
    rates = [float(trial.words["optimizer.lr"]) for trial in searched(replace(SEARCH, method="random"), 300)]
    below = sum(rate < 10**-2.5 for rate in rates) / 300
    assert abs(below - 0.5) < 0.1


def test_a_search_that_goes_on_is_the_same_search() -> None:
    whole = searched(SEARCH, 30)
    assert searched(SEARCH, 30, tuple(whole[:13])) == whole
    assert searched(replace(SEARCH, seed=1), 30) != whole
    assert len({tuple(trial.words.items()) for trial in whole}) > 25


def test_tpe_learns_from_the_results() -> None:
    tpe, chance = (
        [
            min(trial.reached or 0.0 for trial in searched(replace(SEARCH, method=method, seed=seed), 40))
            for seed in range(5)
        ]  # type: ignore[arg-type]
        for method in ("tpe", "random")
    )
    assert statistics.median(tpe) < statistics.median(chance)


def test_failed_running_and_diverged_trials_are_no_obstacle() -> None:
    trials = searched(SEARCH, 12)
    odd = [
        Trial(trials[0].words),
        Trial(trials[1].words, is_running=True),
        Trial(trials[2].words, math.inf),
        Trial(trials[3].words, math.nan),
    ]
    first = propose(SEARCH, 16, [*trials, *odd], "min")
    assert first == propose(SEARCH, 16, [*trials, *odd], "min")
    known = propose(SEARCH, 16, [*trials, replace(odd[0], reached=-5.0), *odd[1:]], "min")
    assert first != known, "what a trial has reached changes what is tried next"


def test_what_a_trial_knows_depends_on_how_many_run_at_a_time_alone() -> None:
    assert [SEARCH.seen_by(number) for number in range(4)] == [0, 1, 2, 3]
    two = replace(SEARCH, jobs=2)
    assert [two.seen_by(number) for number in range(4)] == [0, 0, 1, 2]
    assert [replace(SEARCH, jobs=4, seeds=3).seen_by(number) for number in range(4)] == [0, 0, 1, 2]
    assert replace(SEARCH, jobs=5, seeds=3).seen_by(4) == 2
    assert SEARCH.is_same(two) and not SEARCH.is_same(replace(SEARCH, seed=1)) and not SEARCH.is_same(None)


def test_the_stages_of_halving() -> None:
    halving = replace(SEARCH, method="halving", trials=27, epochs=9)
    assert halving.stages == ((27, 1), (9, 3), (3, 9))
    assert sum(count * (until - before) for (count, until), before in zip(halving.stages, (0, 1, 3), strict=True)) == 63
    assert replace(halving, trials=10).stages == ((10, 1), (3, 3), (1, 9))
    assert replace(halving, epochs=5).stages == ((27, 1), (9, 5))
    assert replace(halving, trials=4, epochs=100).stages == ((4, 33), (1, 100))
    assert described(halving) == "27 trials (halving): 27 to epoch 1, then 9 to epoch 3, then 3 to epoch 9"
    assert described(replace(SEARCH, seeds=3)) == "60 trials of 3 seeds (tpe)"


def test_the_best_go_on_and_none_that_failed() -> None:
    reached = [0.5, None, 0.9, math.nan, 0.9, -math.inf]
    assert best(reached, 2, "max") == [2, 4]
    assert best(reached, 2, "min") == [0, 2]
    assert best(reached, 9, "max") == [0, 2, 4]


def test_json_gives_it_back() -> None:
    search = replace(SEARCH, words=("a=1", "b='x,y'"), metric="val/loss", direction="min", seeds=2, jobs=3)
    assert search_from(json.loads(json.dumps(asdict(search)))) == search


def test_without_optuna_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"^a search needs Optuna; install it with pip install 'dlcourse\[search\]'$"):
        propose(SEARCH, 0, [], "min")
