"""The one place where code of a plug-in folder runs: its modules are made from the bytes that were checked and recorded.

No other module of the folder can be imported by such a module, and nothing is written beside it (`__pycache__`).
"""

import hashlib
import importlib.abc
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_origin

from dlcourse.config.options import describe, schema
from dlcourse.config.paths import StrPath
from dlcourse.error_line import PLUGIN_MODULES, plugin_line
from dlcourse.errors import ConfigError, UserError, first_line
from dlcourse.plugins.folder import Entry, read_folder

_RUN_TIME: dict[str, tuple[str, ...]] = {"model": ("spec",), "data": (), "task": ("model", "spec", "device")}
"""The parameters that the program gives, by group, which a class must have."""
_HAS: dict[str, tuple[str, ...]] = {
    "model": ("forward",),
    "data": ("SPECS", "build"),
    "task": ("train_step", "evaluate", "state_dict"),
}
"""What a class must have to be of its group, by the names of attributes."""
_KINDS = {"model": "model", "data": "data set", "task": "task"}
_BASES = {
    "model": "torch.nn.Module",
    "data": "dlcourse.data.dataset.DataSet, such as TableSource",
    "task": "dlcourse.tasks.task.Task, such as PredictionTask",
}
_modules: dict[str, ModuleType] = {}
"""Loaded modules by name; the name depends on the content, so that a changed file is loaded again."""


class _Bytes(importlib.abc.SourceLoader):
    """Makes a module of the content that was checked, whatever is in its file by now, and writes no `__pycache__`."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry

    def get_filename(self, fullname: str) -> str:
        return str(self._entry.path)

    def get_data(self, path: StrPath) -> bytes:
        if str(path) != str(self._entry.path):
            raise OSError
        return self._entry.content


def load_entry(folder: StrPath, group: str, name: str) -> Callable[..., Any]:
    """The class of an entry in a plug-in folder, for its tests: `load_entry("mine", "model", "bottleneck")`.

    It runs the code in the entry's file. Raises ConfigError.
    """
    for entry in read_folder(os.fspath(folder)).entries:
        if (entry.group, entry.name) == (group, name):
            return load(entry)
    raise ConfigError(f"plug-in folder '{folder}' has no {group} '{name}' in its plugins.toml")


def load(entry: Entry) -> Callable[..., Any]:
    """What the entry names, from its file, whose code is run unless that was done before; raises ConfigError."""
    module = _module(entry)
    builder = getattr(module, entry.symbol, None)
    if builder is None:
        known = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        there = f"; there are: {', '.join(known)}" if known else ""
        raise ConfigError(f"{entry.path} has no '{entry.symbol}', which {entry.group}.{entry.name} names{there}")
    _require_fit(entry, builder)
    return builder


def _module(entry: Entry) -> ModuleType:
    digest = hashlib.sha256(f"{entry.path.absolute()}\0".encode("utf-8", "surrogateescape") + entry.content).hexdigest()
    name = f"{PLUGIN_MODULES}.{Path(entry.file).stem}_{digest[:16]}"
    if name in _modules:
        return _modules[name]
    spec = importlib.util.spec_from_file_location(name, entry.path, loader=_Bytes(entry))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look for the types of their fields
    try:
        spec.loader.exec_module(module)
    except UserError:
        del sys.modules[name]
        raise
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        where = plugin_line(error) or entry.path
        raise ConfigError(f"{where}: {type(error).__name__}: {first_line(error)}") from error
    _modules[name] = module
    return module


def _require_fit(entry: Entry, builder: Any) -> None:
    """Raise ConfigError for a class that is not of its group, or whose parameters cannot be options."""
    what = f"{entry.path}: {entry.symbol}"
    if not callable(builder):
        raise ConfigError(f"{what} is not a class; expected one derived from {_BASES[entry.group]}")
    missing = [name for name in _HAS[entry.group] if not hasattr(builder, name)] if inspect.isclass(builder) else []
    if missing or (entry.group == "data" and not inspect.isclass(builder)):
        raise ConfigError(f"{what} is not a {_KINDS[entry.group]}; expected a class derived from {_BASES[entry.group]}")
    if inspect.isabstract(builder):
        lacking = ", ".join(sorted(builder.__abstractmethods__))
        raise ConfigError(f"{what} does not define {lacking}, which a {_KINDS[entry.group]} needs")
    try:
        options = schema(builder)
    except (NameError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"{what}: the types of its parameters cannot be read: {first_line(error)}") from error
    for name in _RUN_TIME[entry.group]:
        if name not in options:
            raise ConfigError(
                f"{what} has no parameter '{name}'; expected __init__(self, {', '.join(_RUN_TIME[entry.group])}, ...)"
            )
    for name in options.keys() - _RUN_TIME[entry.group]:
        _require_option(f"{what}: option '{name}'", options[name])


def _require_option(what: str, parameter: inspect.Parameter) -> None:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        raise ConfigError(f"{what} takes any number of options; write each with its type, such as units: Count = 8")
    if parameter.annotation is Any or not _is_type(parameter.annotation):
        given = "" if parameter.annotation is Any else f" that can be checked, got {parameter.annotation}"
        raise ConfigError(f"{what} has no type{given}; write one such as int, float, bool, str, Count or Positive")


def _is_type(annotation: Any) -> bool:
    """Whether values of an option can be checked against it."""
    origin = get_origin(annotation)
    if annotation in (int, float, bool, str, type(None)) or str(origin) == "typing.Literal":
        return True
    if hasattr(annotation, "__metadata__"):  # Annotated[X, Range(...)]
        return _is_type(annotation.__origin__) and all(
            hasattr(bound, "__contains__") for bound in annotation.__metadata__
        )
    if origin is None:
        return describe(annotation) == "section"
    return all(_is_type(part) for part in get_args(annotation) if part is not ...) and origin not in (list, dict, set)


def load_all(entries: Iterable[Entry]) -> dict[str, dict[str, Callable[..., Any]]]:
    """The classes of entries by group and name; raises ConfigError."""
    loaded: dict[str, dict[str, Callable[..., Any]]] = {group: {} for group in _RUN_TIME}
    for entry in entries:
        loaded[entry.group][entry.name] = load(entry)
    return loaded
