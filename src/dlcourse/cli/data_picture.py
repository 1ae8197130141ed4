"""The picture of `dlcourse data show --out`: examples, the same as augmented, the balance of the classes, columns."""

from collections.abc import Iterator

import torch

from dlcourse.cli.data_view import View
from dlcourse.data.checks.splits import splits
from dlcourse.data.looks import augmented, spread
from dlcourse.data.split import targets_of
from dlcourse.errors import ConfigError
from dlcourse.plots import Collage, Excerpts, ImageGrid, LineChart, LineCharts, Picture
from dlcourse.plots.data_sheet import ClassBalance, Histograms, LabelledPoints
from dlcourse.spec import Data
from dlcourse.tokens import tokenizer_of

_IMAGES, _COLUMNS, _LINES, _NUMBERS = 20, 12, 4, 3
_MOST_POINTS = 2000


def picture_of(view: View, name: str) -> Picture:
    """All that can be drawn of the data; raises ConfigError if they cannot be built yet."""
    if view.data is None:
        raise ConfigError(f"--out: there is no picture of '{name}' yet: {view.problem}")
    parts = list(_parts(view.data, name))
    if view.counts:
        parts.append(ClassBalance(view.counts))
    return Collage([[part] for part in parts], margin=8)


def _parts(data: Data, name: str) -> Iterator[Picture]:
    if data.spec.is_image:
        yield from _images(data, name)
    elif data.spec.is_tokens:
        yield _excerpts(data, name)
    elif len(data.spec.input_shape) == 2:
        yield _sequences(data, name)
    elif data.spec.is_points and data.spec.class_names:
        yield _points(data)
    else:
        yield _histograms(data, name)


def _images(data: Data, name: str) -> Iterator[Picture]:
    targets = targets_of(data.train)
    chosen = spread(targets, len(data.spec.class_names), _IMAGES)
    images = data.train.pictures(chosen)
    assert images is not None
    labels = [_label(data, target) for target in targets[chosen]]
    yield ImageGrid(images, labels, f"{name}: training examples", columns=10)
    changed = augmented(data.train, chosen, data.spec)
    if changed is not None:
        yield ImageGrid(changed, labels, "The same as training sees them in its first epoch (data.augment)", columns=10)


def _label(data: Data, target: torch.Tensor) -> str:
    if data.spec.class_names:
        return data.spec.class_names[int(target)]
    rest = ", ..." if target.numel() > _NUMBERS else ""
    return ", ".join(f"{value:.3g}" for value in target.flatten()[:_NUMBERS].tolist()) + rest


def _excerpts(data: Data, name: str) -> Picture:
    decode = tokenizer_of(data.spec).decode
    columns = {}
    for part, split in splits(data).items():
        batch = next(split.batches(10))
        columns[part] = [repr(decode(tokens.tolist()))[1:-1] for tokens in batch.inputs]
    return Excerpts(columns, f"{name}: the first examples of each split")


def _sequences(data: Data, name: str) -> Picture:
    batch = next(data.train.batches(_LINES))
    charts = [
        LineChart(
            {f"x{number + 1}": (range(len(inputs)), series) for number, series in enumerate(inputs.T[:5])},
            x="step",
            y="input",
            title=f"target {_label(data, target)}",
        )
        for inputs, target in zip(batch.inputs[:_LINES], batch.targets[:_LINES], strict=True)
    ]
    return LineCharts(charts, title=f"{name}: training examples")


def _points(data: Data) -> Picture:
    parts = {}
    for part, split in splits(data).items():
        batch = next(split.batches(_MOST_POINTS))
        parts[part] = (batch.inputs, batch.targets)
    first, second = data.spec.feature_labels
    return LabelledPoints(parts, data.spec.class_names, (first, second))


def _histograms(data: Data, name: str) -> Picture:
    columns: dict[str, dict[str, torch.Tensor]] = {}
    for part, split in (("train", data.train), ("test", data.test)):  # validation is a part of training by another name
        inputs = torch.cat([batch.inputs for batch in split.batches(4096)])  # (N, F)
        for label, values in zip(data.spec.feature_labels[:_COLUMNS], inputs.T[:_COLUMNS], strict=True):
            columns.setdefault(label, {})[part] = values
        if data.spec.target == "value":
            columns.setdefault("the target", {})[part] = targets_of(split).reshape(len(split), -1)[:, 0]
    rest = data.spec.num_features - _COLUMNS
    more = f", the first {_COLUMNS} of {data.spec.num_features:,}" if rest > 0 else ""
    return Histograms(columns, f"{name}: columns{more}, as shares of each split")
