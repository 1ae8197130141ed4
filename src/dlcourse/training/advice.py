"""What to type if a model or a task cannot take the data: the table from what it needs to the options of data sets."""

from collections.abc import Callable

from dlcourse.data import DATASETS
from dlcourse.errors import ConfigError, MisfitError, Need
from dlcourse.spec import DataSpec


def advised(misfit: MisfitError, spec: DataSpec) -> ConfigError:
    """The error with what can be done about the data, too."""
    choices = [choice for choice in (misfit.otherwise, _ADVICE[misfit.needs](misfit, spec)) if choice]
    return ConfigError(f"{misfit.problem}; write {', or '.join(choices)}" if choices else misfit.problem)


def _images(misfit: MisfitError, spec: DataSpec) -> str:
    """Arrays `(height, width)` of one's own are images only if they are whole numbers."""
    if spec.name != "npz" or len(spec.input_shape) != 2:
        return ""
    return "the images as uint8, those in [0, 1] as (255 * x).round().astype('uint8')"


def _images_or_points(misfit: MisfitError, spec: DataSpec) -> str:
    return _images(misfit, spec) or "data=mnist or data=moons"


def _pixels(misfit: MisfitError, spec: DataSpec) -> str:
    return f"data.{'size' if 'size' in _options(spec) else 'resize'}={misfit.side}"


def _classes(misfit: MisfitError, spec: DataSpec) -> str:
    return "data.kind=class" if "kind" in _options(spec) else ""


def _values(misfit: MisfitError, spec: DataSpec) -> str:
    return "data.kind=value" if "kind" in _options(spec) else "data=diabetes"


def _games(misfit: MisfitError, spec: DataSpec) -> str:
    return "data=cartpole"


def _matches(misfit: MisfitError, spec: DataSpec) -> str:
    return "data=tic_tac_toe"


def _options(spec: DataSpec) -> list[str]:
    return list(DATASETS.schema(spec.name)) if spec.name in DATASETS else []


_ADVICE: dict[Need, Callable[[MisfitError, DataSpec], str]] = {
    "images": _images,
    "images or points": _images_or_points,
    "pixels": _pixels,
    "classes": _classes,
    "values": _values,
    "games": _games,
    "matches": _matches,
}
