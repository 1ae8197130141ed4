"""Registries: tables from the names a config may use to the builders behind them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from dlcourse.config.options import Schema, check_options, schema, suggestion
from dlcourse.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True)
class Choice:
    """One section of a config: the name of a registry entry and the options for it."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


class Registry(Generic[T]):
    """A literal table of builders for one group of the config (`model`, `data`, ...).

    A builder's signature is the schema of its options. The parameters named in `run_time` (such as `spec`) are given by
    the program when it builds; all others are options of the config.
    """

    def __init__(self, group: str, table: Mapping[str, Callable[..., T]], *, run_time: tuple[str, ...] = ()) -> None:
        self.group = group
        self._ours = dict(table)
        self._table = dict(table)
        self._run_time = run_time

    def set_plugins(self, entries: Mapping[str, Callable[..., T]]) -> None:
        """Have these entries of plug-in folders besides those of the table, and none that came from such a folder before."""
        assert not entries.keys() & self._ours.keys()
        self._table = {**self._ours, **entries}

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __getitem__(self, name: str) -> Callable[..., T]:
        if name not in self._table:
            raise ConfigError(f"unknown {self.group} '{name}'{suggestion(name, self._table, kind=self.group)}")
        return self._table[name]

    def schema(self, name: str) -> Schema:
        """The options of an entry, by name."""
        return schema(self[name], self._run_time)

    def check(self, choice: Choice) -> dict[str, Any]:
        """The choice's options, checked and converted; raises ConfigError."""
        return check_options(self[choice.name], choice.options, where=self.group, run_time=self._run_time)

    def build(self, choice: Choice, **run_time: Any) -> T:
        """The entry's builder called with the checked options and the run-time arguments."""
        return self[choice.name](**self.check(choice), **run_time)
