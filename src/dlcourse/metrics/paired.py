"""How sure a difference between two settings is: over the seeds of their runs, and over the examples of a test set.

N is a number of examples. Intervals are of 95 %, tests two-sided; a difference is the second's mean less the first's.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

_LEVEL = 0.95
_RESAMPLES = 9999
_AT_ONCE = 2**22  # numbers drawn at a time: 32 MiB


@dataclass(frozen=True)
class Difference:
    """A difference of means with its interval, and the p-value of no difference if it was tested."""

    value: float
    low: float
    high: float
    p: float | None = None

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def over_seeds(first: Sequence[float], second: Sequence[float]) -> Difference | None:
    """Welch's t-test (1947) of two settings by a number of each of their runs.

    None with fewer than two runs of either, or if all runs of either are equal: then nothing is known of their spread.
    """
    from scipy import stats

    if min(len(first), len(second)) < 2 or np.ptp(first) == np.ptp(second) == 0 or not _finite(first, second):
        return None
    with warnings.catch_warnings():  # runs of one setting may well be equal
        warnings.filterwarnings("ignore", "Precision loss", RuntimeWarning)
        found = stats.ttest_ind(second, first, equal_var=False)
    low, high = found.confidence_interval(_LEVEL)
    return Difference(float(np.mean(second) - np.mean(first)), float(low), float(high), float(found.pvalue))


def over_examples(first: ArrayLike, second: ArrayLike, seed: int = 0) -> Difference | None:
    """The paired bootstrap (Efron 1979) of the scores `(N,)` that two settings have on the same examples.

    The interval is that of percentiles; the same seed gives the same one. None if a score is not finite.
    """
    from scipy import stats

    differences = np.asarray(second, dtype=float) - np.asarray(first, dtype=float)
    if not _finite(differences):
        return None
    if len(differences) < 2:  # of which there is one resample only
        return Difference(*[float(differences.mean())] * 3)
    found = stats.bootstrap(
        (differences,),
        np.mean,
        n_resamples=_RESAMPLES,
        batch=max(1, _AT_ONCE // len(differences)),
        confidence_level=_LEVEL,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Difference(float(differences.mean()), float(found.low), float(found.high))


@dataclass(frozen=True)
class McNemar:
    """On how many examples only the first, and only the second classifier is right, and the p-value of McNemar (1947)."""

    only_first: int
    only_second: int
    p: float


def mcnemar(first_right: ArrayLike, second_right: ArrayLike) -> McNemar:
    """The exact test of two classifiers on the same examples, from whether each is right `(N,)`."""
    from scipy import stats

    first, second = np.asarray(first_right, dtype=bool), np.asarray(second_right, dtype=bool)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    differing = only_first + only_second
    p = stats.binomtest(only_first, differing).pvalue if differing else 1.0
    return McNemar(only_first, only_second, float(p))


def _finite(*numbers: ArrayLike) -> bool:
    return all(bool(np.isfinite(each).all()) for each in numbers)
