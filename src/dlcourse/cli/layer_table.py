"""The layers of a model as a table: what a forward pass meets, equal blocks told once, names indented as they nest."""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from dlcourse.models.layer_costs import LayerCost, repeated
from dlcourse.text_table import aligned

_HEADER = ("layer", "", "output", "parameters", "FLOPs", "formula of the parameters")
_LEFT = (0, 1, 5)
_PLAIN = 10_000
_UNITS = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def layer_table(costs: Sequence[LayerCost]) -> list[str]:
    """A header, a line for each layer that has parameters or FLOPs or gives another shape than it takes, and the sums.

    A line of a module with layers inside has what is its own: the scores of attention, say. `blocks.0-5` are six equal
    blocks; their lines have the parameters and FLOPs of all six.
    """
    rows = collapsed([cost for cost in costs if _is_shown(cost, costs)])
    lines = [_HEADER, *_indented(rows)]
    lines.append(("total", "", "", f"{sum(row.parameters for row in rows):,}", _short_sum(rows), ""))
    return aligned(lines, left=_LEFT)


def collapsed(rows: Sequence[LayerCost]) -> list[LayerCost]:
    """The rows with each series of equal blocks, which are modules with layers inside, as one block of them all."""
    return _collapsed(list(rows), 0)


def short(number: float) -> str:
    """Four digits and a unit: `1,600`, `451.6 k`, `7.225 M`, `734.8 T`."""
    if number < _PLAIN:
        return f"{number:,.0f}"
    size, unit = next((size, unit) for size, unit in _UNITS if number >= size)
    return f"{number / size:#.4g}".rstrip(".") + f" {unit}"


def _is_shown(cost: LayerCost, costs: Sequence[LayerCost]) -> bool:
    if cost.parameters or cost.flops:
        return True
    return cost.changes_shape and bool(cost.name) and not _has_layers(cost, costs)


def _has_layers(cost: LayerCost, costs: Sequence[LayerCost]) -> bool:
    return any(other.name.startswith(f"{cost.name}.") for other in costs)


def _collapsed(rows: list[LayerCost], depth: int) -> list[LayerCost]:
    """The same for the parts of the names from `depth` on."""
    blocks = [list(block) for _, block in groupby(rows, key=lambda row: row.name.split(".")[: depth + 1])]
    merged: list[tuple[list[LayerCost], int]] = []
    for block in blocks:
        if merged and _follows(merged[-1], block, depth):
            merged[-1] = (merged[-1][0], merged[-1][1] + 1)
        else:
            merged.append((block, 1))
    found: list[LayerCost] = []
    for block, count in merged:
        if len(block) > 1 or len(block[0].name.split(".")) > depth + 1:
            block = _collapsed(block, depth + 1)
        found += [_times(row, count, depth) for row in block]
    return found


def _follows(before: tuple[list[LayerCost], int], block: list[LayerCost], depth: int) -> bool:
    """Whether a block is the next in a series of equal ones: `blocks.3` after `blocks.0`, which stands for three."""
    first, count = before
    stem, number = _numbered(first[0], depth)
    is_next = number is not None and _numbered(block[0], depth) == (stem, number + count)
    has_layers = all(len(row.name.split(".")) > depth + 1 for row in block)
    return is_next and has_layers and [_content(row, depth) for row in first] == [_content(row, depth) for row in block]


def _numbered(row: LayerCost, depth: int) -> tuple[str, int | None]:
    """The name up to a number that ends it at this depth, and the number."""
    name = ".".join(row.name.split(".")[: depth + 1])
    found = re.fullmatch(r"(.*?)(\d+)", name)
    return (found[1], int(found[2])) if found else (name, None)


def _content(row: LayerCost, depth: int) -> LayerCost:
    return dataclasses.replace(row, name=".".join(row.name.split(".")[depth + 1 :]))


def _times(row: LayerCost, count: int, depth: int) -> LayerCost:
    """The row of a block for so many equal ones."""
    if count == 1:
        return row
    stem, number = _numbered(row, depth)
    assert number is not None
    inside = row.name.split(".")[depth + 1 :]
    return dataclasses.replace(
        row,
        name=".".join([f"{stem}{number}-{number + count - 1}", *inside]),
        parameters=count * row.parameters,
        formula=repeated(count, row.formula),
        flops=count * row.flops,
    )


def _indented(rows: Sequence[LayerCost]) -> Iterator[tuple[str, ...]]:
    """The cells of each row, and before it a line for each module it is inside of that no line is there for yet."""
    above: list[str] = []
    for row in rows:
        path = _path(row.name)
        shared = next((place for place, pair in enumerate(zip(path, above, strict=False)) if pair[0] != pair[1]), None)
        shared = min(len(path), len(above)) if shared is None else shared
        for depth in range(shared, len(path) - 1):
            yield ("  " * depth + path[depth], *[""] * 5)
        above = path
        name = "  " * (len(path) - 1) + path[-1] if row.name else row.kind
        yield (name, row.kind if row.name else "", *_numbers(row))


def _path(name: str) -> list[str]:
    """The parts by which a name is indented; a number stays with what it counts: `decoder`, `blocks.0-5`, `attention`."""
    parts: list[str] = []
    for part in name.split("."):
        if parts and re.fullmatch(r"[\d-]+", part):
            parts[-1] += f".{part}"
        else:
            parts.append(part)
    return parts


def _numbers(row: LayerCost) -> tuple[str, ...]:
    return (
        "x".join(f"{size:,}" for size in row.shape),
        f"{row.parameters:,}" if row.parameters else "",
        short(row.flops) if row.flops else "",
        row.formula,
    )


def _short_sum(rows: Sequence[LayerCost]) -> str:
    return short(sum(row.flops for row in rows))
