"""The synthetic data sets against the formulas they are drawn from."""

import math

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from dlcourse.data.synthetic import XOR, Blobs, Circles, Curve, Line, Moons, Spirals

POINTS = [Blobs, Moons, Circles, Spirals, XOR]


def all_rows(source):
    tables = source.load()
    return torch.cat([tables.train_inputs, tables.test_inputs]), torch.cat([tables.train_targets, tables.test_targets])


def squared_error_of_polynomial(x, y, degree):
    powers = x.double() ** torch.arange(degree + 1)
    coefficients = torch.linalg.lstsq(powers, y.double()).solution
    return ((powers @ coefficients - y) ** 2).mean().item(), coefficients.flatten().tolist()


@pytest.mark.parametrize("make", [Line, Curve, *POINTS])
def test_size_shape_and_draw(make):
    tables = make(size=101, test_fraction=0.3).load()
    width = 1 if make in (Line, Curve) else 2
    assert tables.train_inputs.shape == (71, width) and tables.test_inputs.shape == (30, width)
    assert tables.train_inputs.dtype == torch.float32
    assert len(tables.feature_names) == width
    again, other = make(size=101, test_fraction=0.3).load(), make(size=101, test_fraction=0.3, seed=1).load()
    assert torch.equal(tables.train_inputs, again.train_inputs) and torch.equal(tables.test_targets, again.test_targets)
    assert not torch.equal(tables.train_inputs, other.train_inputs)


@pytest.mark.parametrize("make", [Line, Curve, *POINTS])
def test_any_whole_number_is_a_seed_and_the_seed_of_the_run_is_not_it(make):
    source = make(size=40, seed=2**40)
    first, second = source.build(name="toy", seed=0), source.build(name="toy", seed=1)
    assert torch.equal(first.test.inputs, second.test.inputs)


def test_line_is_recovered_with_its_noise():
    x, y = all_rows(Line(size=20_000, slope=-3.0, intercept=0.5, noise=0.2))
    assert y.dtype == torch.float32 and y.shape == x.shape
    assert -1 <= x.min() < -0.99 and 0.99 < x.max() <= 1
    error, (intercept, slope) = squared_error_of_polynomial(x, y, 1)
    assert (intercept, slope) == pytest.approx((0.5, -3.0), abs=0.02)
    assert math.sqrt(error) == pytest.approx(0.2, rel=0.03)


def test_line_without_noise_is_exact():
    x, y = all_rows(Line(noise=0.0))
    torch.testing.assert_close(y, 2 * x + 1)


def test_curve_is_underfitted_as_much_as_its_docstring_says():
    x, y = all_rows(Curve(size=20_000))
    residual = y - torch.sin(math.pi * x)
    assert residual.std().item() == pytest.approx(0.1, rel=0.03)
    x = torch.linspace(-1, 1, 20_001)[:, None]
    y = torch.from_numpy(Curve().mean(x.double().numpy()))
    line = 1 / 2 - 3 / math.pi**2
    cubic = line - 7 * (1 / math.pi - 15 / math.pi**3) ** 2
    assert (round(line, 3), round(cubic, 5)) == (0.196, 0.00439)
    for degree, error in ((1, line), (3, cubic)):
        assert squared_error_of_polynomial(x, y, degree)[0] == pytest.approx(error, rel=1e-3)


@pytest.mark.parametrize("make", POINTS)
def test_classes_are_named_and_balanced(make):
    source = make(size=100)
    tables = source.load()
    counts = all_rows(source)[1].bincount()
    assert len(tables.class_names) == len(counts)
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("make", [Blobs, Spirals])
def test_the_number_of_classes_is_an_option(make):
    source = make(num_classes=5, size=52)
    assert source.load().class_names == ("0", "1", "2", "3", "4")
    assert sorted(all_rows(source)[1].bincount().tolist()) == [10, 10, 10, 11, 11]


def test_blobs_lie_about_their_centres():
    points, classes = all_rows(Blobs(size=30_000, num_classes=4, noise=0.3))
    for index, center in enumerate([(1, 0), (0, 1), (-1, 0), (0, -1)]):
        cloud = points[classes == index]
        torch.testing.assert_close(cloud.mean(dim=0), torch.tensor(center).float(), atol=0.02, rtol=0)
        torch.testing.assert_close(cloud.std(dim=0), torch.full((2,), 0.3), atol=0.01, rtol=0)


def test_moons_are_half_circles():
    points, classes = all_rows(Moons(noise=0.0))
    centers = torch.tensor([[0.0, 0.0], [1.0, 0.5]])[classes]
    torch.testing.assert_close((points - centers).norm(dim=1), torch.ones(1000))
    assert (points[classes == 0, 1] >= -1e-6).all() and (points[classes == 1, 1] <= 0.5 + 1e-6).all()
    assert Moons().load().class_names == ("upper", "lower")


def test_circles_have_radius_1_and_a_half():
    points, classes = all_rows(Circles(noise=0.0))
    torch.testing.assert_close(points.norm(dim=1), torch.tensor([1.0, 0.5])[classes])
    assert Circles().load().class_names == ("outer", "inner")


def test_spirals_turn_in_step_with_their_radius():
    points, classes = all_rows(Spirals(noise=0.0, num_classes=3, turns=2.0))
    radius = points.norm(dim=1)
    angle = torch.atan2(points[:, 1], points[:, 0])
    expected = 2 * math.pi * (2.0 * radius + classes / 3)
    torch.testing.assert_close(torch.cos(angle - expected), torch.ones(1000), atol=1e-4, rtol=0)
    assert radius.max() <= 1 and radius.min() < 0.1


def test_spirals_leave_room_between_their_arms():
    points, classes = all_rows(Spirals())
    distances = torch.cdist(points, points).fill_diagonal_(math.inf)
    assert (classes[distances.argmin(dim=1)] == classes).float().mean() > 0.97


def test_xor_is_the_sign_of_the_product():
    points, classes = all_rows(XOR(noise=0.2))
    assert torch.equal(points.prod(dim=1) < 0, classes == 1)
    assert XOR().load().class_names == ("equal", "different")


def test_xor_needs_more_than_a_line():
    points, classes = all_rows(XOR())
    assert LogisticRegression().fit(points, classes).score(points, classes) < 0.76
    network = MLPClassifier((16,), solver="lbfgs", max_iter=500, random_state=0).fit(points, classes)
    assert network.score(points, classes) > 0.99
