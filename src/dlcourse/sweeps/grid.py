"""The parts of a sweep that need no Hydra application: its combinations and the names of its runs."""

import itertools
import math
import re
from collections.abc import Iterator, Sequence

from hydra.core.override_parser.types import Override

from dlcourse.errors import ConfigError

MOST_RUNS = 10_000
_MAX_NAME = 100
SOME_FAILED = 4
"""The exit code of a sweep of which some runs failed; the others are done and ranked."""


class OnlyRunFailedError(Exception):
    """The one run of a sweep failed, with this error."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def combinations(overrides: list[Override]) -> list[list[str]]:
    """All combinations, the last override varying fastest; raises ConfigError for none at all and for too many."""
    values = [list(itertools.islice(_values(override), MOST_RUNS + 1)) for override in overrides]
    for override, choices in zip(overrides, values, strict=True):
        if not choices:
            raise ConfigError(f"the sweep is empty: '{override.input_line}' gives no value")
    total = math.prod(len(choices) for choices in values)
    if total > MOST_RUNS:
        raise ConfigError(f"the sweep has more than {MOST_RUNS} runs; give fewer values")
    return [list(combination) for combination in itertools.product(*values)]


def _values(override: Override) -> Iterator[str]:
    key = override.get_key_element()
    if not override.is_sweep_override():
        yield f"{key}={override.get_value_element_as_str()}"
    elif override.is_discrete_sweep():
        yield from (f"{key}={value}" for value in override.sweep_string_iterator())
    else:
        raise ConfigError(
            f"'{override.input_line}' is a range without steps; add hydra/sweeper=search to search it, or write choice(...) "
            "or range(start,stop,step)"
        )


def job_name(number: int, total: int, overrides: Sequence[str]) -> str:
    """`03-model=mlp,optimizer.lr=0.1`: sorts by number, safe as a folder name, at most 100 characters."""
    readable = ",".join(re.sub(r"[^\w=.+-]+", "_", override, flags=re.ASCII) for override in overrides)
    return "-".join(filter(None, (f"{number:0{len(str(total))}d}", readable)))[:_MAX_NAME].rstrip(".,_-")
