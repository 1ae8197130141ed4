"""Bins of confidence are scikit-learn's, and the expected calibration error is what its definition says."""

import numpy as np
import pytest
import torch
from sklearn.calibration import calibration_curve

from dlcourse.metrics.calibration import BINS, Calibration


@pytest.mark.parametrize("decimals", [None, 2, 1])
@pytest.mark.parametrize("bins", [10, BINS])
def test_bins_are_those_of_scikit_learn(decimals: int | None, bins: int) -> None:
    generator = np.random.default_rng(0)
    confidence = generator.random(500)
    confidence = confidence if decimals is None else confidence.round(decimals)  # on the edges of bins
    is_right = generator.random(500) < confidence**2
    found = Calibration.of(torch.from_numpy(confidence), torch.from_numpy(is_right), bins)
    accuracy, mean_confidence = calibration_curve(is_right, confidence, n_bins=bins)
    some = found.counts > 0
    np.testing.assert_allclose(found.accuracy[some], accuracy, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.confidence[some], mean_confidence, rtol=0, atol=1e-9)
    assert found.counts.sum() == 500 and found.counts.shape == (bins,)


def test_the_error_is_that_of_the_definition() -> None:
    """Guo et al. (2017), equation 3, written out."""
    generator = np.random.default_rng(1)
    confidence = generator.uniform(0.3, 1, 800)
    is_right = generator.random(800) < 0.8 * confidence
    expected = 0.0
    for number in range(BINS):
        inside = (confidence > number / BINS) & (confidence <= (number + 1) / BINS)
        if inside.any():
            expected += inside.sum() / 800 * abs(is_right[inside].mean() - confidence[inside].mean())
    found = Calibration.of(torch.from_numpy(confidence), torch.from_numpy(is_right))
    assert found.error == pytest.approx(expected, abs=1e-9) and found.error > 0.05


def test_certainty_and_its_opposite_have_a_place() -> None:
    found = Calibration.of(torch.tensor([0.0, 1.0, 1.0]), torch.tensor([False, True, False]), 2)
    assert found.counts.tolist() == [1, 2] and found.accuracy.tolist() == [0, 0.5]
    assert found.error == pytest.approx(2 / 3 * 0.5)
    always = Calibration.of(torch.ones(4), torch.ones(4, dtype=torch.bool))
    assert always.error == 0 and always.counts[:-1].sum() == 0
