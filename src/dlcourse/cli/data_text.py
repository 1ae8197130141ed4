"""The lines of `dlcourse data show`: splits, classes or values, columns, an excerpt, and everything odd."""

import itertools
import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dlcourse.cli.data_view import View
from dlcourse.data.checks.finding import needs_correction
from dlcourse.data.checks.splits import splits
from dlcourse.data.split import targets_of
from dlcourse.terminal import escaped
from dlcourse.text_table import aligned
from dlcourse.tokens import tokenizer_of
from dlcourse.training.run_report import describe_data

if TYPE_CHECKING:
    from dlcourse.spec import Batch, Data

_MOST_CLASSES, _MOST_COLUMNS, _EXAMPLES = 30, 40, 3
_BAR = 30  # characters
_BINS = 10
_LONG = 66


def lines(view: View) -> Iterator[str]:
    """Everything about the data, line by line; no line is empty or has a control character in it."""
    if view.data is None:
        yield f"data   {view.problem}"
    else:
        yield f"data   {describe_data(view.data)}"
        yield from (f"note   {note}" for note in view.data.notes)
    if view.counts:
        yield from _table("class", view.counts)
    elif view.data is not None and view.data.spec.target == "value":
        yield from _table("target", _binned(view.data))
    yield from _columns(view)
    if view.data is not None:
        yield from _excerpt(view.data)


def odd_lines(view: View) -> Iterator[str]:
    """A line for each thing that is odd, or one line if nothing is."""
    yield from (f"odd    {escaped(str(finding), one_line=True)}" for finding in view.findings)
    if not view.findings:
        yield "odd    nothing found"


