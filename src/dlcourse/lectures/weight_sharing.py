"""C8: the same weights everywhere: a shifted image has the shifted answer, and a layer has few parameters."""

from collections.abc import Sequence
from typing import Annotated

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional

from dlcourse.config.options import Count, Range
from dlcourse.errors import ConfigError
from dlcourse.lectures.finished import Finished
from dlcourse.lectures.several import required
from dlcourse.metrics.report import Report
from dlcourse.models.cnn import CNN
from dlcourse.models.summary import count_parameters
from dlcourse.plots import Collage, LineChart, LineCharts, Listing, Picture, ShiftedAnswers
from dlcourse.spec import Data, DataSpec
from dlcourse.tasks.classification import Classification

_CHECKED = 100  # images
_LECTURE = (3, 32, 3, 48)  # the lectures' first layer: channels in and out, side of a filter, side of an image
_DIRECTIONS = ((0, 1), (0, -1), (1, 0), (-1, 0))


def weight_sharing(
    runs: Sequence[Finished], shift: Annotated[int, Range(ge=1, le=12)] = 4, farthest: Count = 6, images: Count = 1000
) -> Report:
    """What a convolution answers to images shifted by `shift` pixels, its parameters, and two networks on shifted images.

    The runs are a cnn and another classifier of the same images; their accuracy is that on the first `images` test images,
    shifted by up to `farthest` pixels to all four sides. `difference` is the largest between the shifted answer and the
    answer to the shifted image, where neither sees the border; `difference without sharing` is that of a layer with other
    filters at each place.
    """
    cnn, other = _networks(runs)
    if 2 * shift > cnn.spec.input_shape[2] or 2 * farthest > cnn.spec.input_shape[2]:
        raise ConfigError(
            f"lecture.shift={shift} and lecture.farthest={farthest} must be at most half of the images, which have "
            f"{cnn.spec.input_shape[2]} pixels across"
        )
    data = runs[0].data()
    batch = next(iter(data.test.batches(images)))
    convolution = next(layer for layer in cnn.model.modules() if isinstance(layer, nn.Conv2d))
    some = batch.inputs[:_CHECKED]
    moved = _shifted(some, (0, shift), data.spec)
    unshared = _Unshared(convolution, some.shape[-2:])
    with torch.no_grad():
        answers = {
            name: (layer(some), layer(moved)) for name, layer in (("shared", convolution), ("unshared", unshared))
        }
        accuracies = {
            name: [_accuracy(task, batch.inputs, batch.targets, step) for step in range(farthest + 1)]
            for name, task in (("convolutional", cnn), ("fully connected", other))
        }
    margin = convolution.kernel_size[0] // 2
    scalars = {
        "shift": float(shift),
        "farthest": float(farthest),
        "difference": _difference(*answers["shared"], shift, margin),
        "difference without sharing": _difference(*answers["unshared"], shift, margin),
    }
    scalars |= _parameters()
    for name, found in accuracies.items():
        scalars |= {f"{name} accuracy": found[0], f"{name} accuracy shifted": found[-1]}
    shown = _picture(
        some[0], moved[0], {name: (first[0], second[0]) for name, (first, second) in answers.items()}, data
    )
    lines = {name: (range(farthest + 1), found) for name, found in accuracies.items()}
    chart = LineChart(lines, "shift (pixels)", "test accuracy", "Trained on centered digits only", share=True)
    right = Collage([[LineCharts([chart])], [_listing(scalars)]], margin=0)
    return Report(scalars, pictures={"weight_sharing": Collage([[shown, right]])})


def _networks(runs: Sequence[Finished]) -> tuple[Classification, Classification]:
    """The tasks of both runs; raises ConfigError if they are others than the figure needs."""
    tasks = [run.open().task for run in required(runs, 2)]
    first, second = tasks
    if (
        not isinstance(first, Classification)
        or not isinstance(second, Classification)
        or not isinstance(first.model, CNN)
    ):
        folders = ", ".join(str(run.folder) for run in runs)
        raise ConfigError(
            "lecture.runs: the figure needs a run of model=cnn, then one of another classifier of the same images, got "
            f"{folders}"
        )
    assert isinstance(first, Classification) and isinstance(second, Classification)
    return first, second


