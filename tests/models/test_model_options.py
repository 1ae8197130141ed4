"""Every option of every model does something: with another value, other layers, weights or outputs for some data."""

import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
import torch

from dlcourse.config.registry import Choice
from dlcourse.errors import ConfigError
from dlcourse.models import MODELS
from dlcourse.spec import DataSpec

CLASSES = tuple("0123456789")
SPECS = (
    DataSpec("images", (1, 16, 16), 10, class_names=CLASSES, pixel_mean=(0.5,), pixel_std=(0.25,)),
    DataSpec("words", (6,), 10, class_names=CLASSES, vocabulary=tuple("abcdefgh"), tokenizer="words"),
    DataSpec("text", (6,), 8, "next", vocabulary=tuple("abcdefgh"), tokenizer="characters"),
    DataSpec("table", (5,), 1, "value"),
    DataSpec("points", (2,), 10, class_names=CLASSES),
)
ONLY_WITH = {
    ("autoencoder", "channels"): {"arch": "conv"},
    ("vae", "channels"): {"arch": "conv"},
    ("gan", "channels"): {"arch": "conv"},
    ("diffusion", "channels"): {"arch": "unet"},
    ("gan", "arch"): {"arch": "mlp"},
    ("diffusion", "arch"): {"arch": "mlp"},
}
"""Options that count only beside others, or whose default is what the data ask for."""


def other_values(annotation: Any, default: object) -> Iterator[object]:
    """Further values of an option, as its type allows."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from other_values(get_args(annotation)[0], default)
    elif origin in (Union, types.UnionType):
        for choice in get_args(annotation):
            yield from other_values(choice, default)
    elif origin is Literal:
        yield from (value for value in get_args(annotation) if value != default)
    elif annotation is bool:
        yield not default
    elif annotation is int and isinstance(default, int):
        yield from (2 * default or 1, default + 2)
    elif annotation is float and isinstance(default, float):
        yield 0.5 * default or 0.5
    elif origin is tuple and isinstance(default, tuple):
        yield (*default, 8)


OPTIONS = [
    (model, option, value)
    for model in MODELS
    for option, parameter in MODELS.schema(model).items()
    for value in dict.fromkeys(other_values(parameter.annotation, parameter.default))
]


def seen(model: str, spec: DataSpec, options: dict[str, object]) -> list[object]:
    """The layers of a model, its first weights, and what it makes of an example that is not all zeros."""
    torch.manual_seed(0)
    built = MODELS.build(Choice(model, options), spec=spec).eval()
    example = torch.ones_like(spec.zeros(2))
    try:
        outputs = built(example)
    except TypeError:  # a model that takes more than examples
        outputs = ()
    tensors = [*built.state_dict().values(), *(outputs if isinstance(outputs, tuple) else (outputs,))]
    return [repr(built), *(float(tensor.detach().double().abs().sum()) for tensor in tensors)]


def with_value(model: str, spec: DataSpec, options: dict[str, object]) -> list[object] | None:
    """The same, or None where the model does not go with such data or such options."""
    try:
        return seen(model, spec, options)
    except (ConfigError, RuntimeError):
        return None


@pytest.mark.parametrize(("model", "option", "value"), OPTIONS)
def test_an_option_changes_its_model(model: str, option: str, value: object) -> None:
    beside = ONLY_WITH.get((model, option), {})
    if beside.get(option) == value:
        beside = {}
    pairs = [(with_value(model, spec, beside), with_value(model, spec, {**beside, option: value})) for spec in SPECS]
    both = [(plain, changed) for plain, changed in pairs if plain is not None and changed is not None]
    if not both:
        pytest.skip("no data here for which this value is allowed")
    assert any(plain != changed for plain, changed in both)


def test_nearly_every_option_is_tried() -> None:
    tried = {(model, option) for model, option, _ in OPTIONS}
    every = {(model, option) for model in MODELS for option in MODELS.schema(model)}
    assert len(tried) > 0.85 * len(every), sorted(every - tried)
