"""Cross-validation as a sweep: each run of its list as one run for each fold of `data.k_fold`."""

from collections.abc import Sequence
from typing import Annotated, Any

from dlcourse.config.options import Range, convert
from dlcourse.errors import ConfigError
from dlcourse.sweeps.grid import MOST_RUNS
from dlcourse.sweeps.ranking import FOLD

K_FOLD = "data.k_fold"


def with_folds(runs: Sequence[Sequence[str]], k_fold: Any = None) -> list[list[str]]:
    """Each run's words with a fold behind them, as often as it has folds; `k_fold` is that of runs which do not say it.

    A run without folds among others that have some gets a null, so that all have as many words. Runs that say which fold
    they are stay as they are. Raises ConfigError for what is no number of folds, and for too many runs.
    """
    counts = [folds_of(run, k_fold) for run in runs]
    if not any(counts):
        return [list(run) for run in runs]
    if sum(count or 1 for count in counts) > MOST_RUNS:
        raise ConfigError(f"the sweep has more than {MOST_RUNS} runs with all folds; give fewer values")
    return [
        [*run, f"{FOLD}={fold}"]
        for run, count in zip(runs, counts, strict=True)
        for fold in (range(count) if count else ("null",))
    ]


def folds_of(words: Sequence[str], k_fold: Any = None) -> int:
    """The folds of which these words of a run ask for all; 0 if they ask for none, or for one; raises ConfigError."""
    given = dict(word.lstrip("+").partition("=")[::2] for word in words)
    if given.get(FOLD, "null") != "null":
        return 0
    value = given.get(K_FOLD, k_fold)
    if value in (None, "null"):
        return 0
    whole = int(value) if isinstance(value, str) and value.isdecimal() else value
    count: int = convert(whole, Annotated[int, Range(ge=2)] | None, K_FOLD)
    return count