class _Unshared(nn.Module):
    """A layer that looks at the same windows as a convolution, with filters of its own at each place, drawn at random."""

    def __init__(self, convolution: nn.Conv2d, sides: Sequence[int]) -> None:
        super().__init__()
        filters = convolution.weight.flatten(1)  # (C, window)
        self._window = convolution.kernel_size[0]
        self._weight = torch.randn(sides[0] * sides[1], *filters.shape) * filters.detach().std()

    def forward(self, inputs: Tensor) -> Tensor:
        windows = functional.unfold(inputs, self._window, padding=self._window // 2)  # (B, window, places)
        maps = torch.einsum("bwp,pcw->bcp", windows, self._weight)
        return maps.reshape(len(inputs), -1, *inputs.shape[-2:])


def _shifted(images: Tensor, by: tuple[int, int], spec: DataSpec) -> Tensor:
    """Normalized images `(B, C, H, W)` moved down and right by so many pixels, with black where they were."""
    black = spec.from_pixels(torch.zeros_like(images))
    moved = torch.roll(images, by, dims=(2, 3))
    down, right = by
    rows, columns = torch.arange(images.shape[2]), torch.arange(images.shape[3])
    is_new_row = rows < down if down >= 0 else rows >= images.shape[2] + down
    is_new_column = columns < right if right >= 0 else columns >= images.shape[3] + right
    return torch.where(is_new_row[:, None] | is_new_column, black, moved)


def _difference(answer: Tensor, answer_to_shifted: Tensor, shift: int, margin: int) -> float:
    """The largest difference of maps `(B, C, H, W)`, the first moved right by `shift`, as far as no window was cut off."""
    rows = slice(margin, answer.shape[2] - margin)
    moved = answer[:, :, rows, margin : answer.shape[3] - margin - shift]
    return float((moved - answer_to_shifted[:, :, rows, margin + shift : answer.shape[3] - margin]).abs().max())


@torch.no_grad()
def _accuracy(task: Classification, images: Tensor, targets: Tensor, shift: int) -> float:
    """The accuracy on images shifted to each of the four sides, on average."""
    hits = 0.0
    directions = _DIRECTIONS if shift else _DIRECTIONS[:1]
    for down, right in directions:
        logits = task.model(_shifted(images, (shift * down, shift * right), task.spec)).float()
        hits += float((task.probabilities(logits).argmax(1) == targets).float().mean())
    return hits / len(directions)


def _parameters() -> dict[str, float]:
    """Of the lectures' first layer: shared, with own filters at each place, and fully connected, which torch counts too."""
    channels, filters, window, side = _LECTURE
    shared = count_parameters(nn.Conv2d(channels, filters, window, device="meta"))
    full = count_parameters(nn.Linear(channels * side**2, filters * side**2, device="meta"))
    return {
        "shared parameters": float(shared),
        "parameters without sharing": float(filters * side * side * (channels * window * window + 1)),
        "fully connected parameters": float(full),
        "times as many": filters * side * side * (channels * window * window + 1) / shared,
    }


def _listing(scalars: dict[str, float]) -> Picture:
    channels, filters, window, side = _LECTURE
    inside = f"({window} x {window} x {channels} + 1)"
    lines = [
        ("shared", f"{filters} x {inside}", scalars["shared parameters"]),
        ("own filters at each place", f"{filters} x {side} x {side} x {inside}", scalars["parameters without sharing"]),
        (
            "fully connected",
            f"{filters} x {side} x {side} x ({side} x {side} x {channels} + 1)",
            scalars["fully connected parameters"],
        ),
    ]
    shown = [("", f"{name:<28}{formula:<34}{number:>14,.0f}", "main") for name, formula, number in lines]
    title = f"Parameters of the first layer of the lectures, {side}x{side}x{channels} to {side}x{side}x{filters}"
    return Listing(shown, title)


def _picture(image: Tensor, moved: Tensor, answers: dict[str, tuple[Tensor, Tensor]], data: Data) -> Picture:
    """The image, and of each layer the map that varies most."""
    names = {"shared": "shared weights", "unshared": "own weights at each place"}
    maps: dict[str, tuple[ArrayLike, ArrayLike]] = {}
    for name, (first, second) in answers.items():
        channel = int(first.flatten(1).std(1).argmax())
        maps[names[name]] = (first[channel].numpy(), second[channel].numpy())
    pixels = [data.spec.to_pixels(each).mean(-3).clamp(0, 1).squeeze().numpy() for each in (image, moved)]
    return ShiftedAnswers(pixels[0], pixels[1], maps, "The same feature, wherever it is")
