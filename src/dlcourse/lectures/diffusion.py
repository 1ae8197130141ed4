"""C7: diffusion: data on the way to noise, noise on the way to data, and how the number of steps decides the quality."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from dlcourse.config.options import Count, NonNegative, Range
from dlcourse.errors import ConfigError
from dlcourse.lectures.finished import Finished
from dlcourse.lectures.several import required
from dlcourse.metrics.generative import energy_distance
from dlcourse.metrics.reference_classifier import ReferenceClassifier
from dlcourse.metrics.report import Report
from dlcourse.plots import Collage, ImageGrid, ImageSheet, LineChart, LineCharts, Picture, PointStrip
from dlcourse.spec import Data, Split
from dlcourse.tasks.diffusion import Diffusion

Several = Annotated[int, Range(ge=2)]

_LEAST_SHOWN = 1e-3  # the estimate of a small distance may come out below 0, which a logarithmic axis has not
_CLOUDS = 4
_ROWS = 6


def diffusion(
    runs: Sequence[Finished], steps: tuple[Count, ...] = (2, 3, 5, 10, 25, 50), samples: Count = 2000
) -> Report:
    """Strips of points on the way to noise and back, and the energy distance to all test points by the number of steps.

    The run is a diffusion model on points. All numbers of steps start from the same noise, that of `samples` samples.
    `energy distance of real points` is that of as many training points: no sampler does better.
    """
    _require("steps", steps)
    run, task, data = _opened(runs, of_images=False)
    real, others = _points(data.test, len(data.test)), _points(data.train, samples)
    made = {count: _generated(task, samples, count) for count in sorted(steps)}
    distances = {count: energy_distance(points, real) for count, points in made.items()}
    many = max(steps)
    scalars = run.numbers() | {f"energy distance at {count} steps": value for count, value in distances.items()}
    scalars["energy distance of real points"] = energy_distance(others, real)
    scalars["difference to real points"] = abs(distances[many] - scalars["energy distance of real points"])
    scalars |= {f"gain over {count} steps": distances[count] - distances[many] for count in distances if count != many}
    floor = {"as good as real points": _LEAST_SHOWN}
    line = {"samples": (list(distances), [max(value, _LEAST_SHOWN) for value in distances.values()])}
    chart = LineChart(
        line, "steps", "energy distance to test points", "Steps against quality", log_x=True, log_y=True, at_y=floor
    )
    shown = {count: made[count].numpy() for count in list(made)[:: -(-len(made) // (_CLOUDS - 1))]} | {
        many: made[many].numpy()
    }
    clouds = PointStrip(list(shown.values()), [f"{count} steps" for count in shown], "Samples from the same noise")
    rows: list[list[Picture]] = [[strip] for strip in _strips(task, data)]
    return Report(scalars, pictures={"diffusion": Collage([*rows, [LineCharts([chart]), clouds]])})


def diffusion_images(
    runs: Sequence[Finished],
    steps: tuple[Count, ...] = (5, 10, 50),
    guidance: tuple[NonNegative, ...] = (0.0, 2.0),
    samples: Several = 120,
) -> Report:
    """Strips of images on the way to noise and back, samples of each class, and how many are recognized as it.

    The run is a conditional diffusion model on images. A classifier trained on real ones judges `samples` samples, all from
    the same noise, for each number of steps and each weight of the classifier-free guidance.
    """
    _require("steps", steps)
    _require("guidance", guidance)
    run, task, data = _opened(runs, of_images=True)
    judge = ReferenceClassifier.train(data, task.device)
    labels = task.classes_in_turn(samples)
    lines: dict[str, tuple[list[int], list[float]]] = {}
    scalars = run.numbers() | {"recognized of real images": judge.accuracy}
    for weight in guidance:
        shares = []
        for count in sorted(steps):
            made = _generated(task, samples, count, weight)
            shares.append(float((judge.classes(made) == labels.cpu()).float().mean()))
            scalars[f"recognized at {count} steps and guidance {weight:g}"] = shares[-1]
        lines[f"guidance {weight:g}"] = (sorted(steps), shares)
    first, last = (lines[f"guidance {weight:g}"][1] for weight in (min(guidance), max(guidance)))
    scalars |= {
        "few": float(min(steps)),
        "recognized with few steps": last[0],
        "gain by guidance": last[-1] - first[-1],
    }
    title = "Recognized as the digit asked for"
    chart = LineChart(lines, "steps", "share of samples", title, log_x=True, share=True, at_y={"real": judge.accuracy})
    grid = _class_grid(task, data, max(steps), max(guidance))
    strips: list[Picture] = [_sheet(strip) for strip in _strips(task, data)]
    return Report(scalars, pictures={"diffusion_images": Collage([strips, [grid, LineCharts([chart])]])})


def _require(option: str, values: Sequence[float]) -> None:
    """Raise ConfigError if there is nothing to compare."""
    if len(set(values)) < 2:
        raise ConfigError(f"lecture.{option} must name two numbers or more to compare, got {list(values)}")


def _opened(runs: Sequence[Finished], *, of_images: bool) -> tuple[Finished, Diffusion, Data]:
    """The run with its task and data; raises ConfigError if it is not of such a diffusion model."""
    (run,) = required(runs, 1)
    task = run.open().task
    what = "conditional diffusion model on images" if of_images else "diffusion model on points"
    if (
        not isinstance(task, Diffusion)
        or task.spec.is_image != of_images
        or (of_images and not task.model.is_conditional)
    ):
        raise ConfigError(f"lecture.runs: the figure needs a run of a {what}, got {run.folder}")
    return run, task, run.data()


def _points(split: Split, limit: int) -> Tensor:
    """The first points `(limit, 2)` of a split."""
    return torch.cat([batch.inputs for batch in split.batches(limit)])[:limit].cpu()


@torch.no_grad()
def _generated(task: Diffusion, samples: int, steps: int, guidance: float | None = None) -> Tensor:
    """Samples `(samples, ...)` from noise that is the same for all numbers of steps, with the classes in turn."""
    with task.device.forked_random_state():
        labels = task.classes_in_turn(samples) if task.model.is_conditional else None
        return task.generate(samples, labels, steps=steps, guidance=guidance).cpu()


@torch.no_grad()
def _strips(task: Diffusion, data: Data) -> Iterator[Picture]:
    """The ways from data to noise and from noise to data."""
    with task.device.forked_random_state():
        yield task.noising_picture(data.test)
        yield task.denoising_picture()


def _sheet(strip: Picture) -> Picture:
    """Some rows of a strip of images, smaller, with the captions that its title lists below the columns."""
    assert isinstance(strip, ImageGrid)
    title, _, captions = strip.title.partition(": ")
    images = np.asarray(strip.images)[: _ROWS * strip.columns]
    return ImageSheet(images.reshape(-1, strip.columns, *images.shape[1:]), title, (), captions.split(", "))


def _class_grid(task: Diffusion, data: Data, steps: int, guidance: float) -> Picture:
    """Samples of each class, a column for each."""
    classes = len(data.spec.class_names)
    made = data.spec.to_pixels(_generated(task, classes * _ROWS, steps, guidance)).clamp(0, 1)
    rows = made.reshape(_ROWS, classes, *data.spec.input_shape)
    title = f"On request: {steps} steps, guidance {guidance:g}"
    return ImageSheet(rows.numpy(), title, column_names=data.spec.class_names)
