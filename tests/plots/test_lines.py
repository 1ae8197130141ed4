"""Charts of several lines, and bars."""

import math

from dlcourse.plots import BarChart, LineChart, LineCharts


def test_a_line_for_each_name_with_gaps_where_a_value_is_not_finite() -> None:
    chart = LineChart(
        {"a": ([1, 2, 3], [0.1, math.nan, 0.3]), "b": ([1, 3], [0.2, math.inf])}, "epoch", "loss", log_y=True
    )
    axes = chart.draw().axes[0]
    a, b = axes.get_lines()
    assert a.get_xdata().tolist() == [1, 2, 3] and math.isnan(a.get_ydata()[1])
    assert math.isnan(b.get_ydata()[1])
    assert axes.get_yscale() == "log" and axes.get_xlabel() == "epoch" and axes.get_ylabel() == "loss"


def test_shares_are_in_percent_and_levels_are_marked() -> None:
    chart = LineChart(
        {"a": ([1, 2], [0.1, 0.9])}, "x", "accuracy", share=True, at_y={"chance": 0.1}, at_x={"here": 1.5}
    )
    figure = chart.draw()
    axes = figure.axes[0]
    assert axes.yaxis.get_major_formatter()(0.5, 0).startswith("50")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "here", "chance"]


def test_the_axis_ends_where_it_is_told_to() -> None:
    chart = LineChart({"a": ([1, 2], [0.001, 1e30])}, "x", "y", log_y=True, limits_y=(0.01, 100))
    assert chart.draw().axes[0].get_ylim() == (0.01, 100)


def test_charts_stand_beside_each_other() -> None:
    chart = LineChart({"a": ([1, 2], [1, 2])}, "x", "y", "one")
    figure = LineCharts([chart, chart, chart], columns=2).draw()
    assert [axes.get_visible() for axes in figure.axes] == [True, True, True, False]


def test_bars_have_intervals_and_levels() -> None:
    chart = BarChart({"a": 0.5, "b": 0.7}, "accuracy", share=True, intervals={"b": (0.6, 0.8)}, at={"chance": 0.1})
    figure = chart.draw()
    axes = figure.axes[0]
    assert [round(bar.get_width(), 3) for bar in axes.patches] == [0.5, 0.7]
    assert list(axes.get_lines()[0].get_xdata()) == [0.6, 0.8]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
