"""What a search tries next: a function of its seed, the number of the trial, and the results of the trials before it.

Nothing else is remembered. A search that was stopped and continued, or whose runs take their time, is the same search.
"""

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from dlcourse.errors import ConfigError
from dlcourse.sweeps.ranking import FOLD, SEED

Method = Literal["tpe", "random", "halving"]
Direction = Literal["min", "max"]
_THIRD = 3
"""The best third of a stage of `halving` is trained on, for three times as many epochs."""

_FEWEST_AT_RANDOM = 5
"""Trials that `tpe` draws at random to begin with: a quarter of them, but so many at least and ten at most."""

EPOCHS = "trainer.epochs"
_SEEDS = 100_003
"""Keeps the seeds of the trials of one search apart from those of another."""


@dataclass(frozen=True)
class Interval:
    """The numbers from `low` to `high`, uniform, or if `log` their logarithms; only whole ones if `whole`."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def word(self, value: float) -> str:
        """As it is written in a command: four digits, never outside."""
        if self.whole:
            return str(round(value))
        return repr(min(max(float(f"{value:.4g}"), self.low), self.high))


@dataclass(frozen=True)
class Choices:
    """Values without an order, as they are written in a command."""

    words: tuple[str, ...]


Range = Interval | Choices


@dataclass(frozen=True)
class Search:
    """`trials` settings of the options in `space`, each with all of `seeds` and `folds`; `words` are common to all runs.

    It looks for the best `metric` in this `direction`; None stands for the number that the task watches. A trial does not
    see those that may still run when it begins because `jobs` run at a time, even if they are done already. With `halving`,
    `epochs` is how long the best are trained.
    """

    words: tuple[str, ...]
    space: Mapping[str, Range]
    trials: int
    method: Method = "tpe"
    seed: int = 0
    metric: str | None = None
    direction: Direction | None = None
    seeds: int | None = None
    jobs: int = 1
    epochs: int = 0
    folds: int | None = None

    @property
    def repetitions(self) -> int:
        """The runs of a trial."""
        return (self.seeds or 1) * (self.folds or 1)

    def repetition(self, number: int) -> list[str]:
        """The words that set this run of a trial apart from its others: its seed, its fold, or both."""
        seed, fold = divmod(number, self.folds or 1)
        seeds = [] if self.seeds is None else [f"{SEED}={seed}"]
        return seeds + ([] if self.folds is None else [f"{FOLD}={fold}"])

    @property
    def stages(self) -> tuple[tuple[int, int], ...]:
        """How many trials go on until which epoch: all that few epochs allow, then the best third, and so on."""
        if self.method != "halving":
            return ((self.trials, self.epochs),)
        steps = min(_powers(self.trials), _powers(self.epochs))
        return tuple(
            (self.trials // _THIRD**step, self.epochs // _THIRD ** (steps - step)) for step in range(steps + 1)
        )

    def seen_by(self, number: int) -> int:
        """How many of the trials before this one it knows the results of."""
        return max(0, number - math.ceil((self.jobs - 1) / self.repetitions))

    def is_same(self, other: "Search | None") -> bool:
        """Whether both try the same, on however many processors."""
        return other is not None and asdict(self) | {"jobs": 0} == asdict(other) | {"jobs": 0}


def described(search: Search) -> str:
    """`40 trials (tpe)`, with the epochs of each stage if they differ."""
    counts = ((search.seeds, "seeds"), (search.folds, "folds"))
    each = " and ".join(f"{count} {name}" for count, name in counts if count is not None)
    seeds = f" of {each}" if each else ""
    stages = ", then ".join(f"{count} to epoch {until}" for count, until in search.stages)
    return f"{search.trials} trials{seeds} ({search.method})" + (f": {stages}" if search.method == "halving" else "")


def search_from(content: Mapping[str, Any]) -> Search:
    """The search of which this is `asdict`, as JSON gives it back; raises what Python raises for anything else."""
    space: dict[str, Range] = {
        option: Choices(tuple(map(str, range_["words"]))) if "words" in range_ else Interval(**range_)
        for option, range_ in content["space"].items()
    }
    search = Search(**{**content, "space": space, "words": tuple(map(str, content["words"]))})
    counts = (search.trials, search.repetitions, search.jobs)
    if search.method not in get_args(Method) or any(type(count) is not int or count < 1 for count in counts):
        raise ValueError("not a search")
    return search


def _powers(count: int) -> int:
    """How often `count` can be divided by three."""
    return 0 if count < _THIRD else 1 + _powers(count // _THIRD)


@dataclass(frozen=True)
class Trial:
    """The options of a trial, and what it has reached: a number, None if it failed, or nothing yet if it `is_running`."""

    words: Mapping[str, str]
    reached: float | None = None
    is_running: bool = False


def worst(direction: str) -> float:
    """What a run that diverged has reached."""
    return -math.inf if direction == "max" else math.inf


def propose(search: Search, number: int, before: Sequence[Trial], direction: str) -> dict[str, str]:
    """The options of a trial by name: drawn at random, or with `tpe` where good ones are denser than bad ones.

    The tree-structured Parzen estimator is Bergstra 2011 in Optuna's form, all options together. Raises ConfigError if
    Optuna is not installed.
    """
    with _quiet_optuna() as optuna:
        seed = (search.seed * _SEEDS + number) % 2**32
        if search.method == "tpe":
            at_random = max(_FEWEST_AT_RANDOM, min(10, search.trials // 4))
            sampler: Any = optuna.samplers.TPESampler(
                seed=seed, multivariate=True, constant_liar=True, n_startup_trials=at_random
            )
        else:
            sampler = optuna.samplers.RandomSampler(seed=seed)
        space = {option: _distribution(range_, optuna) for option, range_ in search.space.items()}
        study = optuna.create_study(sampler=sampler, direction="maximize" if direction == "max" else "minimize")
        if search.method == "tpe":
            for trial in before:
                study.add_trial(_recorded(trial, search.space, space, direction, optuna))
        found = study.ask(space).params
    return {option: _word(range_, found[option]) for option, range_ in search.space.items()}


def best(reached: Sequence[float | None], count: int, direction: str) -> list[int]:
    """The places of the `count` best, in the order of the trials; of equal ones the first, and none that failed."""
    sign = -1 if direction == "max" else 1
    known = [(sign * value, place) for place, value in enumerate(reached) if value is not None and math.isfinite(value)]
    return sorted(place for _, place in sorted(known)[:count])


def _distribution(range_: Range, optuna: Any) -> Any:
    if isinstance(range_, Choices):
        return optuna.distributions.CategoricalDistribution(range_.words)
    if range_.whole:
        return optuna.distributions.IntDistribution(int(range_.low), int(range_.high), log=range_.log)
    return optuna.distributions.FloatDistribution(range_.low, range_.high, log=range_.log)


def _recorded(
    trial: Trial, space: Mapping[str, Range], distributions: Mapping[str, Any], mode: str, optuna: Any
) -> Any:
    """The trial as Optuna knows it; one that failed tells nothing."""
    states = optuna.trial.TrialState
    params = {option: _value(range_, trial.words[option]) for option, range_ in space.items()}
    if trial.is_running or trial.reached is None:
        state = states.RUNNING if trial.is_running else states.FAIL
        return optuna.trial.create_trial(params=params, distributions=distributions, state=state)
    value = worst(mode) if math.isnan(trial.reached) else trial.reached
    return optuna.trial.create_trial(params=params, distributions=distributions, value=value)


def _value(range_: Range, word: str) -> float | int | str:
    if isinstance(range_, Choices):
        return word
    return int(word) if range_.whole else float(word)


def _word(range_: Range, value: Any) -> str:
    return str(value) if isinstance(range_, Choices) else range_.word(value)


@contextlib.contextmanager
def _quiet_optuna() -> Iterator[Any]:
    """Optuna, which prints nothing meanwhile."""
    optuna = load_optuna()
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield optuna
    finally:
        optuna.logging.set_verbosity(before)


def load_optuna() -> Any:
    """The library; raises ConfigError if it is not installed."""
    try:
        import optuna
    except ImportError:
        raise ConfigError("a search needs Optuna; install it with pip install 'dlcourse[search]'") from None
    return optuna
