"""Pictures of a sweep: the numbers that were given, in order, on axes that fit them."""

import math

import numpy as np
import pytest

from dlcourse.plots.sweep import OptionSlices, ParallelOptions, SweepCurves
from pictures import tick_names


def test_curves_have_a_mean_and_a_band_and_only_the_best_have_a_color() -> None:
    seeds = [([1, 2], [0.5, 0.7]), ([1, 2], [0.7, 0.9])]
    figure = SweepCurves("accuracy", [f"run {place}" for place in range(9)], [seeds, *[seeds[:1]] * 8]).draw()
    (axes,) = figure.axes
    best = next(line for line in axes.lines if line.get_label() == "run 0")
    assert best.get_xydata().tolist() == [[1, pytest.approx(0.6)], [2, pytest.approx(0.8)]]
    (band,) = axes.collections
    assert {(x, round(y, 9)) for x, y in band.get_paths()[0].vertices} == {(1, 0.5), (1, 0.7), (2, 0.7), (2, 0.9)}
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [f"run {place}" for place in range(7)]
    assert axes.get_title(loc="left") == "9 settings: the best 7, the others in gray"
    assert axes.get_ylabel() == "accuracy on validation"


def test_seeds_that_were_evaluated_at_other_epochs_share_an_axis() -> None:
    figure = SweepCurves("loss", ["a"], [[([1, 3], [4.0, 2.0]), ([3, 5], [4.0, 1.0])]]).draw()
    (line,) = figure.axes[0].lines
    assert line.get_xydata().tolist() == [[1, 4], [3, 3], [5, 1]]


def test_parallel_lines_cross_each_axis_at_their_value_and_the_best_are_drawn_last() -> None:
    values = [["mlp", "cnn", "mlp"], [0.001, 0.01, 0.1], [1, 2, 5]]
    figure = ParallelOptions("loss", "min", ["model", "lr", "layers"], values, [0.5, 0.1, math.nan]).draw()
    (axes,) = figure.axes
    lines = axes.lines[:3]
    assert lines[2].get_ydata().tolist() == pytest.approx([1, 0.5, 0.25, 0])
    assert lines[1].get_ydata().tolist() == pytest.approx([0, 0, 0, 1])
    assert {text.get_text() for text in axes.texts} == {
        "mlp",
        "cnn",
        "0.001",
        "0.01",
        "0.1",
        "1",
        "2",
        "5",
        "0.3",
        "0.5",
    }
    assert tick_names(axes.xaxis) == ["model", "lr", "layers", "loss\non validation"]


def test_slices_show_each_run_and_the_medians() -> None:
    values = [[0.001, 0.1, 0.1, 0.1], ["a", "b", "a", "b"], [1.0, 1.0, 1.0, 1.0]]
    figure = OptionSlices("accuracy", ["lr", "model", "same"], values, [0.5, 0.6, math.nan, 0.8]).draw()
    lr, model, same, unused = figure.axes
    assert np.asarray(lr.collections[0].get_offsets())[[0, 1, 3]].tolist() == [[0.001, 0.5], [0.1, 0.6], [0.1, 0.8]]
    assert lr.lines[0].get_xydata().tolist() == [[0.001, 0.5], [0.1, pytest.approx(0.7)]]
    assert (lr.get_xscale(), same.get_xscale()) == ("log", "linear")
    assert tick_names(lr.xaxis) == ["0.001", "0.1"] and tick_names(model.xaxis) == ["a", "b"]
    assert not unused.get_visible()


def test_slices_of_numbers_that_do_not_come_again_have_no_line() -> None:
    rates, reached = [0.001 * (run + 1) for run in range(20)], [run / 20 for run in range(20)]
    both = OptionSlices("accuracy", ["lr", "model"], [rates, ["a", "b"] * 10], reached).draw()
    assert [len(axes.lines) for axes in both.axes] == [0, 1]
    alone = OptionSlices("accuracy", ["lr"], [rates], reached).draw()
    assert len(alone.axes[0].lines) == 1
    drawn = OptionSlices("accuracy", ["lr", "dropout"], [rates, rates], reached).draw()
    assert drawn.get_suptitle() == "20 runs"
