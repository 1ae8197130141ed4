"""Differences of means: Welch's interval and McNemar's p-value by their formulas, the bootstrap against the normal limit."""

import math
import statistics

import numpy as np
import pytest
from scipy import stats

from dlcourse.metrics.paired import Difference, mcnemar, over_examples, over_seeds

FIRST, SECOND = [0.91, 0.93, 0.90, 0.94], [0.95, 0.96, 0.94]


def test_welch_by_its_formula() -> None:
    found = over_seeds(FIRST, SECOND)
    assert found is not None
    shares = [statistics.variance(values) / len(values) for values in (FIRST, SECOND)]
    error = math.sqrt(sum(shares))
    freedom = sum(shares) ** 2 / (shares[0] ** 2 / (len(FIRST) - 1) + shares[1] ** 2 / (len(SECOND) - 1))
    difference = statistics.fmean(SECOND) - statistics.fmean(FIRST)
    half = stats.t.ppf(0.975, freedom) * error
    p = 2 * stats.t.sf(abs(difference / error), freedom)
    expected = (difference, difference - half, difference + half, p)
    assert (found.value, found.low, found.high, found.p) == pytest.approx(expected, abs=1e-12)
    back = over_seeds(SECOND, FIRST)
    assert back is not None and (back.low, back.high) == pytest.approx((-found.high, -found.low), abs=1e-12)


@pytest.mark.parametrize(
    ("first", "second"), [([0.9], [0.8, 0.7]), ([0.9, 0.9], [0.8, 0.8]), ([0.9, math.nan], [0.8, 0.7]), ([], [])]
)
def test_of_one_run_or_of_equal_ones_nothing_is_known(first: list[float], second: list[float]) -> None:
    assert over_seeds(first, second) is None


def test_one_setting_may_have_equal_runs() -> None:
    found = over_seeds([0.9, 0.9], [0.8, 0.7])
    assert found is not None and math.isfinite(found.low) and found.high > 0


@pytest.mark.parametrize(("only_first", "only_second"), [(7, 4), (0, 6), (5, 5), (0, 0), (1, 0)])
def test_mcnemar_is_a_coin_thrown_for_each_differing_example(only_first: int, only_second: int) -> None:
    first = np.array([1] * only_first + [0] * only_second + [1, 1, 1, 0])
    second = np.array([0] * only_first + [1] * only_second + [1, 1, 1, 0])
    found = mcnemar(first, second)
    throws = only_first + only_second
    tail = sum(math.comb(throws, count) for count in range(min(only_first, only_second) + 1)) / 2**throws
    assert (found.only_first, found.only_second) == (only_first, only_second)
    assert found.p == pytest.approx(min(1.0, 2 * tail), abs=1e-12)


def test_the_bootstrap_interval_is_that_of_the_mean() -> None:
    generator = np.random.default_rng(1)
    first = generator.normal(0.0, 1.0, 2000)
    second = first + generator.normal(0.1, 0.5, 2000)
    found = over_examples(first, second)
    assert found is not None and found.value == pytest.approx(float((second - first).mean()), abs=1e-12)
    half = 1.96 * float((second - first).std()) / math.sqrt(2000)
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half), abs=0.05 * half)
    assert found == over_examples(first, second) and found.is_clear


def test_the_bootstrap_is_paired() -> None:
    generator = np.random.default_rng(1)
    common = generator.normal(0.0, 10.0, 500)
    found = over_examples(common, common + 0.01)
    assert found is not None and (found.low, found.high) == pytest.approx((0.01, 0.01), abs=1e-9)


def test_one_example_or_a_score_that_is_not_finite() -> None:
    assert over_examples([1.0], [3.0]) == Difference(2.0, 2.0, 2.0)
    assert over_examples([1.0, math.inf], [3.0, 1.0]) is None


def test_whether_a_difference_is_clear() -> None:
    clear = [Difference(0.0, low, high).is_clear for low, high in ((0.1, 0.2), (-0.2, -0.1), (-0.1, 0.1), (0.0, 0.1))]
    assert clear == [True, True, False, False]
