"""Option values checked and converted against type annotations, with messages that say what to type.

The annotations understood are `int`, `float`, `bool`, `str`, `Literal`, `X | None`, `X | Y`, `tuple[X, ...]`,
dataclasses of these, and `Annotated[X, Range(...)]`.
"""

import contextlib
import dataclasses
import difflib
import inspect
import math
import re
import types
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from dlcourse.config.hints import hints, plain
from dlcourse.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class Range:
    """Bounds of a number: greater than, at least, less than, at most."""

    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None

    def __contains__(self, value: float) -> bool:
        return (
            math.isfinite(value)
            and (self.gt is None or value > self.gt)
            and (self.ge is None or value >= self.ge)
            and (self.lt is None or value < self.lt)
            and (self.le is None or value <= self.le)
        )

    def __str__(self) -> str:
        low = self.gt if self.gt is not None else self.ge
        high = self.lt if self.lt is not None else self.le
        if low is not None and high is not None:
            return f"in {'(' if self.gt is not None else '['}{low}, {high}{')' if self.lt is not None else ']'}"
        if low is not None:
            return f"{'>' if self.gt is not None else '>='} {low}"
        return f"{'<' if self.lt is not None else '<='} {high}"


Positive = Annotated[float, Range(gt=0)]
NonNegative = Annotated[float, Range(ge=0)]
Fraction = Annotated[float, Range(ge=0, lt=1)]
Probability = Annotated[float, Range(ge=0, le=1)]
ProperFraction = Annotated[float, Range(gt=0, lt=1)]
Count = Annotated[int, Range(ge=1)]
NonNegativeInt = Annotated[int, Range(ge=0)]

Schema = dict[str, inspect.Parameter]

_SHORT = 3
_MOST_CHOICES = 3


def schema(builder: Callable[..., Any], run_time: Iterable[str] = ()) -> Schema:
    """The options of a builder: its parameters with resolved annotations, less those given at run time."""
    hints = get_type_hints(builder.__init__ if inspect.isclass(builder) else builder, include_extras=True)
    return {
        name: parameter.replace(annotation=hints.get(name, Any))
        for name, parameter in inspect.signature(builder).parameters.items()
        if name not in run_time
    }


def check_options(
    builder: Callable[..., Any], options: Mapping[str, Any], *, where: str, run_time: Iterable[str] = ()
) -> dict[str, Any]:
    """Keyword arguments for `builder`: unknown names refused, values converted to their annotations.

    `where` is the section the options stand in (`model`), so that errors can say `model.dropout`; an empty one is the
    top level. Raises ConfigError.
    """
    known = schema(builder, run_time)
    prefix = f"{where}." if where else ""
    for name in options:
        if name not in known:
            raise ConfigError(f"unknown option '{prefix}{name}'{suggestion(str(name), known, prefix, kind='option')}")
    for name, parameter in known.items():
        if parameter.default is parameter.empty and name not in options:
            raise ConfigError(f"option '{prefix}{name}' is missing; expected {_expected(parameter.annotation)}")
    return {name: convert(value, known[name].annotation, f"{prefix}{name}") for name, value in options.items()}


def suggestion(name: str, known: Iterable[str], prefix: str = "", *, kind: str = "") -> str:
    """`; did you mean 'x'?` or another hint for a name that is not known, and otherwise the names there are.

    `kind` says what is named: a group of the config, an `option` or a `command`; empty for what only a user's data know.
    """
    names = [str(entry) for entry in known]
    return hint(name, names, prefix, kind=kind) or (f"; there are: {', '.join(names)}" if names else "")


def hint(name: str, known: Iterable[str], prefix: str = "", *, kind: str = "") -> str:
    """What to type instead, from another spelling, from other libraries' words, or from the letters; may be empty."""
    names = [str(entry) for entry in known]
    same = [entry for entry in names if plain(entry) == plain(name)][:1]
    if not same and (other := from_table(kind, name, [f"{prefix}{entry}" for entry in names])):
        return other
    choices = " or ".join(f"'{prefix}{entry}'" for entry in same or _begun(name, names) or _misspelt(name, names))
    return f"; did you mean {choices}?" if choices else ""


