"""Pictures of a search: the numbers that were given, in order, readable whatever they are."""

import math

import numpy as np
import pytest

from dlcourse.plots.picture import to_image
from dlcourse.plots.search import OptionImportances, SearchHistory
from pictures import tick_names

LONG = "an option with a name for which no picture has room"


def history(mode: str, reached: list[float], metric: str = "loss", diverged: list[bool] | None = None):
    return SearchHistory(metric, mode, reached, diverged or [False] * len(reached)).draw()


def legend(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize(("mode", "best"), [("min", [3, 3, 2, 2, 1, 1, 1]), ("max", [3, 3, 3, 4, 4, 5, 5])])
def test_history_has_a_point_for_each_trial_and_the_best_so_far(mode: str, best: list[float]) -> None:
    figure = history(mode, [3, math.nan, 2, 4, 1, 5])
    (axes,), (line,) = figure.axes, figure.axes[0].lines
    points, _ = axes.collections
    assert np.asarray(points.get_offsets()).tolist() == [[1, 3], [3, 2], [4, 4], [5, 1], [6, 5]]
    assert line.get_xydata().tolist() == [list(pair) for pair in zip([1, 2, 3, 4, 5, 6, 6.5], best, strict=True)]
    assert line.get_drawstyle() == "steps-post"
    assert axes.get_title(loc="left") == f"6 trials, best loss {best[-1]:.4f} in trial {5 if mode == 'min' else 6}"


@pytest.mark.parametrize(("mode", "edge"), [("min", 0.97), ("max", 0.03)])
def test_trials_that_failed_stand_at_the_worst_edge_and_leave_the_axis_alone(mode: str, edge: float) -> None:
    figure = history(mode, [2, math.nan, 3, math.inf, 99], diverged=[False, False, False, False, True])
    (axes,) = figure.axes
    _, crosses = axes.collections
    assert np.asarray(crosses.get_offsets()).tolist() == [[2, edge], [4, edge], [5, edge]]
    assert crosses.get_offset_transform() == axes.get_xaxis_transform()
    assert legend(figure) == ["trial", "best so far", "diverged or failed (3)"]
    assert axes.get_ylim() == history(mode, [2, 3]).axes[0].get_ylim()


def test_wide_losses_have_a_logarithmic_axis_and_shares_percentages() -> None:
    wide, narrow = history("min", [0.02, 0.2]).axes[0], history("min", [0.1, 0.2]).axes[0]
    accuracy = history("max", [0.01, 1.0], "accuracy").axes[0]
    assert (wide.get_yscale(), narrow.get_yscale(), accuracy.get_yscale()) == ("log", "linear", "linear")
    assert tick_names(wide.yaxis)[1:-1] == ["0.02", "0.05", "0.1", "0.2"]
    assert accuracy.yaxis.get_major_formatter()(0.5) == "50 %"
    assert -0.01 < accuracy.get_ylim()[0] < 0 and 1 < accuracy.get_ylim()[1] < 1.01


def test_a_loss_that_ran_away_leaves_the_axis_readable() -> None:
    axes = history("min", [0.3, 0.2, 1e30]).axes[0]
    low, high = axes.get_ylim()
    assert 3 <= sum(low < tick < high for tick in axes.get_yticks()) <= 12


def test_history_of_nothing_but_failures_has_no_numbers() -> None:
    figure = history("max", [math.nan] * 12, "accuracy")
    (axes,) = figure.axes
    assert axes.get_title(loc="left") == "12 trials, all diverged or failed"
    assert legend(figure) == ["diverged or failed (12)"] and axes.get_yticks().tolist() == []


def test_importances_are_bars_from_the_most_important_down() -> None:
    figure = OptionImportances("loss", ["lr", "width", LONG, "größe 日本語 $x$"], [0.25, 0.6, 0.0, 0.15]).draw()
    (axes,) = figure.axes
    assert [bar.get_width() for bar in axes.patches] == [0.6, 0.25, 0.15, 0.0]
    assert tick_names(axes.yaxis) == ["width", "lr", "größe 日本語 $x$", LONG[:23] + "…"]
    assert axes.get_ylim() == (3.5, -0.5)
    assert figure.get_suptitle() == "Share of the variance of loss that each option explains"
    assert "fANOVA (Hutter et al., 2014)" in axes.get_xlabel()


@pytest.mark.parametrize(
    ("shares", "percentages"),
    [
        ([1 / 3, 1 / 3, 1 / 3], ["34 %", "33 %", "33 %"]),
        ([0.986, 0.007, 0.007, 0.0], ["98 %", "1 %", "1 %", "0 %"]),
        ([0.996, 0.002, 0.002], ["100 %", "< 1 %", "< 1 %"]),
        ([1.0], ["100 %"]),
    ],
)
def test_percentages_sum_to_100(shares: list[float], percentages: list[str]) -> None:
    axes = OptionImportances("loss", list("abcd")[: len(shares)], shares).draw().axes[0]
    assert [text.get_text() for text in axes.texts] == percentages


@pytest.mark.parametrize(
    "picture",
    [
        SearchHistory("accuracy", "max", [0.9], [False]),
        SearchHistory("loss", "min", [math.nan], [True]),
        SearchHistory(2 * LONG, "min", np.geomspace(1e-3, 1e3, 200).tolist(), [True, *[False] * 198, True]),
        SearchHistory("accuracy", "max", [1.0] * 5, [False] * 5),
        OptionImportances(2 * LONG, [f"{place} {LONG}" for place in range(3)], [0.5, 0.5, 0.0]),
        OptionImportances("loss", ["größe 日本語 $x$"], [1.0]),
    ],
)
def test_nothing_is_cut_off(picture: SearchHistory | OptionImportances) -> None:
    border = np.ones(to_image(picture).shape[:2], dtype=bool)
    border[2:-2, 2:-2] = False
    assert (to_image(picture)[border] == 255).all()
