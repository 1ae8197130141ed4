"""Scores of made-up examples against closed forms, scipy, and samples whose worth is known."""

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
import torch
from scipy.stats import energy_distance as scipy_energy_distance

from dlcourse.data.gaussian_mixtures import Ring
from dlcourse.data.sklearn_data import Digits
from dlcourse.data.split import TensorSplit
from dlcourse.device import cpu
from dlcourse.metrics.generative import SampleScores, energy_distance, frechet_distance
from dlcourse.metrics.reference_classifier import ReferenceClassifier
from dlcourse.plots import SampledPoints, to_image
from dlcourse.spec import Data, DataSpec


def covariance(size, seed):
    root = torch.randn(size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return root @ root.T / size


def inputs_of(split):
    return torch.cat([batch.inputs for batch in split.batches(500)])


def test_frechet_distance_in_closed_form():
    one, two = torch.tensor([1.0]), torch.tensor([4.0])
    line = frechet_distance(one, torch.tensor([[4.0]]), two, torch.tensor([[9.0]]))
    assert line == pytest.approx((1 - 4) ** 2 + (2 - 3) ** 2)
    zeros = torch.zeros(3)
    stretched = frechet_distance(
        zeros, torch.diag(torch.tensor([1.0, 4.0, 0.0])), zeros, torch.diag(torch.tensor([4.0, 4.0, 9.0]))
    )
    assert stretched == pytest.approx(1 + 0 + 9)
    cov = covariance(5, 0)  # commutes with its multiples: tr(cov) (sqrt(c) - 1)^2
    shift = torch.arange(5.0)
    assert frechet_distance(shift, cov, shift, 6.25 * cov) == pytest.approx(float(cov.trace()) * 1.5**2)
    assert frechet_distance(shift, cov, shift, cov) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_of_covariances_that_do_not_commute():
    first, second, mean = covariance(6, 1), covariance(6, 2), torch.ones(6, dtype=torch.float64)
    root = scipy.linalg.sqrtm((first @ second).numpy()).real
    expected = 6 * 0.25 + float(first.trace() + second.trace()) - 2 * np.trace(root)
    assert frechet_distance(mean, first, 0.5 * mean, second) == pytest.approx(expected)
    assert frechet_distance(0.5 * mean, second, mean, first) == pytest.approx(expected)


def test_energy_distance():
    x, y = torch.tensor([[0.0], [1.0], [5.0]]), torch.tensor([[2.0], [3.0]])
    between = (2 + 3 + 1 + 2 + 3 + 2) / 6
    assert energy_distance(x, y) == pytest.approx(2 * between - (1 + 5 + 4) / 3 - 1)
    random = torch.Generator().manual_seed(0)
    x, y = torch.randn(2000, 1, generator=random), torch.randn(2000, 1, generator=random) * 2 + 1
    expected = scipy_energy_distance(x[:, 0].numpy(), y[:, 0].numpy()) ** 2  # with pairs of a point and itself
    assert energy_distance(x, y) == pytest.approx(expected, abs=0.01)
    assert abs(energy_distance(x, torch.randn(2000, 1, generator=random))) < 0.01


@pytest.fixture(scope="module")
def digits():
    data = Digits().build(name="digits", seed=0)
    return data, SampleScores.prepare(data, cpu())


def test_real_digits_score_as_real_and_noise_does_not(digits):
    data, scores = digits
    real = inputs_of(data.test)
    targets = torch.cat([batch.targets for batch in data.test.batches(500)])
    found = scores.scores(real, targets)
    assert set(found) == {"frechet", "frechet_real", "classes", "recognized"}
    assert found["classes"] == 10 and found["recognized"] > 0.95
    assert found["frechet"] < 3 * found["frechet_real"] + 5
    noise = scores.scores(torch.randn_like(real))
    assert noise["frechet"] > 10 * found["frechet"] and "recognized" not in noise
    assert scores.monitor == SampleScores.monitor_for(data.spec) == "frechet"
    assert len(scores.lines) == 1


def test_a_generator_of_one_class_is_found_out(digits):
    data, scores = digits
    batch = next(data.test.batches(500))
    ones = batch.inputs[batch.targets == 1]
    found = scores.scores(ones, torch.full((len(ones),), 7))
    assert found["classes"] <= 2 and found["recognized"] < 0.1
    assert found["frechet"] > 2 * scores.scores(batch.inputs)["frechet"]


def test_nearest_training_examples(digits):
    data, scores = digits
    train = inputs_of(data.train)
    near = train[[3, 700, 1000]] + 0.01
    assert torch.equal(scores.nearest(near), train[[3, 700, 1000]])


def test_the_judge_is_the_same_again_and_leaves_the_random_state_alone():
    data = Digits(classes=(0, 1), resize=4).build(name="digits", seed=0)
    torch.manual_seed(3)
    first = ReferenceClassifier.train(data, cpu())
    after = torch.rand(4)
    torch.manual_seed(3)
    assert torch.equal(after, torch.rand(4))
    second = ReferenceClassifier.train(data, cpu())
    images = inputs_of(data.val)
    assert torch.equal(first.features(images), second.features(images))
    hits = (first.classes(images) == torch.cat([batch.targets for batch in data.val.batches(500)])).double()
    assert first.accuracy == pytest.approx(float(hits.mean())) and first.accuracy > 0.8


def test_points_about_the_modes_of_a_ring():
    data = Ring().build(name="ring", seed=0)
    scores = SampleScores.prepare(data, cpu())
    assert scores.monitor == SampleScores.monitor_for(data.spec) == "energy_distance"
    real = scores.scores(inputs_of(data.test))
    assert real["modes"] == 8 and real["good"] == pytest.approx(1 - math.exp(-4.5), abs=0.01)
    assert abs(real["energy_distance"]) < 0.005
    centers = torch.tensor(data.spec.centers)
    collapsed = scores.scores(centers[:1].repeat(100, 1), torch.arange(100) % 8)
    assert collapsed["modes"] == 1 and collapsed["good"] == 1 and collapsed["energy_distance"] > 0.5
    assert collapsed["recognized"] == pytest.approx(13 / 100)
    far = scores.scores(1.0601 * centers.repeat(20, 1))  # 3.005 standard deviations outwards
    assert far["modes"] == 0 and far["good"] == 0


def test_a_mode_counts_from_a_tenth_of_its_share():
    data = Ring().build(name="ring", seed=0)
    scores = SampleScores.prepare(data, cpu())
    centers = torch.tensor(data.spec.centers)
    chosen = torch.tensor([0] * 780 + [1] * 10 + [2] * 10)  # of 800, the fair share is 100
    assert scores.scores(centers[chosen])["modes"] == 3
    chosen[-1] = 0
    assert scores.scores(centers[chosen])["modes"] == 2


def test_images_without_classes_are_compared_by_coarse_pixels():
    data = Digits().build(name="digits", seed=0)
    data = replace(data, spec=replace(data.spec, target="value", num_outputs=1, class_names=()))
    scores = SampleScores.prepare(data, cpu())
    found = scores.scores(inputs_of(data.test))
    assert set(found) == {"frechet", "frechet_real"}
    assert scores.scores(torch.zeros(50, 1, 8, 8))["frechet"] > 5 * found["frechet"]


def test_real_images_are_compared_with_others_than_themselves():
    """Every second training image is the reference; validation and the other half of training are measured against it."""
    random = torch.Generator().manual_seed(0)
    spec = DataSpec("noise", (1, 8, 8), 1, "value", pixel_mean=(0.5,), pixel_std=(0.2,))
    train, val = torch.randn(400, 1, 8, 8, generator=random), torch.randn(100, 1, 8, 8, generator=random)
    train[1::2] += 1
    val += 1
    splits = [TensorSplit(images, torch.zeros(len(images), 1)) for images in (train, val, val)]
    scores = SampleScores.prepare(Data(spec, *splits), cpu())
    reference, others = train[::2].flatten(1).double(), torch.cat([train[1::2], val]).flatten(1).double()
    expected = frechet_distance(reference.mean(0), reference.T.cov(), others.mean(0), others.T.cov())
    assert scores.scores(torch.zeros(300, 1, 8, 8))["frechet_real"] == pytest.approx(expected, rel=1e-6)
    assert expected > 64  # the squared distance of the means is about 1 for each pixel


@pytest.mark.parametrize("real", [0, 40])
def test_sampled_points_are_drawn(real):
    random = np.random.default_rng(0)
    picture = SampledPoints(
        random.normal(size=(real, 2)), random.normal(size=(50, 2)) * 100, ((0.0, 0.0),) if real else ()
    )
    figure = picture.draw()
    assert len(figure.axes) == (2 if real else 1)
    low, high = figure.axes[-1].get_xlim()
    assert high - low < 10 if real else high - low > 100
    assert to_image(picture).std() > 0
