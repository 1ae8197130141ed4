"""How much each option of a sweep matters for what its runs reached, by Optuna's fANOVA."""

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dlcourse.plots.picture import is_wide
from dlcourse.plots.sweep import Value

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

_FEWEST_RUNS = 20
_MOST_RUNS = 300
"""The time grows almost with the square of the runs: with this many and eight options it is 3 s on one core."""
_MOST_CHOICES = 8
"""The time grows with 2 to the power of the choices."""


def importances(
    options: Sequence[str], values: Sequence[Sequence[Value]], reached: Sequence[float]
) -> dict[str, float] | None:
    """The share of the variance of `reached[run]` that each option explains alone, `values[option][run]`; they sum to 1.

    The method is that of Hutter, Hoos and Leyton-Brown, "An Efficient Approach for Assessing Hyperparameter Importance"
    (2014): a random forest learns to predict the number from the options, and the variance of its predictions is split
    among these; interactions are left out. Of more than 300 runs it takes a random sample.

    None if Optuna is not installed, fewer than 20 runs reached a finite number, or nothing varies.
    """
    heights = np.asarray(reached, dtype=float)
    runs = np.flatnonzero(np.isfinite(heights)).tolist()
    if len(runs) > _MOST_RUNS:
        runs = np.random.default_rng(0).choice(runs, _MOST_RUNS, replace=False).tolist()
    columns = {option: [column[run] for run in runs] for option, column in zip(options, values, strict=True)}
    varied = {option: column for option, column in columns.items() if len(set(column)) > 1}
    if len(runs) < _FEWEST_RUNS or not varied or np.ptp(heights[runs]) == 0:
        return None
    found = _fanova(varied, _stretched(heights[runs]).tolist())
    return None if found is None else {option: float(found.get(option, 0)) for option in options}


def _fanova(columns: Mapping[str, Sequence[Value]], reached: Sequence[float]) -> dict[str, float] | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import optuna
        except ImportError:
            return None
        from optuna.importance import FanovaImportanceEvaluator, get_param_importances

        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            study = optuna.create_study()
            study.add_trials(_trials(columns, reached))
            return get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
        finally:
            optuna.logging.set_verbosity(verbosity)


def _trials(columns: Mapping[str, Sequence[Value]], reached: Sequence[float]) -> "list[FrozenTrial]":
    from optuna.trial import create_trial

    encoded = {option: _encoded(column) for option, column in columns.items()}
    spaces = {option: space for option, (space, _) in encoded.items()}
    return [
        create_trial(
            params={option: values[run] for option, (_, values) in encoded.items()}, distributions=spaces, value=value
        )
        for run, value in enumerate(reached)
    ]


def _encoded(column: Sequence[Value]) -> "tuple[BaseDistribution, Sequence[Value]]":
    """An option's space and its values in it: numbers and many choices as places in [0, 1], few choices as names.

    The logarithm is taken here because Optuna's fANOVA ignores the `log` of a distribution: it would weigh learning rates
    from 0.01 to 0.1 ten times as much as those from 0.001 to 0.01.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    numbers = np.array([value for value in column if type(value) in (int, float)], dtype=float)
    if len(numbers) == len(column) and np.isfinite(numbers).all():
        return FloatDistribution(0, 1), _stretched(np.log(numbers) if is_wide(numbers) else numbers).tolist()
    names = list(dict.fromkeys(map(str, sorted(column, key=_order))))
    if len(names) <= _MOST_CHOICES:
        return CategoricalDistribution(names), list(map(str, column))
    return FloatDistribution(0, 1), [(names.index(str(value)) + 0.5) / len(names) for value in column]


def _order(value: Value) -> tuple[bool, float, str]:
    """Numbers by size, then names."""
    return (True, 0.0, value) if isinstance(value, str) else (False, value, "")


def _stretched(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """To the range from 0 to 1, which leaves the shares as they are; small differences alone would not split a tree."""
    return (numbers - numbers.min()) / np.ptp(numbers)
