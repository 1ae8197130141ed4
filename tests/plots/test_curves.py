"""Predicted against true, fitted curves and learning curves: the numbers that were given, on axes that fit them."""

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score

from dlcourse.plots.curves import FittedCurve, LearningCurve, PredictedVsTrue
from pictures import tick_names


def test_predicted_vs_true_has_equal_axes_the_identity_and_r_squared():
    rng = np.random.default_rng(0)
    true = rng.normal(50, 20, 80)
    predicted = true + rng.normal(0, 8, 80)
    (axes,) = PredictedVsTrue(torch.tensor(true), torch.tensor(predicted), "price (EUR)").draw().axes
    assert np.allclose(axes.collections[0].get_offsets(), np.stack([true, predicted], 1))
    assert axes.get_xlim() == axes.get_ylim() and axes.get_aspect() == 1
    (identity,) = axes.lines
    assert np.array_equal(identity.get_xdata(), identity.get_ydata())
    assert f"R² = {r2_score(true, predicted):.3f}" in axes.get_title(loc="left")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("true price (EUR)", "predicted price (EUR)")


def test_r_squared_of_equal_targets_is_undefined():
    (axes,) = PredictedVsTrue(np.full(3, 2.0), np.full(3, 2.0)).draw().axes
    assert axes.get_title(loc="left") == "R² undefined, 3 examples"
    assert axes.get_xlim() == (1, 3)


def test_fitted_curve_shows_the_points_and_the_line():
    x, y = np.array([0.0, 1, 2]), np.array([0.0, 1, 4])
    curve_x = np.linspace(0, 2, 30)
    (axes,) = FittedCurve(x, y, curve_x, curve_x**2, ("time (s)", "height (m)")).draw().axes
    assert np.array_equal(axes.collections[0].get_offsets(), np.stack([x, y], 1))
    (line,) = axes.lines
    assert np.array_equal(line.get_xydata(), np.stack([curve_x, curve_x**2], 1))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("time (s)", "height (m)")


def test_a_curve_that_runs_away_does_not_hide_the_points():
    curve_x = np.linspace(0, 2, 30)
    (axes,) = FittedCurve([0.0, 1, 2], [0.0, 1, 4], curve_x, 1e6 * curve_x).draw().axes
    low, high = axes.get_ylim()
    assert low < 0 and 6 < high < 7


def test_learning_curve_has_losses_in_one_panel_and_the_metric_in_the_other():
    series = {"val/accuracy": [0.8, 0.9, 0.85], "train/loss": [0.9, 0.5, 0.4], "val/loss": [0.8, None, 0.6]}
    figure = LearningCurve([1, 2, 3], series, kept_epoch=2, kept_as="best").draw()
    losses, accuracy = figure.axes
    train, val, kept = losses.lines
    assert (losses.get_ylabel(), accuracy.get_ylabel()) == ("loss", "accuracy")
    assert train.get_label() == "train" and list(train.get_ydata()) == [0.9, 0.5, 0.4]
    assert val.get_label() == "val" and val.get_xydata().tolist() == [[1, 0.8], [3, 0.6]]
    assert list(accuracy.lines[0].get_ydata()) == [0.8, 0.9, 0.85]
    assert kept.get_label() == "kept epoch" and list(kept.get_xdata()) == [2, 2]
    assert figure.get_suptitle() == "Learning curves, best epoch 2 kept"
    assert losses.get_yscale() == "linear"


@pytest.mark.parametrize(("last", "scale"), [(0.06, "linear"), (0.04, "log"), (0.0, "linear"), (-1.0, "linear")])
def test_losses_are_logarithmic_beyond_a_range_of_twenty(last, scale):
    (axes,) = LearningCurve([1, 2], {"train/loss": [1.0, last]}).draw().axes
    assert axes.get_yscale() == scale


def test_losses_over_many_powers_of_ten_have_numbers_at_their_axis():
    (axes,) = LearningCurve([1, 2], {"train/loss": [1.0, 1e12]}).draw().axes
    low, high = axes.get_ylim()
    assert 3 <= sum(low < tick < high for tick in axes.get_yticks()) <= 12


def test_accuracy_is_never_logarithmic_and_in_percent():
    figure = LearningCurve([1, 2], {"val/accuracy": [0.01, 0.9]}).draw()
    figure.draw_without_rendering()
    (axes,) = figure.axes
    assert axes.get_yscale() == "linear"
    assert "80 %" in tick_names(axes.yaxis)


def test_epochs_are_whole_numbers_even_where_there_is_one():
    figure = LearningCurve([1], {"train/loss": [0.5], "val/loss": [0.4]}, kept_epoch=1).draw()
    figure.draw_without_rendering()
    assert [tick for tick in figure.axes[0].get_xticks() if 0.5 <= tick <= 1.5] == [1]


def test_learning_curve_marks_the_last_epoch_where_that_is_kept():
    figure = LearningCurve([1, 2, 3], {"val/loss": [0.3, 0.2, 0.4]}, kept_epoch=3, kept_as="last").draw()
    assert figure.get_suptitle() == "Learning curves, last epoch 3 kept"
    assert list(figure.axes[0].lines[-1].get_xdata()) == [3, 3]


def test_a_learning_curve_calls_metrics_as_it_is_told():
    series = {"val/loss": [2.0, 1.0], "val/r2": [0.1, 0.2]}
    figure = LearningCurve([1, 2], series, labels={"r2": "R^2"}).draw()
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "R^2"]
