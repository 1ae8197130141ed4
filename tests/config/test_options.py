from dataclasses import dataclass
from typing import Annotated, Literal

import pytest

from dlcourse.config.options import Count, Fraction, Positive, Range, check_options, convert, describe
from dlcourse.errors import ConfigError


@dataclass(frozen=True)
class Inner:
    angle: Annotated[float, Range(ge=0, le=180)] = 0.0


def build(
    spec: object,
    hidden: tuple[Count, ...] = (8,),
    dropout: Fraction = 0.0,
    lr: Positive = 0.1,
    kind: Literal["max", "average"] = "max",
    size: Count | Literal["full"] = 64,
    path: str | None = None,
    flag: bool = False,
    inner: Inner = Inner(),
) -> None:
    """A builder with every kind of option."""


def check(**options: object) -> dict[str, object]:
    return check_options(build, options, where="model", run_time=("spec",))


def test_values_are_converted_to_their_annotations() -> None:
    assert check(hidden=[3, 4], lr=1, size="full", inner={"angle": 10}) == {
        "hidden": (3, 4),
        "lr": 1.0,
        "size": "full",
        "inner": Inner(10.0),
    }
    assert isinstance(check(lr=1)["lr"], float)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hiden": [3]}, "unknown option 'model.hiden'; did you mean 'model.hidden'?"),
        ({"spec": 1}, "unknown option 'model.spec'; there are: hidden, dropout, lr, kind, size, path, flag, inner"),
        ({"inner": {"angel": 1}}, "unknown option 'model.inner.angel'; did you mean 'model.inner.angle'?"),
        ({"hidden": [3, 0]}, "model.hidden must be a list of whole numbers >= 1, got [3, 0]"),
        ({"hidden": 3}, "model.hidden must be a list of whole numbers >= 1, got 3; write model.hidden=[3]"),
        ({"hidden": "a"}, "model.hidden must be a list of whole numbers >= 1, got 'a'"),
        ({"hidden": 0}, "model.hidden must be a list of whole numbers >= 1, got 0"),
        ({"size": 1e3}, "model.size must be a whole number >= 1 or full, got 1000.0; write model.size=1000"),
        ({"dropout": 1}, "model.dropout must be a number in [0, 1), got 1"),
        ({"lr": 0}, "model.lr must be a number > 0, got 0"),
        ({"lr": float("nan")}, "model.lr must be a number > 0, got nan"),
        ({"lr": float("inf")}, "model.lr must be a number > 0, got inf"),
        ({"lr": True}, "model.lr must be a number > 0, got True"),
        ({"lr": "1e-3x"}, "model.lr must be a number > 0, got '1e-3x'"),
        ({"lr": ""}, "model.lr must be a number > 0, got no value"),
        ({"kind": "min"}, "model.kind must be max or average, got 'min'"),
        ({"size": 1.5}, "model.size must be a whole number >= 1 or full, got 1.5"),
        ({"size": None}, "model.size must be a whole number >= 1 or full, got no value"),
        ({"path": 3}, "model.path must be text or null, got 3"),
        ({"flag": 1}, "model.flag must be true or false, got 1"),
        ({"inner": {"angle": 181}}, "model.inner.angle must be a number in [0, 180], got 181"),
        ({"inner": 3}, "model.inner must be a section, got 3"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_expected(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(**options)
    assert str(caught.value) == message


def test_a_missing_option_without_default_is_named() -> None:
    def needs(lr: Positive) -> None:
        """A builder that needs its option."""

    with pytest.raises(ConfigError, match=r"option 'optimizer\.lr' is missing; expected a number > 0"):
        check_options(needs, {}, where="optimizer")


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (Annotated[int, Range(gt=0, le=5)], "whole number in (0, 5]"),
        (Annotated[float, Range(lt=5)], "number < 5"),
        (Literal["relu"], "relu"),
        (tuple[float, ...] | None, "list of numbers or null"),
        (tuple[int | str, ...] | None, "list of whole numbers or text, or null"),
    ],
)
def test_annotations_are_described_in_words(annotation: object, words: str) -> None:
    assert describe(annotation) == words


def test_none_is_kept_where_it_is_allowed() -> None:
    assert convert(None, Positive | None, "x") is None
    assert convert(2, Positive | None, "x") == 2.0
