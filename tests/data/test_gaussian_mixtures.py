"""The mixtures of Gaussians against their formulas."""

import math

import pytest
import torch

from dlcourse.data.gaussian_mixtures import Grid, Ring


def all_points(data):
    splits = (data.train, data.val, data.test)
    return torch.cat([split.inputs for split in splits]), torch.cat([split.targets for split in splits])


@pytest.mark.parametrize(("source", "modes"), [(Ring(size=8000), 8), (Grid(size=10_000), 25), (Ring(modes=3), 3)])
def test_each_mode_has_its_share_its_centre_and_its_spread(source, modes):
    data = source.build(name="toy", seed=0)
    points, classes = all_points(data)
    assert data.spec.is_points and len(data.spec.centers) == modes == data.spec.num_outputs
    counts = torch.bincount(classes)
    assert counts.max() - counts.min() <= 1
    centers = torch.tensor(data.spec.centers, dtype=torch.float32)
    residuals = (points - centers[classes]).double()
    means = torch.stack([residuals[classes == mode].mean(0) for mode in range(modes)])
    assert means.abs().max() < 5 * 0.02 / math.sqrt(counts.min())
    assert residuals.std(0).tolist() == pytest.approx([data.spec.spread] * 2, rel=0.04)


def test_where_the_modes_are():
    ring = torch.tensor(Ring().build(name="ring", seed=0).spec.centers)
    assert ring.norm(dim=1).tolist() == pytest.approx([1.0] * 8)
    assert torch.pdist(ring).min() / 0.02 == pytest.approx(38.3, abs=0.1)
    grid = torch.tensor(Grid().build(name="grid", seed=0).spec.centers)
    assert sorted(set(grid.flatten().tolist())) == [-1.0, -0.5, 0.0, 0.5, 1.0]
    assert len({tuple(center) for center in grid.tolist()}) == 25


def test_some_of_the_modes():
    data = Ring(classes=(6, 1)).build(name="ring", seed=0)
    assert data.spec.centers[0] == pytest.approx((0.0, -1.0)) and len(data.spec.centers) == 2
    points, classes = all_points(data)
    distances = torch.cdist(points, torch.tensor(data.spec.centers, dtype=torch.float32))
    assert torch.equal(distances.argmin(1), classes)


def test_the_seed_of_the_data_is_not_the_seed_of_the_run():
    first, second = (Grid().build(name="grid", seed=seed).test.inputs for seed in (0, 1))
    other = Grid(seed=1).build(name="grid", seed=0).test.inputs
    assert torch.equal(first, second) and not torch.equal(first, other)
