"""Forecasts, losses by position, attention, and accuracy by length: each number at its step or its token."""

import numpy as np
import pytest

from dlcourse.plots.attention import AccuracyByLength, AttentionMap
from dlcourse.plots.language import LossByPosition
from dlcourse.plots.sequences import Forecast
from pictures import tick_names


def test_a_forecast_begins_a_step_after_the_last_known_value():
    past, true, predicted = (
        np.array([[1.0, 2, 3], [4, 5, 6]]),
        np.array([[4.0, 5], [7, 8]]),
        np.array([[4.5, 5], [6, 9]]),
    )
    figure = Forecast(past, true, predicted).draw()
    for axes, row in zip(figure.axes, range(2), strict=True):
        before, after, guess, today = axes.lines
        assert before.get_xydata().tolist() == [[-2, past[row, 0]], [-1, past[row, 1]], [0, past[row, 2]]]
        assert after.get_xydata().tolist() == [[1, true[row, 0]], [2, true[row, 1]]]
        assert guess.get_xydata().tolist() == [[1, predicted[row, 0]], [2, predicted[row, 1]]]
        assert 0 < today.get_xdata()[0] < 1
    assert figure.get_suptitle() == "Forecast of 2 steps"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["past", "true", "predicted"]


def test_losses_stand_after_the_tokens_read_and_baselines_at_their_height():
    figure = LossByPosition([4.0, 3.0, 2.5], {"unigrams": 3.3, "bigrams": 2.504}).draw()
    model, unigrams, bigrams = figure.axes[0].lines
    assert model.get_xydata().tolist() == [[1, 4], [2, 3], [3, 2.5]]
    assert set(unigrams.get_ydata()) == {3.3} and set(bigrams.get_ydata()) == {2.504}
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["model", "unigrams: 3.30", "bigrams: 2.50"]


def test_attention_has_a_row_for_each_output_and_a_column_for_each_input():
    weights = np.array([[0.75, 0.25, 0.0], [0.0, 0.5, 0.5]])
    axes, _ = AttentionMap(weights, ["le", "chat"], ["the", "cat", "END"]).draw().axes
    (image,) = axes.images
    assert np.array_equal(image.get_array(), weights) and image.get_clim() == (0, 1)
    assert tick_names(axes.yaxis) == ["le", "chat"] and tick_names(axes.xaxis) == ["the", "cat", "END"]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("output", "input")


def test_of_many_tokens_only_so_many_are_named_as_can_be_read():
    tokens = [str(index) for index in range(100)]
    axes, _ = AttentionMap(np.eye(100), tokens, tokens).draw().axes
    assert tick_names(axes.xaxis) == tokens[::3] and axes.get_xticks().tolist() == list(range(0, 100, 3))


def test_bars_are_the_shares_that_are_right_and_say_of_how_many():
    (axes,) = AccuracyByLength([2, 3, 5], [3, 0, 0], [4, 1000, 0]).draw().axes
    assert [bar.get_height() for bar in axes.patches] == [0.75, 0, 0]
    assert [bar.get_x() + bar.get_width() / 2 for bar in axes.patches] == pytest.approx([2, 3, 5])
    assert [text.get_text() for text in axes.texts] == ["4", "1,000", "0"]
    assert axes.get_title(loc="left") == "Accuracy by length, 1,004 examples"