def _table(head: str, counts: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """A row for each class or range: examples in each split, and a bar for its share of training."""
    parts = list(counts)
    names = list(dict.fromkeys(name for of in counts.values() for name in of))
    largest = max((counts[parts[0]].get(name, 0) for name in names), default=0)
    rows = [(head, *parts, "")]
    for name in names[:_MOST_CLASSES]:
        numbers = [counts[part].get(name, 0) for part in parts]
        bar = "#" * math.ceil(_BAR * numbers[0] / largest) if largest else ""
        rows.append((escaped(name, one_line=True)[:_LONG], *(f"{number:,}" for number in numbers), bar))
    yield from aligned(rows, left=(0, len(parts) + 1))
    if len(names) > _MOST_CLASSES:
        yield f"... and {len(names) - _MOST_CLASSES:,} more classes"


def _binned(data: "Data") -> dict[str, dict[str, int]]:
    """How many values of the first target fall into each of ten ranges, in each split; one range if all are the same."""
    values = {part: targets_of(split).reshape(len(split), -1)[:, 0].double() for part, split in splits(data).items()}
    every = torch.cat(list(values.values()))
    low, high = every.min().item(), every.max().item()
    count = _BINS if low < high else 1
    edges = torch.linspace(low, high, count + 1, dtype=torch.float64)
    names = _ranges(edges.tolist())
    found = {}
    for part, of in values.items():
        bins = torch.bucketize(of, edges[1:-1].contiguous())
        found[part] = dict(zip(names, torch.bincount(bins, minlength=count).tolist(), strict=True))
    return found


def _ranges(edges: Sequence[float]) -> list[str]:
    """`37 to 67.4` for each pair of neighbors, with as many digits as tell the ranges apart."""
    names: list[str] = []
    for digits in range(4, 18):
        names = [f"{low:.{digits}g} to {high:.{digits}g}" for low, high in itertools.pairwise(edges)]
        if len(set(names)) == len(names):
            break
    return names


def _columns(view: View) -> Iterator[str]:
    """A row for each column of a table: its kind, its range or values, and how many are missing."""
    rows: list[tuple[str, str, str, str, str]] = [
        (profile.name, profile.kind, profile.reach, f"{profile.distinct:,}", f"{len(profile.missing_rows):,}")
        for profile in view.profiles
    ]
    if not rows and view.data is not None and _is_table(view.data):
        rows = list(_features(view.data))
    if rows:
        shown = [tuple(_short(cell) for cell in row) for row in rows[:_MOST_COLUMNS]]
        yield from aligned([("column", "holds", "values", "different", "missing"), *shown], left=(0, 1, 2))
    if len(rows) > _MOST_COLUMNS:
        yield f"... and {len(rows) - _MOST_COLUMNS:,} more columns"


def _is_table(data: "Data") -> bool:
    return len(data.spec.input_shape) == 1 and not data.spec.is_tokens


def _features(data: "Data") -> Iterator[tuple[str, str, str, str, str]]:
    inputs = torch.cat([batch.inputs for batch in data.train.batches(4096)]).double()  # (N, F)
    for name, column in zip(data.spec.feature_labels, inputs.unbind(1), strict=True):
        reach = f"{column.min().item():.4g} to {column.max().item():.4g}, mean {column.mean().item():.4g}"
        yield name, "numbers", reach, f"{len(column.unique()):,}", "0"


def _excerpt(data: "Data") -> Iterator[str]:
    """The first examples of training, if they are text, sequences of numbers or starts of games."""
    batch = next(data.train.batches(_EXAMPLES))
    if data.spec.is_tokens:
        yield from _texts(data, batch)
    elif len(data.spec.input_shape) == 2 or data.spec.environment:
        for inputs, target in zip(batch.inputs[:_EXAMPLES], batch.targets[:_EXAMPLES], strict=True):
            yield f"example {_numbers(inputs)}" + (f" -> {_target(data, target)}" if target.numel() else "")


def _texts(data: "Data", batch: "Batch") -> Iterator[str]:
    decode = tokenizer_of(data.spec).decode
    if data.spec.target == "next":
        tokens = batch.inputs[0].tolist()
        yield f"text   {_short(repr(decode(tokens)))}"
        yield f"tokens {_short(' '.join(repr(data.spec.vocabulary[token]) for token in tokens[:20]))}"
        return
    for inputs, target in zip(batch.inputs[:_EXAMPLES], batch.targets[:_EXAMPLES], strict=True):
        if data.spec.target == "preference":
            first, second = (repr(decode(part.tolist())) for part in inputs.chunk(2))
            yield f"pair   {first} or {second}: the {'second' if target.item() else 'first'}"
        else:
            yield f"text   {_short(repr(decode(inputs.tolist())))} -> {_target(data, target)}"


def _target(data: "Data", target: Tensor) -> str:
    if data.spec.target == "class":
        return data.spec.class_names[int(target)]
    if data.spec.target == "sequence":
        return _short(repr(tokenizer_of(data.spec).decode(target.tolist())))
    return _numbers(target)


def _numbers(values: Tensor) -> str:
    """The first rows of an example as text: `[[0.5, 1], [0.25, 0], ...]`."""
    flat = values.reshape(-1)
    shown = ", ".join(f"{value:.3g}" for value in flat[:8].tolist())
    shape = f" (shape {' x '.join(map(str, values.shape))})" if values.ndim > 1 else ""
    return f"[{shown}{', ...' if len(flat) > 8 else ''}]{shape}"


def _short(text: str) -> str:
    text = escaped(text, one_line=True)
    return text if len(text) <= _LONG else f"{text[: _LONG - 3]}..."


def refusal(view: View) -> Iterator[str]:
    """A line if training refuses the data with any options."""
    if (view.data is None and not view.needs_target) or needs_correction(view.findings):
        yield "fix    dlcourse train refuses this data until it is corrected"


def command_line(choice: Sequence[str], view: View) -> str:
    """The command that trains on the data, with the options that they need."""
    spec = view.data.spec if view.data is not None else None
    if spec is None:
        model = {"images": "cnn", "text": "transformer"}.get(view.config.data.name, "mlp")
    elif spec.is_image:
        model = "cnn"
    elif spec.is_tokens:
        model = "transformer" if spec.target == "next" else "gru"
    else:
        model = "mlp" if spec.target == "class" else "linreg"
    kept = [word for word in choice if word.partition("=")[0].removeprefix("data.") not in view.fixes]
    target = ["data.target=COLUMN"] if view.needs_target else []
    return " ".join(["dlcourse train", *map(shlex.quote, kept), *target, *view.fix_words, f"model={model}"])
