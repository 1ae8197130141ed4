"""Reconstruction: an autoencoder's error in pixels, and on a table what principal components explain."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from dlcourse.data.split import TensorSplit
from dlcourse.device import cpu
from dlcourse.models.autoencoder import Autoencoder
from dlcourse.spec import Data, DataSpec
from dlcourse.tasks.generative_task import Generative
from dlcourse.tasks.reconstruction import Reconstruction
from dlcourse.training.evaluate import evaluate

IMAGES = DataSpec("gray", (1, 6, 5), 2, class_names=("a", "b"), pixel_mean=(0.25,), pixel_std=(0.5,))
TABLE = DataSpec("table", (4,), 1, "value")


def test_images_are_measured_in_squared_pixels() -> None:
    torch.manual_seed(0)
    model, pixels = Autoencoder(IMAGES, hidden=(8,), latent=3), torch.rand(21, 1, 6, 5)
    split = TensorSplit(IMAGES.from_pixels(pixels), torch.arange(21) % 2)
    task = Reconstruction(model, IMAGES, cpu())
    scalars = evaluate(task, split, 4, full=True).scalars
    errors = (model(pixels) - pixels).double().square()
    assert scalars["loss"] == pytest.approx(errors.mean().item(), rel=1e-5)
    spread = (pixels.double() - pixels.double().mean(0)).square().sum()
    assert scalars["explained"] == pytest.approx(1 - (errors.sum() / spread).item(), rel=1e-4)
    assert task.losses(next(split.batches(21)))["loss"].item() == pytest.approx(scalars["loss"], rel=1e-5)
    assert not isinstance(task, Generative)


def test_a_linear_autoencoder_of_a_table_explains_what_its_principal_components_do() -> None:
    random = np.random.default_rng(0)
    numbers = (random.normal(size=(60, 4)) @ random.normal(size=(4, 4)) * [1, 50, 1, 0.01] + [0, 900, 7, 0]).astype(
        "f4"
    )
    split = TensorSplit(torch.from_numpy(numbers), torch.zeros(60, 1))
    model = Autoencoder(TABLE, hidden=(), latent=2)
    task = Reconstruction(model, TABLE, cpu())
    task.prepare(Data(TABLE, split, split, split))
    reference = PCA(2).fit(StandardScaler().fit_transform(numbers))
    components = torch.from_numpy(reference.components_).float()  # (L, D)
    with torch.no_grad():
        model.encoder[-1].weight.copy_(components)
        model.decoder[-1].weight.copy_(components.T)
        model.encoder[-1].bias.zero_()
        model.decoder[-1].bias.zero_()
    explained = reference.explained_variance_ratio_.sum()
    report = evaluate(task, split, 7, full=True)
    assert report.scalars["explained"] == pytest.approx(explained, abs=1e-5)
    assert report.scalars["loss"] == pytest.approx(1 - explained, abs=1e-5), "the variance of each number is 1"
    assert set(report.pictures) == {"codes"}