def from_table(kind: str, name: str, known: Container[str]) -> str:
    """What the table of other libraries' words says, as far as it is about what is known here; may be empty."""
    for other in hints(kind, name):
        if other in known or " " in other:
            return f"; did you mean '{other}'?" if other in known else f"; {other}"
    return ""


def _begun(name: str, names: list[str]) -> list[str]:
    """The names that begin with this one, up to three of them."""
    longer = [entry for entry in names if plain(entry).startswith(plain(name))]
    return longer if len(name) >= _SHORT and len(longer) <= _MOST_CHOICES else []


def _misspelt(name: str, names: list[str]) -> list[str]:
    """The name that was meant, if it begins alike and a letter in four is wrong at most: `cnm` is cnn, `knn` is not rnn."""
    alike = [entry for entry in names if entry[:1] in tuple(name[:2]) or name[:1] in tuple(entry[:2])]
    return difflib.get_close_matches(name, alike, n=1, cutoff=0.66 if len(name) <= _SHORT else 0.75)


def convert(value: Any, annotation: Any, key: str) -> Any:
    """`value` as `annotation` asks for it; raises ConfigError naming `key`, the value and what is expected."""
    try:
        return _convert(value, annotation, key)
    except (TypeError, ValueError, OverflowError):
        given = "no value" if value in ("", None) else repr(value)
        raise ConfigError(
            f"{key} must be {_expected(annotation)}, got {given}{_meant(value, annotation, key)}"
        ) from None


def _expected(annotation: Any) -> str:
    """The annotation in words behind `must be`: `a number > 0`, `a list of whole numbers >= 1`, `max or average`."""
    return re.sub(r"\b(whole number|number|list|section)\b", r"a \1", describe(annotation))


def _meant(value: Any, annotation: Any, key: str) -> str:
    """`; write trainer.epochs=1000` for 1e3 and `; write model.hidden=[64]` for 64, if that would do."""
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    for other, text in ((whole, whole), ([value], f"[{value}]")):
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            _convert(other, annotation, key)
            return f"; write {key}={text}"
    return ""


def _convert(value: Any, annotation: Any, key: str) -> Any:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is Any:
        return value
    if origin is Annotated:
        number = _convert(value, arguments[0], key)
        return _require(number, number in arguments[1])
    if origin in (Union, types.UnionType):
        return _convert_union(value, arguments, key)
    if origin is Literal:
        return _require(value, any(value == choice and type(value) is type(choice) for choice in arguments))
    if origin is tuple:
        _require(value, isinstance(value, (list, tuple)))
        return tuple(_convert(item, arguments[0], key) for item in value)
    if dataclasses.is_dataclass(annotation) and isinstance(annotation, type):
        _require(value, isinstance(value, Mapping))
        return annotation(**check_options(annotation, value, where=key))
    if annotation is type(None):
        return _require(value, value is None)
    if annotation is float:
        _require(value, isinstance(value, (int, float)) and not isinstance(value, bool))
        return float(value)
    return _require(value, type(value) is annotation)


def _convert_union(value: Any, choices: tuple[Any, ...], key: str) -> Any:
    for choice in choices:
        try:
            return _convert(value, choice, key)
        except (TypeError, ValueError):
            continue
    raise ValueError


def _require(value: Any, holds: bool) -> Any:
    if not holds:
        raise ValueError
    return value


def describe(annotation: Any) -> str:
    """The annotation in words: `number > 0`, `list of whole numbers >= 1`, `max or average`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return f"{describe(arguments[0])} {arguments[1]}"
    if origin in (Union, types.UnionType):
        words = [describe(choice) for choice in arguments]
        return (", or " if any(" or " in word for word in words) else " or ").join(words)
    if origin is Literal:
        words = [str(choice) for choice in arguments]
        return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
    if origin is tuple:
        return f"list of {describe(arguments[0]).replace('number', 'numbers')}"
    if dataclasses.is_dataclass(annotation):
        return "section"
    plain = {int: "whole number", float: "number", bool: "true or false", str: "text", type(None): "null"}
    return plain.get(annotation, str(annotation))
