"""The table of a model's layers: which rows, equal blocks told once, names indented as they nest."""

import dataclasses

import pytest

from dlcourse.cli.layer_table import collapsed, layer_table, short
from dlcourse.models.layer_costs import LayerCost


def layer(
    name: str, parameters: int = 6, flops: int = 100, kind: str = "Linear", *, changes: bool = False
) -> LayerCost:
    formula = f"{parameters // 2} + {parameters // 2}" if parameters else ""
    return LayerCost(name, kind, (4,), changes, parameters, formula, flops)


def container(name: str, flops: int = 0) -> LayerCost:
    return layer(name, 0, flops, "Block", changes=True)


def names(rows: list[LayerCost]) -> list[str]:
    return [row.name for row in collapsed(rows)]


def test_rows_are_indented_and_summed() -> None:
    costs = [
        container(""),
        container("encoder"),
        layer("encoder.embedding", 20, 0, "Embedding"),
        container("encoder.attention", 12_345),
        layer("encoder.attention.output"),
        container("head"),
        layer("head.0", 0, 0, "Flatten", changes=True),
        layer("head.1", 0, 0, "ReLU"),
        layer("head.2"),
    ]
    assert layer_table(costs) == [
        "layer                   output  parameters    FLOPs  formula of the parameters",
        "encoder",
        "  embedding  Embedding       4          20           10 + 10",
        "  attention  Block           4              12.35 k",
        "    output   Linear          4           6      100  3 + 3",
        "head.0       Flatten         4",
        "head.2       Linear          4           6      100  3 + 3",
        "total                                   32  12.54 k",
    ]


def test_what_a_model_computes_outside_of_its_layers_has_its_name() -> None:
    lines = layer_table([container("", 50), layer("layer")])
    assert lines[1].split() == ["Block", "4", "50"]
    assert lines[-1].split() == ["total", "6", "150"]


def test_equal_blocks_are_one_with_the_sums_of_all() -> None:
    rows = [layer(f"blocks.{block}.{name}") for block in range(3) for name in ("first", "second")]
    assert collapsed(rows) == [
        dataclasses.replace(layer(f"blocks.0-2.{name}"), parameters=18, formula="3 x (3 + 3)", flops=300)
        for name in ("first", "second")
    ]


@pytest.mark.parametrize(
    "other",
    [
        layer("blocks.1.first", parameters=8),
        layer("blocks.1.first", flops=1),
        layer("blocks.1.first", kind="Conv2d"),
        layer("blocks.1.other"),
        layer("blocks.2.first"),
        layer("others.1.first"),
    ],
)
def test_blocks_that_differ_stay_apart(other: LayerCost) -> None:
    assert names([layer("blocks.0.first"), other]) == ["blocks.0.first", other.name]


def test_single_layers_are_no_blocks() -> None:
    assert names([layer("layers.1"), layer("layers.2")]) == ["layers.1", "layers.2"]


def test_blocks_inside_of_blocks_and_names_that_end_in_a_number() -> None:
    rows = [layer(f"net.stage_{stage}.units.{unit}.conv") for stage in (1, 2) for unit in (0, 1)]
    (row,) = collapsed(rows)
    assert (row.name, row.parameters, row.flops) == ("net.stage_1-2.units.0-1.conv", 24, 400)
    assert row.formula == "2 x (2 x (3 + 3))"
    assert [line.split()[0] for line in layer_table(rows)[1:-1]] == ["net", "stage_1-2", "units.0-1", "conv"]


def test_a_series_begins_anew_after_another_block() -> None:
    rows = [layer(f"blocks.{block}.a", parameters=8 if block == 2 else 6) for block in range(5)]
    assert names(rows) == ["blocks.0-1.a", "blocks.2.a", "blocks.3-4.a"]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (9_999, "9,999"),
        (10_000, "10.00 k"),
        (451_584, "451.6 k"),
        (999_999, "1000 k"),
        (7_225_344, "7.225 M"),
        (734_804_261_732_352, "734.8 T"),
        (2e18, "2000 P"),
    ],
)
def test_numbers_have_four_digits_and_a_unit(number: float, text: str) -> None:
    assert short(number) == text
