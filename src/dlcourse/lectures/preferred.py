"""What a unit of a convolutional network prefers: where it looks, images made up for it, and the real ones it likes best.

B is a number of images, C of channels, H and W their height and width, U a number of units.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dlcourse.spec import DataSpec

Score = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Layer:
    """The units of one convolution, before their activation function, and what part of the image one of them sees.

    The unit in row i and column j of its map sees `side` pixels from `start + i * stride` and `start + j * stride` on.
    """

    module: nn.Module
    side: int
    start: int
    stride: int


def layers_of(blocks: nn.Sequential) -> list[Layer]:
    """The convolutions of a chain of layers, in order (arithmetic of receptive fields: Dumoulin 2016)."""
    found: list[Layer] = []
    side, start, stride = 1, 0, 1
    modules = list(blocks)
    for module, after in zip(modules, [*modules[1:], None], strict=True):
        if isinstance(module, nn.Conv2d):
            side += (module.kernel_size[0] - 1) * stride
            start -= int(module.padding[0]) * stride
            found.append(Layer(after if isinstance(after, nn.BatchNorm2d) else module, side, start, stride))
        elif isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
            factor = int(module.kernel_size)  # type: ignore[arg-type]
            side, stride = side + (factor - 1) * stride, stride * factor
    return found


@contextlib.contextmanager
def outputs_of(module: nn.Module) -> Iterator[list[Tensor]]:
    """Within this the latest output of the module is the only one in the list."""
    kept: list[Tensor] = []
    hook = module.register_forward_hook(lambda _module, _inputs, output: kept.__setitem__(slice(None), [output]))
    try:
        yield kept
    finally:
        hook.remove()


def center_unit(layer: Layer, model: nn.Module, kept: list[Tensor]) -> Score:
    """For U images the values `(U,)` of the units in the middle of map 0, 1, ..., a unit for each image."""

    def score(inputs: Tensor) -> Tensor:
        model(inputs)
        maps = kept[0]  # (U, C, H, W)
        units = torch.arange(len(maps))
        return maps[units, units, maps.shape[2] // 2, maps.shape[3] // 2]

    return score


def make_up(
    spec: DataSpec,
    score: Score,
    count: int,
    *,
    steps: int,
    shift: int = 0,
    smooth: float = 0.0,
    ink: float = 0.0,
    lr: float = 0.1,
    light: float = 0.5,
) -> Tensor:
    """Images `(count, C, H, W)` in [0, 1] that make `score(inputs) -> (count,)` large, by gradient ascent on their pixels.

    They start as noise about `light`. Each step sees them moved by up to `shift` pixels, so that no detail matters that
    stands on a single pixel; `smooth` weighs squared differences of neighbors and `ink` squared pixels against the score
    (Erhan 2009, "Visualizing Higher-Layer Features"; Olah 2017, "Feature Visualization").
    """
    start = (light + 0.02 * torch.randn(count, *spec.input_shape)).clamp(0.01, 0.99)
    pixels = start.logit().requires_grad_()
    optimizer = torch.optim.Adam([pixels], lr=lr)
    for _ in range(steps):
        down, right = torch.randint(-shift, shift + 1, (2,)).tolist()
        images = pixels.sigmoid()
        moved = images.roll((down, right), (2, 3))
        rough = images.diff(dim=2).square().sum((1, 2, 3)) + images.diff(dim=3).square().sum((1, 2, 3))
        loss = -(score(spec.from_pixels(moved)) - smooth * rough - ink * images.square().sum((1, 2, 3))).sum()
        (pixels.grad,) = torch.autograd.grad(loss, pixels)
        optimizer.step()
    return pixels.sigmoid().detach()


@torch.no_grad()
def liked_best(
    layer: Layer, model: nn.Module, inputs: Tensor, pictures: Tensor, units: int, count: int
) -> tuple[Tensor, Tensor]:
    """Of images the patches `(units, count, C, side, side)` that excite the first units most, and the highest values.

    `inputs` are the images `(B, C, H, W)` as the model sees them, `pictures` the same in [0, 1]. Of each image the one best
    patch counts. Values are `(units,)`.
    """
    with outputs_of(layer.module) as kept:
        found = []
        for part in inputs.split(250):
            model(part)
            found.append(kept[0][:, :units].flatten(2).max(2))
        width = kept[0].shape[3]
    values = torch.cat([each.values for each in found])  # (B, U)
    places = torch.cat([each.indices for each in found])
    best = values.topk(count, dim=0).indices  # (count, U)
    rows = [
        torch.stack(
            [patch(pictures[index], layer, *divmod(int(places[index, unit]), width)) for index in best[:, unit]]
        )
        for unit in range(units)
    ]
    return torch.stack(rows), values.amax(0)


def patch(image: Tensor, layer: Layer, row: int, column: int) -> Tensor:
    """The part `(C, side, side)` of an image `(C, H, W)` that a unit sees, at most the whole; black beyond the edge."""
    side = min(layer.side, *image.shape[1:])
    if side < layer.side:
        return image
    padded = nn.functional.pad(image, (side, side, side, side))
    top, left = (layer.start + place * layer.stride + side for place in (row, column))
    return padded[:, top : top + side, left : left + side]
