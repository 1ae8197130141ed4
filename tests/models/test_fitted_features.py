"""Random features and principal components: what they compute, and what they say when they cannot."""

import math

import pytest
import torch
from sklearn.decomposition import PCA

from dlcourse.config.registry import Choice
from dlcourse.errors import ConfigError
from dlcourse.models.feature_map import FeatureMap, parts, require_flat
from dlcourse.models.features import FEATURES
from dlcourse.models.principal_components import PrincipalComponents
from dlcourse.models.random_features import RandomFeatures
from dlcourse.spec import DataSpec

IMAGES = DataSpec("images", (1, 4, 5), 3)
TEXT = DataSpec("text", (5,), 2, vocabulary=("a", "b"))


@pytest.mark.parametrize("count", [1, 7, 20])
@pytest.mark.parametrize("examples", [25, 60])
def test_principal_components_equal_scikit_learn(count: int, examples: int) -> None:
    images = torch.randn(examples, 20) @ torch.randn(20, 20) + 5 * torch.randn(20)
    features = PrincipalComponents(IMAGES, count)
    features.fit(images.reshape(examples, 1, 4, 5))
    reference = PCA(count).fit(images.double().numpy())
    ratio = torch.from_numpy(reference.explained_variance_ratio_)
    torch.testing.assert_close(features.explained_variance_ratio.double(), ratio, rtol=1e-4, atol=1e-6)
    expected = torch.from_numpy(reference.transform(images.double().numpy()))
    found = features(images.reshape(examples, 1, 4, 5)).double()
    torch.testing.assert_close(found.abs(), expected.abs(), rtol=1e-3, atol=1e-2)
    assert (features.components.gather(1, features.components.abs().argmax(1, keepdim=True)) > 0).all()


def test_fewer_examples_than_numbers_and_whitening() -> None:
    images = torch.randn(8, 20) * torch.linspace(1, 9, 20)
    features = PrincipalComponents(IMAGES, 5, standardize=True)
    features.fit(images)
    covariance = features(images).T @ features(images) / 8
    torch.testing.assert_close(covariance, torch.eye(5), atol=1e-4, rtol=0)
    with pytest.raises(ConfigError, match=r"features.count=9 is more than the 8 training examples.*count=8 or less"):
        PrincipalComponents(IMAGES, 9).fit(images)
    with pytest.raises(
        ConfigError, match=r"features.count=21 is more than the 20 numbers .*write features.count=20 or"
    ):
        PrincipalComponents(IMAGES, 21)


def test_what_was_fitted_is_in_the_state_dict() -> None:
    fitted, fresh = (PrincipalComponents(IMAGES, 3) for _ in range(2))
    fitted.fit(torch.randn(30, 20))
    fresh.load_state_dict(fitted.state_dict())
    images = torch.randn(4, 1, 4, 5)
    assert torch.equal(fresh(images), fitted(images)) and fresh(images).shape == (4, 3)


def test_fourier_features_approach_the_laplace_kernel() -> None:
    points = torch.linspace(-1, 1, 9)[:, None]
    features = RandomFeatures(DataSpec("curve", (1,), 1, "value"), "fourier", count=200_000, scale=2.0)(points)
    kernel = (-2 * (points - points.T).abs()).exp()
    torch.testing.assert_close(features @ features.T, kernel, atol=0.02, rtol=0)


def test_relu_features_approach_the_arc_cosine_kernel() -> None:
    """Of inputs with a 1 for the bias: |u||v| (sin t + (pi - t) cos t) / (2 pi D), t their angle (Cho and Saul 2009)."""
    inputs = torch.randn(6, 20)
    features = RandomFeatures(IMAGES, count=100_000)(inputs.reshape(6, 1, 4, 5))
    with_one = torch.cat([inputs, torch.ones(6, 1)], 1).double()
    norms = with_one.norm(dim=1)
    angle = (with_one @ with_one.T / norms.outer(norms)).clamp(-1, 1).acos()
    kernel = norms.outer(norms) * (angle.sin() + (math.pi - angle) * angle.cos()) / (2 * math.pi * 20)
    torch.testing.assert_close((features @ features.T).double(), kernel, atol=0.03, rtol=0.03)


def test_random_features_are_those_of_their_seed_and_no_part_of_the_weights() -> None:
    inputs = torch.randn(3, 1, 4, 5)
    before = torch.get_rng_state()
    first, again, other = (RandomFeatures(IMAGES, count=8, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first(inputs), again(inputs)) and not torch.allclose(first(inputs), other(inputs))
    assert set(first.state_dict()) == {"mean", "std"}


@pytest.mark.parametrize("name", ["random", "pca"])
def test_tokens_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"features '{name}' needs numbers, and an example of data 'text' is tokens"):
        FEATURES.build(Choice(name), spec=TEXT)
    require_flat(IMAGES, name)


def test_a_model_is_taken_apart_from_its_features() -> None:
    features, linear = RandomFeatures(IMAGES, count=2), torch.nn.Linear(2, 3)
    assert isinstance(features, FeatureMap)
    assert parts(linear) == (None, linear)
    both = torch.nn.Sequential()
    both.add_module("features", features)
    both.add_module("model", linear)
    assert parts(both) == (features, linear)
