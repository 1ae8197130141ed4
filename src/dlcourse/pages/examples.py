"""A few training examples of a run's data, read again without downloading anything; the test set is not looked at.

T is a number of steps in a sequence, C, H, W are an image's channels, height and width.
"""

import dataclasses
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dlcourse.config.registry import Choice
from dlcourse.config.run_config import RunConfig
from dlcourse.device import cpu
from dlcourse.errors import UserError
from dlcourse.pages.parts import Figure, Table, Text
from dlcourse.spec import Batch, Data, DataSpec
from dlcourse.tokens import END, PAD, SPECIAL, tokenizer_of
from dlcourse.training.build import build_data
from dlcourse.training.registries import with_plugins

_SAME = ("input_shape", "target", "class_names", "feature_names", "vocabulary")
"""What of the data must be as the run has found it."""
_IMAGES, _ROWS, _COLUMNS, _WINDOWS = 12, 6, 8, 12
_LOOKED_AT = 240
"""Training examples among which one of each class is looked for."""
_LONGEST_SIDE = 160
_EXCERPT = 450
_SEQUENCE = 12


@dataclass(frozen=True)
class Examples:
    """Images, or a table, or a text; `missing` says why there are none."""

    images: tuple[Figure, ...] = ()
    table: Table | None = None
    text: Text | None = None
    missing: str = ""


def read_examples(config: RunConfig, spec: DataSpec, size: int | None) -> Examples:
    """Training examples of the run's data; `spec` and `size` are what these announced and how many examples they had."""
    try:
        with_plugins()["data"].check(config.data)
        data = build_data(_offline(config), cpu())
        changed = [name for name in _SAME if getattr(data.spec, name) != getattr(spec, name)]
        if changed or size not in (None, len(data.train)):
            return Examples(missing="No examples: the data are not those that the run was trained on any more.")
        return chosen(data)
    except (UserError, OSError) as error:
        return Examples(missing=f"No examples: the data cannot be read any more ({str(error).partition(';')[0]}).")


def _offline(config: RunConfig) -> RunConfig:
    options = dict(config.data.options)
    if "download" in options:
        options["download"] = False
    return dataclasses.replace(config, data=Choice(config.data.name, options))


def chosen(data: Data) -> Examples:
    """The first training examples, of images with as many classes as there are."""
    spec = data.spec
    if spec.is_image:
        return Examples(images=tuple(_images(data)))
    if spec.target == "next":
        return Examples(text=_excerpt(next(iter(data.train.batches(_WINDOWS))), spec))
    return Examples(table=_table(next(iter(data.train.batches(_ROWS))), spec))


def _images(data: Data) -> list[Figure]:
    batch = next(iter(data.train.batches(min(_LOOKED_AT, len(data.train)))))
    places = in_turn(batch.targets.tolist(), _IMAGES) if data.spec.target == "class" else list(range(_IMAGES))
    places = places[: len(batch.targets)]
    pixels = data.train.pictures(torch.tensor(places))  # (n, C, H, W)
    if pixels is None:
        pixels = data.spec.to_pixels(batch.inputs[places])
    return [
        _image(image, _target(batch.targets[place], data.spec)) for image, place in zip(pixels, places, strict=True)
    ]


def in_turn(targets: Sequence[int], count: int) -> list[int]:
    """The places of so many examples: the first of each class, then the second of each, and so on."""
    seen: dict[int, int] = defaultdict(int)
    ranked = []
    for place, target in enumerate(targets):
        ranked.append((seen[target], target, place))
        seen[target] += 1
    return [place for _, _, place in sorted(ranked)[:count]]


def _image(pixels: Tensor, label: str) -> Figure:
    """A small PNG picture of an image `(C, H, W)` in [0, 1]."""
    from PIL import Image

    levels = (pixels.clamp(0, 1) * 255).round().to(torch.uint8)
    levels = levels if len(levels) in (1, 3) else levels[:1]
    image = Image.fromarray(levels.permute(1, 2, 0).squeeze(2).numpy())  # (C, H, W) -> (H, W, C), or (H, W) if gray
    image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    content = io.BytesIO()
    image.save(content, format="png")
    return Figure("", label, f"Training example: {label}", label, content.getvalue(), *image.size)


def _target(target: Tensor, spec: DataSpec) -> str:
    """A target in words: the name of a class, numbers, or a sequence of tokens."""
    if spec.target == "class":
        return spec.class_names[int(target)]
    if spec.target == "preference":
        return "the second" if int(target) else "the first"
    if spec.target == "sequence":
        return _tokens(target.tolist(), spec)
    return ", ".join(f"{value:.4g}" for value in target.flatten().tolist()[:_COLUMNS])


def _tokens(tokens: Sequence[int], spec: DataSpec) -> str:
    """Tokens as text, without what fills up their sequence."""
    is_filled = spec.vocabulary[: len(SPECIAL)] == SPECIAL
    return tokenizer_of(spec).decode([token for token in tokens if not (is_filled and token in (PAD, END))])


def _excerpt(batch: Batch, spec: DataSpec) -> Text:
    """The beginning of the training text, from windows `(B, T)` that follow each other."""
    text = tokenizer_of(spec).decode(batch.inputs.flatten().tolist())
    return Text("The beginning of the training text", "", f"{text[:_EXCERPT]}{'…' if len(text) > _EXCERPT else ''}")


def _table(batch: Batch, spec: DataSpec) -> Table:
    """A row for each example: its features, or its sequence in one cell."""
    targets = [_target(target, spec) for target in batch.targets]
    if spec.is_tokens:
        rows = [[_tokens(inputs.tolist(), spec), target] for inputs, target in zip(batch.inputs, targets, strict=True)]
        return Table.of("Training examples", ["Input", "Target"], rows, words=(0, 1))
    if len(spec.input_shape) > 1:  # (T, features)
        rows = [[_sequence(inputs), target] for inputs, target in zip(batch.inputs, targets, strict=True)]
        return Table.of("Training examples", ["Sequence", "Target"], rows, words=(0, 1))
    names = spec.feature_labels[:_COLUMNS]
    left_out = spec.num_features - len(names)
    rows = [
        [*(f"{value:.4g}" for value in inputs[: len(names)].tolist()), target]
        for inputs, target in zip(batch.inputs, targets, strict=True)
    ]
    head = [*names, "target"]
    if spec.environment:  # the start of a game has no target
        head, rows = head[:-1], [row[:-1] for row in rows]
    note = f"{left_out:,} of the {spec.num_features:,} columns are left out." if left_out else ""
    words = (len(names),) if spec.target == "class" else ()
    return Table.of("Training examples", head, rows, words=words, note=note)


def _sequence(inputs: Tensor) -> str:
    """The first numbers of a sequence `(T, features)`."""
    numbers = inputs.flatten().tolist()
    rest = f", … ({len(numbers):,} numbers)" if len(numbers) > _SEQUENCE else ""
    return ", ".join(f"{value:.4g}" for value in numbers[:_SEQUENCE]) + rest
