"""A search from its command line: what is fixed, what is looked for between which bounds, and that all of it can run."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from hydra.core.override_parser.types import IntervalSweep, Override

from dlcourse.cli.folds import require_folds
from dlcourse.cli.sweep import composed, for_gpu, threads_word
from dlcourse.config.options import Count, NonNegativeInt, schema
from dlcourse.config.registry import Choice
from dlcourse.config.run_config import RunConfig
from dlcourse.console import Console
from dlcourse.errors import ConfigError
from dlcourse.sweeps.folds import K_FOLD
from dlcourse.sweeps.grid import MOST_RUNS
from dlcourse.sweeps.launch import Launch, jobs_and_threads, require_waits, written
from dlcourse.sweeps.plan import Plan, PlannedRun
from dlcourse.sweeps.ranking import FOLD, SEED
from dlcourse.sweeps.search import EPOCHS, Choices, Direction, Interval, Method, Range, Search, load_optuna

_EXAMPLE = "optimizer.lr=tag(log,interval(1e-4,1e-1))"
_LOG = "log"


@dataclasses.dataclass(frozen=True)
class SearchOptions:
    """How `hydra/sweeper=search` looks for the best of `trials` settings; see Search."""

    trials: Count = 20
    method: Method = "tpe"
    seed: NonNegativeInt = 0
    metric: str | None = None
    direction: Direction | None = None
    seeds: Count | None = None


def planned_search(
    overrides: Sequence[Override], config_dir: str | None, launcher: Launch, options: SearchOptions
) -> Plan:
    """The plan of a search over the options that these words give several values; raises ConfigError if it cannot be.

    Each value of each option is tried beside the first ones of the others, so that what no run can have is refused at once.
    """
    load_optuna()
    require_waits(launcher)
    _check_metric(options.metric)
    fixed = tuple(_word(override) for override in overrides if not override.is_sweep_override())
    ranges = {_key(override): override for override in overrides if override.is_sweep_override()}
    if not ranges:
        raise ConfigError(f"the search has nothing to choose; give an option several values, such as '{_EXAMPLE}'")
    firsts = [_first(override) for override in ranges.values() if not isinstance(override._value, IntervalSweep)]
    base = composed(PlannedRun((*fixed, *firsts), (), ""), config_dir)
    folds = _folds(base, ranges)
    runs = options.trials * (options.seeds or 1) * (folds or 1)
    if runs > MOST_RUNS:
        raise ConfigError(f"the search has more than {MOST_RUNS} runs; write fewer hydra.sweeper.trials")
    space = {key: _range(override, base) for key, override in ranges.items()}
    configs = [composed(PlannedRun((*fixed, *words), words, ""), config_dir) for words in _probes(space)]
    launcher = for_gpu(launcher, configs)
    require_folds(configs)
    jobs, threads = jobs_and_threads(launcher, runs)
    word = threads_word(base, threads)
    search = Search(
        words=(*fixed, *([word] if word else [])),
        space=space,
        jobs=jobs,
        epochs=_epochs(options, base, space),
        folds=folds,
        **dataclasses.asdict(options),
    )
    if options.seeds is not None and (given := next((word for word in (*fixed, *space) if _is_seed(word)), None)):
        raise ConfigError(f"hydra.sweeper.seeds={options.seeds} and {given} both give seeds; leave one of them out")
    settings = math.prod(len(range_.words) if isinstance(range_, Choices) else math.inf for range_ in space.values())
    if settings < options.trials:
        Console().say("note", f"there are only {settings:.0f} settings, fewer than trials: some are tried again")
    if options.method == "halving" and base.scheduler.name != "constant":
        note = f"scheduler={base.scheduler.name}: each stage follows the schedule of its own epochs"
        Console().say("note", f"{note}; scheduler=constant trains all stages alike")
    return Plan((), config_dir, written(launcher), search)


def words_of_experiment(section: Any, given: Sequence[str]) -> list[str]:
    """The words of `search:` in the chosen experiment, less those for options that the command line gives.

    Raises ConfigError.
    """
    if not isinstance(section, Mapping) or not all(isinstance(value, str) for value in section.values()):
        raise ConfigError(
            f"'search' of an experiment must give options ranges, such as {_EXAMPLE.replace('=', ': ', 1)}"
        )
    known = {word.lstrip("+").partition("=")[0] for word in given}
    return [f"{option}={value}" for option, value in section.items() if option not in known]


def _check_metric(metric: str | None) -> None:
    if metric is not None and metric.startswith("test/"):
        raise ConfigError(
            f"hydra.sweeper.metric={metric}: the test set has no part in a search; write {metric.replace('test/', 'val/')}"
        )
    if metric is not None and not metric.startswith("val/"):
        raise ConfigError(f"hydra.sweeper.metric={metric} must be a number on validation; write val/{metric}")


def _epochs(options: SearchOptions, base: RunConfig, space: Mapping[str, Range]) -> int:
    """The epochs of the best runs of `halving`, which must be able to go on from fewer."""
    if options.method != "halving":
        return 0
    trainer = base.trainer
    others = [f"trainer.{name}" for name in ("patience", "time") if getattr(trainer, name) is not None]
    if what := [f"a range for {EPOCHS}"] * (EPOCHS in space) + others:
        raise ConfigError(f"method=halving decides itself how long a run is trained; leave out {' and '.join(what)}")
    if trainer.epochs < 3 or options.trials < 3:
        given = f"{EPOCHS}={trainer.epochs}" if trainer.epochs < 3 else f"hydra.sweeper.trials={options.trials}"
        raise ConfigError(f"{given}: method=halving needs 3 or more, for a third to go on")
    return trainer.epochs


def _folds(base: RunConfig, ranges: Mapping[str, Override]) -> int | None:
    """The folds over whose mean each setting is judged, if it is not judged by one run; raises ConfigError."""
    count: int | None = base.data.options.get("k_fold")
    if count is None or (base.data.options.get("fold") is not None and FOLD not in ranges):
        return None
    for option in (K_FOLD, FOLD):
        if option in ranges:
            raise ConfigError(
                f"'{ranges[option].input_line}': each setting of a search is the mean over all its folds; write {K_FOLD}=5"
            )
    return count


def _is_seed(word: str) -> bool:
    return word.partition("=")[0] == SEED


def _key(override: Override) -> str:
    return str(override.get_key_element())


def _word(override: Override) -> str:
    return f"{_key(override)}={override.get_value_element_as_str()}"


def _first(override: Override) -> str:
    for value in override.sweep_string_iterator():
        return f"{_key(override)}={value}"
    raise ConfigError(f"the sweep is empty: '{override.input_line}' gives no value")


def _range(override: Override, base: RunConfig) -> Range:
    """The values that an option may have, checked; `base` tells whether it takes whole numbers only."""
    line, given = override.input_line, override._value
    if not isinstance(given, IntervalSweep):
        return Choices(tuple(dict.fromkeys(map(str, override.sweep_string_iterator()))))
    if unknown := given.tags - {_LOG}:
        raise ConfigError(f"'{line}': unknown tag {', '.join(sorted(unknown))}; a search knows tag(log,...)")
    assert given.start is not None and given.end is not None
    low, high, log = given.start, given.end, _LOG in given.tags
    whole = isinstance(low, int) or _is_whole(override.key_or_group, base)
    if whole:
        low, high = math.ceil(low), math.floor(high)
    if not (math.isfinite(low) and math.isfinite(high)) or low >= high:
        raise ConfigError(f"'{line}': the lower bound must be below the upper one, with numbers between them")
    if log and low <= 0:
        raise ConfigError(f"'{line}': both bounds of a logarithmic range must be greater than 0")
    return Interval(low, high, log, whole)


def _is_whole(key: str, config: RunConfig) -> bool:
    """Whether an option takes whole numbers and no others."""
    section, *path = key.lstrip("+").split(".")
    try:
        annotation = _annotation(section, path, config)
    except (KeyError, AttributeError):  # there is no such option, of which composing the runs tells
        return False
    types = set(_flat(annotation))
    return int in types and float not in types


def _annotation(section: str, path: Sequence[str], config: RunConfig) -> Any:
    from dlcourse.training.registries import REGISTRIES  # with torch

    if not path:
        return schema(RunConfig)[section].annotation
    chosen = getattr(config, section)
    known = REGISTRIES[section].schema(chosen.name) if isinstance(chosen, Choice) else schema(type(chosen))
    for name in path[:-1]:
        known = schema(known[name].annotation)
    return known[path[-1]].annotation


def _flat(annotation: Any) -> Iterator[Any]:
    """The types of which an annotation is made up."""
    yield annotation
    for part in get_args(annotation):
        yield from _flat(part)


def _probes(space: Mapping[str, Range]) -> Iterator[tuple[str, ...]]:
    """Runs in which each value of each option comes once, an interval's bounds for it."""
    values = {
        key: range_.words if isinstance(range_, Choices) else tuple(map(range_.word, (range_.low, range_.high)))
        for key, range_ in space.items()
    }
    first = {key: known[0] for key, known in values.items()}
    yield tuple(f"{key}={value}" for key, value in first.items())
    for option, known in values.items():
        for value in known[1:]:
            yield tuple(f"{key}={value}" for key, value in (first | {option: value}).items())
