"""The scale of targets: scikit-learn's, kept with the weights."""

import pytest
import torch
from sklearn.preprocessing import StandardScaler
from torch import nn

from dlcourse.models.target_scale import NAMES, TargetScale

CPU = torch.device("cpu")


def prices() -> torch.Tensor:
    """Numbers of very different sizes, and one that never varies."""
    random = torch.Generator().manual_seed(0)
    scale, shift = torch.tensor([1e5, 1e-3, 0.0]), torch.tensor([3e5, -1.0, 0.1])
    return (torch.randn(70, 3, generator=random, dtype=torch.float64) * scale + shift).double()


def test_targets_are_scaled_as_scikit_learn_does_and_back() -> None:
    scale, targets = TargetScale(nn.Linear(2, 3), 3, CPU), prices()
    assert torch.equal(scale.standardized(targets), targets), "before it was fit"
    scale.fit(targets)
    reference = StandardScaler().fit(targets)
    assert scale.mean.tolist() == pytest.approx(reference.mean_) and scale.std.tolist() == pytest.approx(
        reference.scale_
    )
    standardized = scale.standardized(targets)
    torch.testing.assert_close(standardized, torch.from_numpy(reference.transform(targets)))
    torch.testing.assert_close(scale.in_units(standardized), targets)
    assert scale.in_units(standardized.float()).dtype == torch.float64


@pytest.mark.parametrize("standardize", [True, False])
def test_the_scale_comes_and_goes_with_the_weights(standardize: bool) -> None:
    model, other = nn.Linear(2, 3), nn.Linear(2, 3)
    scale = TargetScale(model, 3, CPU, standardize=standardize)
    scale.fit(prices().float())
    assert set(NAMES) & set(model.state_dict()) == (set(NAMES) if standardize else set())
    assert (scale.std.tolist() == [1, 1, 1]) is not standardize
    another = TargetScale(other, 3, CPU, standardize=standardize)
    other.load_state_dict(model.state_dict())
    assert torch.equal(another.mean, scale.mean) and torch.equal(another.std, scale.std)
