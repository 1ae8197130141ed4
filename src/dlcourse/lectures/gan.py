"""D5: a counterfeiter and the police: a film of the same noise, the modes found, both losses, the real images nearby."""

from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor

from dlcourse.config.options import Range
from dlcourse.errors import ConfigError
from dlcourse.lectures.by_epoch import by_epoch
from dlcourse.lectures.finished import Finished
from dlcourse.metrics.generative import SampleScores
from dlcourse.metrics.report import Report
from dlcourse.plots import Collage, ImageSheet, LineChart, LineCharts, Picture, PointStrip
from dlcourse.spec import Data, DataSpec
from dlcourse.tasks.adversarial import Adversarial

_LOSS_D, _LOSS_G, _D = 1.386, 0.693, 0.5  # 2 ln 2, ln 2 and a half: nobody can tell real from generated
_SHOWN, _ROWS, _COMPARED = 12, 4, 200


def gan(runs: Sequence[Finished], samples: Annotated[int, Range(ge=20)] = 2000) -> Report:
    """The same noise after more and more training, both losses, and what the discriminator calls real.

    The runs are GANs on points or images that differ in their epochs, a scene of the film each. A scene has scores of
    `samples` samples: `modes in scene 1` for points, `frechet in scene 1` for images, which are also compared with their
    nearest training images: the median distance by that of real test images.
    """
    if not runs:
        raise ConfigError("lecture.runs: the figure needs at least one run of a GAN, got none")
    ordered = sorted(runs, key=lambda run: run.config.trainer.epochs)
    tasks, data = [_adversarial(run) for run in ordered], ordered[-1].data()
    scores = SampleScores.prepare(data, tasks[-1].device)
    film = {run.config.trainer.epochs: _filmed(task, samples) for run, task in zip(ordered, tasks, strict=True)}
    scalars = ordered[-1].numbers() | {"epochs": float(max(film)), "scenes": float(len(film))}
    for number, (epochs, scene) in enumerate(film.items(), 1):
        scalars[f"epochs of scene {number}"] = float(epochs)
        scalars |= {f"{name} in scene {number}": value for name, value in scores.scores(scene).items()}
    rows: list[list[Picture]] = [[_strip(film, data.spec)], [LineCharts(_courses(ordered[-1]))]]
    if data.spec.is_image:
        nearest, picture = _nearest(film[max(film)][:_COMPARED], scores, data)
        scalars |= nearest
        rows.append([picture])
    return Report(scalars, pictures={"gan": Collage(rows)})


def _adversarial(run: Finished) -> Adversarial:
    task = run.open().task
    if not isinstance(task, Adversarial):
        raise ConfigError(
            f"lecture.runs: the figure needs runs of a GAN, such as experiment=gan_ring, got {run.folder}"
        )
    return task


@torch.no_grad()
def _filmed(task: Adversarial, count: int) -> Tensor:
    """What the generator makes of noise that is the same whenever it is asked, `(count, ...)`."""
    with task.device.forked_random_state():
        labels = task.classes_in_turn(count) if task.model.is_conditional else None
        return task.generate(count, labels).cpu()


def _strip(film: dict[int, Tensor], spec: DataSpec) -> Picture:
    """A panel for each scene; of images a row."""
    names = [f"after {epochs} epoch{'s' * (epochs > 1)}" for epochs in film]
    title = "What the generator makes of the same noise"
    if not spec.is_image:
        return PointStrip([scene.numpy() for scene in film.values()], names, title, spec.centers)
    scenes = torch.stack(list(film.values()))  # (scenes, n, C, H, W)
    if len(film) == 1:  # more of it
        rows = max(1, min(_ROWS, scenes.shape[1] // _SHOWN))
        scenes = scenes[:, : rows * _SHOWN].reshape(rows, -1, *spec.input_shape)
        names, title = [], f"What the generator makes of noise {names[0]}"
    return ImageSheet(spec.to_pixels(scenes[:, :_SHOWN]).clamp(0, 1).numpy(), title, names)


def _courses(run: Finished) -> list[LineChart]:
    """Both losses, and the mean probability of being real that the discriminator gives to real and generated examples."""
    losses = {
        "discriminator": by_epoch(run, "train/loss_discriminator"),
        "generator": by_epoch(run, "train/loss_generator"),
    }
    calls = {"D(real)": by_epoch(run, "train/d_real"), "D(fake)": by_epoch(run, "train/d_fake")}
    at_loss = {"2 ln 2": _LOSS_D, "ln 2": _LOSS_G}
    return [
        LineChart(losses, "epoch", "loss", "Neither loss says how good the samples are", at_y=at_loss),
        LineChart(calls, "epoch", "mean D(x)", "Real or counterfeit?", at_y={"cannot tell": _D}, limits_y=(0, 1)),
    ]


def _nearest(samples: Tensor, scores: SampleScores, data: Data) -> tuple[dict[str, float], Picture]:
    """How far samples and real test images are from the nearest training image, and some of the samples with theirs."""
    real = next(iter(data.test.batches(len(samples)))).inputs.cpu()
    found = scores.nearest(samples)
    distances = {
        "distance to the nearest training image": _distance(samples, found, data.spec),
        "distance of real test images": _distance(real, scores.nearest(real), data.spec),
    }
    ratio = distances["distance to the nearest training image"] / distances["distance of real test images"]
    pairs = torch.stack([samples[:_SHOWN], found[:_SHOWN]])  # (2, n, C, H, W)
    pixels = torch.stack([data.spec.to_pixels(row) for row in pairs]).clamp(0, 1)
    picture = ImageSheet(pixels.numpy(), "Samples and the training images nearest to them", ("generated", "nearest"))
    return distances | {"distance by that of real images": ratio}, picture


def _distance(images: Tensor, others: Tensor, spec: DataSpec) -> float:
    """The median length of the difference in pixels, white being 1."""
    difference = (spec.to_pixels(images) - spec.to_pixels(others)).flatten(1)
    return float(difference.norm(dim=1).median())
