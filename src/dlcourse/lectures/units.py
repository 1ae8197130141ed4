"""What the units of a trained convolutional network prefer, from the first layer to the classes, and where it looks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from dlcourse.config.options import Count, Range
from dlcourse.errors import ConfigError
from dlcourse.lectures.finished import Finished
from dlcourse.lectures.preferred import Layer, center_unit, layers_of, liked_best, make_up, outputs_of, patch
from dlcourse.lectures.several import required
from dlcourse.metrics.report import Report
from dlcourse.models.convolutions import first_filters, grad_cam, heat
from dlcourse.plots import ImageRow, ImageRows
from dlcourse.spec import DataSpec, Split

_SIDE = 3
"""Of the square of real images beside each made-up one."""
_RED = (1.0, 0.2, 0.0)
_STRENGTH = 0.75
_STARTS = 3
"""Images that are made up for each class, as some end in a poor local maximum."""
_SMALL = 8
"""Up to so many pixels along a side there is nothing to smooth in what a unit sees."""
_SMOOTH = 0.01


def units(
    runs: Sequence[Finished],
    units: Annotated[int, Range(ge=1, le=10)] = 8,
    steps: Count = 96,
    examples: Annotated[int, Range(ge=50)] = 500,
) -> Report:
    """Images made up for units of each convolution and for each class of one run of model=cnn, and its Grad-CAM.

    A unit is compared with the best of the first `examples` test images, a class with the best of all. Grad-CAM is tested by
    blackening the tenth of the pixels that it points to, and a random tenth.
    """
    (run,) = required(runs, 1)
    opened, data = run.open(), run.data()
    model, spec = opened.task.model, opened.spec
    blocks = getattr(model, "blocks", None)
    if not isinstance(blocks, nn.Sequential) or spec.target != "class" or not spec.pixel_mean:
        raise ConfigError(f"lecture.runs: the figure needs a run of model=cnn on images with classes, got {run.folder}")
    model.requires_grad_(False)
    seen = _Seen.of(data.test, spec, examples)
    rows, scalars = _filters(model), run.numbers()
    layers = layers_of(blocks)
    found = [_of_layer(number, layer, model, spec, seen, units, steps) for number, layer in enumerate(layers, start=1)]
    for of_layer in found:
        rows += of_layer.rows
        scalars |= of_layer.scalars
    scalars |= {
        "units": float(sum(of_layer.count for of_layer in found)),
        "units driven past the best image": float(sum(of_layer.passed for of_layer in found)),
        "excess of the last layer over the first": found[-1].excess / found[0].excess,
    }
    class_rows, class_scalars = _classes(model, spec, data.test, steps)
    cam_rows, cam_scalars = _grad_cam(model, spec, seen)
    return Report(scalars | class_scalars | cam_scalars, pictures={"units": ImageRows([*rows, *class_rows, *cam_rows])})


@dataclass(frozen=True, eq=False)
class _Seen:
    """Test images as the model sees them and as pictures in [0, 1], with their classes."""

    inputs: Tensor
    pictures: Tensor
    classes: Tensor

    @classmethod
    def of(cls, split: Split, spec: DataSpec, count: int) -> "_Seen":
        inputs, classes = next(split.batches(count))
        return cls(inputs, spec.to_pixels(inputs), classes)


@dataclass(frozen=True)
class _OfLayer:
    """What was found of the units of a layer; `excess` is the median of how far they were driven past the best image."""

    rows: list[ImageRow]
    scalars: dict[str, float]
    count: int
    passed: int
    excess: float


def _filters(model: nn.Module) -> list[ImageRow]:
    weights = first_filters(model)
    if weights is None:
        return []
    shown = weights[:10].mean(1, keepdim=True)
    size = f"{shown.shape[2]}x{shown.shape[3]} pixels"
    title = f"filters of the first convolution, {size} (red: ink excites, blue: ink inhibits)"
    return [ImageRow(title, shown.numpy(), signed=True)]


def _of_layer(
    number: int, layer: Layer, model: nn.Module, spec: DataSpec, seen: _Seen, units: int, steps: int
) -> _OfLayer:
    with outputs_of(layer.module) as kept:
        score = center_unit(layer, model, kept)
        deep = layer.side > _SMALL
        images = make_up(spec, score, units, steps=steps, shift=int(deep), smooth=_SMOOTH * deep)
        with torch.no_grad():
            reached = score(spec.from_pixels(images))
            middle = kept[0].shape[2] // 2, kept[0].shape[3] // 2
    patches, best = liked_best(layer, model, seen.inputs, seen.pictures, units, _SIDE**2)
    made_up = torch.stack([patch(image, layer, *middle) for image in images])
    side = made_up.shape[-1]
    ratio = float((reached / best).median())
    title = f"layer {number}: a unit sees {side}x{side} pixels"
    rows = [
        ImageRow(f"{title}; made up to excite it", made_up.numpy(), [f"{r:.1f}x" for r in (reached / best).tolist()]),
        ImageRow(f"layer {number}: the nine test patches it likes best", _squares(patches).numpy()),
    ]
    passed = int((reached > best).sum())
    return _OfLayer(
        rows, {f"excess in layer {number}": ratio, f"pixels in layer {number}": float(side)}, units, passed, ratio
    )


def _squares(patches: Tensor) -> Tensor:
    """Nine patches `(U, 9, C, h, w)` of each unit as one image `(U, C, 3h + gaps, 3w + gaps)`."""
    number, _, channels, height, width = patches.shape
    gap = max(1, height // 8)
    framed = nn.functional.pad(patches, (0, gap, 0, gap), value=1.0)
    square = framed.view(number, _SIDE, _SIDE, channels, height + gap, width + gap).permute(0, 3, 1, 4, 2, 5)
    return square.reshape(number, channels, _SIDE * (height + gap), _SIDE * (width + gap))[..., :-gap, :-gap]


def _best_for_classes(model: nn.Module, spec: DataSpec, steps: int) -> Tensor:
    """An image `(K, C, H, W)` for each class: of several starts the one that ends with the highest logit."""
    wanted = torch.arange(spec.num_outputs).repeat(_STARTS)
    places = torch.arange(len(wanted))

    def score(inputs: Tensor) -> Tensor:
        logits: Tensor = model(inputs)
        return logits[places, wanted]

    images = make_up(spec, score, len(wanted), steps=2 * steps, shift=2, smooth=0.03, ink=0.005)
    with torch.no_grad():
        reached = score(spec.from_pixels(images)).view(_STARTS, spec.num_outputs)
    best = reached.argmax(0)  # (K,)
    return images.view(_STARTS, spec.num_outputs, *spec.input_shape)[best, torch.arange(spec.num_outputs)]


def _classes(model: nn.Module, spec: DataSpec, test: Split, steps: int) -> tuple[list[ImageRow], dict[str, float]]:
    classes = torch.arange(spec.num_outputs)
    images = _best_for_classes(model, spec, steps)
    with torch.no_grad():
        logits = model(spec.from_pixels(images))
        real = torch.cat([model(batch.inputs) for batch in test.batches(500)])
    shares = logits.softmax(1)[classes, classes]
    above = (logits[classes, classes] > real.amax(0)).sum()
    captions = [
        f"{name}: {share:.1%}".replace("%", " %") for name, share in zip(spec.class_names, shares.tolist(), strict=True)
    ]
    scalars = {
        "classes": float(len(classes)),
        "classes recognized": float((shares >= 0.99).sum()),
        "classes above all test images": float(above),
        "least probability of a made-up class": float(shares.min()),
    }
    return [ImageRow("output: made up for each class", images.numpy(), captions)], scalars


def _grad_cam(model: nn.Module, spec: DataSpec, seen: _Seen) -> tuple[list[ImageRow], dict[str, float]]:
    own = seen.classes[:, None]
    found = grad_cam(model, seen.inputs, lambda logits: logits.gather(1, own)[:, 0])
    assert found is not None, "a cnn has maps"
    hot = heat(found, *spec.input_shape[1:])  # (B, H, W)
    scalars = {
        "probability of the true class": _probability(model, seen.inputs, own),
        "without a random tenth": _probability(model, _blackened(spec, seen.inputs, torch.rand_like(hot)), own),
        "without the hottest tenth": _probability(model, _blackened(spec, seen.inputs, hot), own),
    }
    scalars["points that the hottest tenth costs more"] = 100 * (
        scalars["without a random tenth"] - scalars["without the hottest tenth"]
    )
    is_hot = found.amax((1, 2)) > 0
    firsts = [int(((seen.classes == index) & is_hot).int().argmax()) for index in seen.classes.unique().tolist()][:10]
    gray = seen.pictures[firsts].mean(1, keepdim=True)
    share = _STRENGTH * hot[firsts][:, None]
    mixed = (1 - share) * gray + share * torch.tensor(_RED)[:, None, None]
    return [ImageRow("Grad-CAM: red speaks for the class", mixed.numpy())], scalars


def _blackened(spec: DataSpec, inputs: Tensor, order: Tensor) -> Tensor:
    """The images with the tenth of their pixels black that are largest in `order` `(B, H, W)`."""
    flat = order.flatten(1)
    largest = flat.topk(flat.shape[1] // 10).indices
    gone = torch.zeros_like(flat).scatter(1, largest, 1.0).view_as(order)[:, None].bool()
    return torch.where(gone, spec.from_pixels(torch.zeros_like(inputs[:1])), inputs)


@torch.no_grad()
def _probability(model: nn.Module, inputs: Tensor, classes: Tensor) -> float:
    """That of the true classes `(B, 1)`, in the mean."""
    return float(model(inputs).softmax(1).gather(1, classes).mean())
