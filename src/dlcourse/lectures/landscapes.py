"""Loss landscapes: softmax regression beside a deep network, near their start and around the trained weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from torch import nn

from dlcourse.config.options import Count, Positive, ProperFraction, Range
from dlcourse.errors import ConfigError
from dlcourse.lectures.finished import Finished
from dlcourse.lectures.planes import Plane, filter_direction, growth, normal_direction, plane
from dlcourse.lectures.several import required
from dlcourse.metrics.report import Report
from dlcourse.models import MODELS
from dlcourse.plots import Collage, LineChart, Surface, Surfaces
from dlcourse.rng import seed_everything
from dlcourse.spec import Batch

Side = Annotated[int, Range(ge=5, le=201)]

_AXES = ("direction 1", "direction 2", "loss")
_NEAR, _FAR = 100.0, 1000.0
"""Between these distances the power is measured: there the first weights do not matter any more."""


def landscape(
    runs: Sequence[Finished],
    side: Side = 31,
    reach: Positive = 1.0,
    wide: Positive = 4.0,
    examples: Count = 300,
    shown: ProperFraction = 0.5,
) -> Report:
    """The training loss of two classifiers of the same images around their first and around their trained weights.

    Near the start `reach` times normal directions are walked, as the weights of a linear model start at zero, where a
    filter has no length; around the trained weights `wide` times filter-normalized ones. `side` places along each edge
    are tried, each on `examples` training images; `shown` is the share of them that the picture does not cut off.
    """
    models = [_Model.of(run, examples) for run in required(runs, 2)]
    places = {
        ("linear", "deep")[number] + kind: found
        for kind, draw, distance in ((" start", normal_direction, reach), (" trained", filter_direction, wide))
        for number, model in enumerate(models)
        for found in [plane(model.start if kind == " start" else model.trained, model.batch, draw, distance, side)]
    }
    scalars: dict[str, float] = {}
    for name, model in zip(("linear", "deep"), models, strict=True):
        power = growth(model.trained, model.batch, filter_direction, _NEAR, _FAR)
        scalars |= {f"{name} parameters": model.parameters, f"{name} power": power}
    for name, found in places.items():
        scalars |= {f"{name} bends down": found.bends_down, f"{name} minima": float(len(found.minima))}
    titles = [
        f"{where}\n{model.title}" for where in ("near the start", "around the trained weights") for model in models
    ]
    surfaces = [_surface(found, title, shown) for found, title in zip(places.values(), titles, strict=True)]
    return Report(scalars, pictures={"landscape": Surfaces(surfaces, _AXES)})


@dataclass(frozen=True, eq=False)
class _Model:
    """A classifier as it started and as it was trained, in evaluation mode, and training images to measure it on."""

    title: str
    parameters: float
    start: nn.Module
    trained: nn.Module
    batch: Batch

    @classmethod
    def of(cls, run: Finished, examples: int) -> "_Model":
        data, opened = run.data(), run.open()
        if data.spec.target != "class" or opened.config.features.name != "none":
            raise ConfigError(f"lecture.runs: the figure needs classifiers without features, got {run.folder}")
        seed_everything(run.config.seed)
        start = MODELS.build(run.config.model, spec=data.spec).eval()
        parameters = run.numbers()["parameters"]
        batch = next(data.train.batches(examples, epoch=1))
        title = f"{run.config.model.name} ({parameters:,.0f} parameters)"
        return cls(title, parameters, start, opened.task.model, batch)


def _surface(found: Plane, title: str, shown: float) -> Surface:
    return Surface(found.places.numpy(), found.losses.numpy(), title, found.cut(shown), found.minima.numpy())


def resnet_depth(
    runs: Sequence[Finished],
    side: Side = 13,
    reach: Positive = 1.0,
    examples: Count = 64,
    shown: ProperFraction = 0.7,
) -> Report:
    """The training loss of residual networks by depth, with and without shortcuts, and the landscapes around their weights.

    `side` places along each edge of a plane are tried, up to `reach` filter-normalized directions away from the trained
    weights, each on `examples` training images.
    """
    by_kind = {(_option(run, "depth", 20), not _option(run, "skip", True)): run for run in runs}
    depths = sorted({depth for depth, _ in by_kind})
    if len(depths) != 2 or len(by_kind) != 4:
        raise ConfigError(
            f"lecture.runs: the figure needs model.depth=A,B with model.skip=true,false, got {len(runs)} runs"
        )
    scalars: dict[str, float] = {}
    lines, surfaces = {}, []
    for (depth, is_plain), run in sorted(by_kind.items()):
        name = f"{depth} {'without' if is_plain else 'with'} shortcuts"
        batch = next(run.data().train.batches(examples, epoch=1))
        found = plane(run.open().task.model, batch, filter_direction, reach, side)
        lines[name] = run.metrics.series("train/loss")
        scalars |= {name: run.numbers()["train/loss"], f"{name} bends down": found.bends_down}
        scalars[f"{name} around"] = found.cut(0.5)
        surfaces.append(_surface(found, f"{name}: median loss {found.cut(0.5):.1f}", shown))
    shallow, deep = depths
    scalars |= {
        f"{kind} of {depth} without over with": scalars[f"{depth} without shortcuts {kind}"]
        / max(scalars[f"{depth} with shortcuts {kind}"], 1e-9)
        for depth, kind in ((shallow, "bends down"), (deep, "around"))
    }
    chart = LineChart(lines, "step", "training loss", "Deeper is worse without shortcuts")
    return Report(scalars, pictures={"resnet_depth": Collage([[chart], [Surfaces(surfaces, _AXES)]])})


def _option(run: Finished, name: str, default: int) -> int:
    return run.config.model.options.get(name, default)
