import math

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import nn
from torch.distributions import Bernoulli, Normal

from dlcourse.config.registry import Choice
from dlcourse.data.split import TensorSplit
from dlcourse.device import cpu
from dlcourse.errors import ConfigError
from dlcourse.models import MODELS
from dlcourse.models.autoencoder import VAE, Autoencoder
from dlcourse.plots import to_image
from dlcourse.spec import Batch, Data, DataSpec
from dlcourse.tasks import TASKS
from dlcourse.tasks.generative_task import SampleRequest
from dlcourse.tasks.latent_codes import principal_plane
from dlcourse.tasks.variational import Variational, kl_per_dimension
from dlcourse.training.evaluate import evaluate
from lab import Lab, report

IMAGES = DataSpec("gray", (1, 6, 5), 2, class_names=("a", "b"), pixel_mean=(0.25,), pixel_std=(0.5,))
TABLE = DataSpec("table", (3,), 1, "value")
POINTS = DataSpec("points", (2,), 2, class_names=("a", "b"))


class Resting:
    """An optimizer that never moves."""

    lr = 0.0

    def count(self) -> bool:
        return True

    def descend(self, loss: torch.Tensor) -> None:
        assert loss.ndim == 0


def build(spec: DataSpec, latent: int = 3, **options: object) -> Variational:
    torch.manual_seed(0)
    model = VAE(spec, hidden=(8,), latent=latent)
    task = TASKS.build(Choice("variational", options), model=model, spec=spec, device=cpu())
    task.start(lambda module, every=1, times=1: Resting())
    assert isinstance(task, Variational)
    return task


def split_of(spec: DataSpec, count: int) -> TensorSplit:
    generator = torch.Generator().manual_seed(1)
    numbers = torch.rand(count, *spec.input_shape, generator=generator)
    if spec.target == "value":
        return TensorSplit(numbers, torch.rand(count, 1, generator=generator))
    inputs = spec.from_pixels(numbers) if spec.is_image else numbers
    return TensorSplit(inputs, torch.randint(0, 2, (count,), generator=generator))


def test_the_mlp_has_the_layers_of_the_example_and_its_parameters() -> None:
    mnist = DataSpec("mnist", (1, 28, 28), 10)
    layers = [tuple(layer.weight.shape) for layer in VAE(mnist).modules() if isinstance(layer, nn.Linear)]
    assert layers == [(400, 784), (20, 400), (20, 400), (400, 20), (784, 400)]
    assert sum(parameter.numel() for parameter in VAE(mnist).parameters()) == 652_824


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 7, 10), (2, 5, 1)])
@pytest.mark.parametrize("arch", ["mlp", "conv"])
def test_outputs_have_the_shape_of_the_inputs(arch: str, shape: tuple[int, ...]) -> None:
    spec = DataSpec("images", shape, 1, "value")
    outputs, mean, log_variance = VAE(spec, arch=arch, channels=(4, 6), latent=5)(spec.zeros(2))
    assert (outputs.shape, mean.shape, log_variance.shape) == ((2, *shape), (2, 5), (2, 5))
    reconstruction = Autoencoder(spec, arch=arch, channels=(4, 6))(spec.zeros(2))
    assert reconstruction.shape == (2, *shape) and 0 < reconstruction.min() <= reconstruction.max() < 1


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        (DataSpec("line", (1,), 1, "value"), {}),
        (DataSpec("series", (9, 2), 1, "value"), {}),
        (DataSpec("words", (9,), 2, vocabulary=("a", "b")), {}),
        (POINTS, {"arch": "conv"}),
        (IMAGES, {"arch": "conv", "channels": []}),
    ],
)
@pytest.mark.parametrize("name", ["vae", "autoencoder"])
def test_what_has_no_code_is_refused(name: str, spec: DataSpec, options: dict) -> None:
    with pytest.raises(ConfigError, match=f"^model '{name}' .*data '{spec.name}' |^model.channels must"):
        MODELS.build(Choice(name, options), spec=spec)


def test_tasks_refuse_other_models_and_probabilities_of_what_is_no_pixel() -> None:
    for name in ("variational", "reconstruction"):
        with pytest.raises(ConfigError, match=rf"^task '{name}' needs .*; write model="):
            TASKS.build(Choice(name), model=nn.Linear(2, 2), spec=POINTS, device=cpu())
    with pytest.raises(ConfigError, match=r"^task 'variational' needs images .*; write task.likelihood=gaussian$"):
        build(POINTS, likelihood="bernoulli")


def test_the_divergence_is_that_of_many_draws() -> None:
    mean, log_variance = torch.tensor([[0.5, -1.0]]), torch.tensor([[-1.0, 0.6]])
    posterior = Normal(mean, (0.5 * log_variance).exp())
    torch.manual_seed(0)
    draws = posterior.sample((200_000,))
    estimate = (posterior.log_prob(draws) - Normal(0.0, 1.0).log_prob(draws)).mean(0)
    assert torch.allclose(kl_per_dimension(mean, log_variance), estimate, atol=0.01)


def test_surprise_is_the_distributions() -> None:
    outputs, seen = 3 * torch.randn(4, 1, 6, 5), torch.rand(4, 1, 6, 5)
    expected = -Bernoulli(logits=outputs, validate_args=False).log_prob(seen).flatten(1).sum(1)
    assert torch.allclose(build(IMAGES).surprise(outputs, seen), expected, rtol=1e-5)
    task = build(TABLE)
    task.model.variance.fill_(0.3)
    outputs, seen = torch.randn(5, 4, 3), torch.randn(4, 3)
    expected = -Normal(outputs, math.sqrt(0.3)).log_prob(seen).sum(-1)  # (5, 4)
    assert torch.allclose(task.surprise(outputs, seen), expected, rtol=1e-5)


@pytest.mark.parametrize(("spec", "beta"), [(IMAGES, 4.0), (TABLE, 1.0)])
def test_the_terms_of_an_evaluation_add_up_whatever_beta_and_batches_are(spec: DataSpec, beta: float) -> None:
    task, split = build(spec, beta=beta), split_of(spec, 23)
    scalars = evaluate(task, split, 23).scalars
    assert scalars["loss"] == scalars["reconstruction"] + scalars["kl"]
    seen = spec.to_pixels(split.inputs) if spec.is_image else split.inputs
    assert scalars["kl"] == pytest.approx(kl_per_dimension(*task.model.encode(seen)).sum(1).mean().item(), rel=1e-5)
    assert evaluate(task, split, 7).scalars["kl"] == pytest.approx(scalars["kl"], rel=1e-6)
    assert ("bits_per_dim" in scalars) == spec.is_image
    assert "bits_per_dim" not in evaluate(build(spec, likelihood="gaussian"), split, 23).scalars
    if spec.is_image:
        assert scalars["bits_per_dim"] == pytest.approx(scalars["loss"] / 30 / math.log(2))


def test_losses_add_up_with_beta_which_rises_with_the_steps() -> None:
    task = build(IMAGES, beta=2.0, kl_warmup=4)
    batch = next(split_of(IMAGES, 8).batches(8))
    shares = []
    for _ in range(6):
        losses = task.train_step(batch)
        shares.append(((losses["loss"] - losses["reconstruction"]) / losses["kl"]).item())
    assert shares == pytest.approx([0, 0.5, 1, 1.5, 2, 2], abs=1e-3)


def test_the_bound_tightens_with_the_samples_from_the_elbo_on() -> None:
    task, pixels = build(IMAGES), torch.rand(4, 1, 6, 5)
    with torch.no_grad():
        task.model.log_variance.bias.add_(1.0)  # a poor posterior, so that there is something to gain
        many = pixels.repeat(3000, 1, 1, 1)
        outputs, mean, log_variance = task.model(many)
        elbo = float((task.surprise(outputs, many) + kl_per_dimension(mean, log_variance).sum(1)).mean())
        bounds = [float(task.importance_bound(many, samples).mean()) for samples in (1, 5, 25)]
        truth = float(task.importance_bound(pixels, 40_000).mean())
    assert bounds[0] == pytest.approx(elbo, abs=0.1)
    assert elbo - 0.3 > bounds[1] > bounds[2] + 0.1 > truth


def test_the_bound_is_exact_where_the_posterior_is() -> None:
    task = build(TABLE, latent=2)
    with torch.no_grad():
        for parameter in task.model.parameters():
            parameter.zero_()  # the code says nothing: the posterior is the prior, and the output is 0
        seen = torch.randn(6, 3)
        expected = -Normal(0.0, 1.0).log_prob(seen).sum(1)
        assert torch.allclose(task.importance_bound(seen, 3), expected, rtol=1e-5)


def test_a_collapsed_model_has_no_active_unit() -> None:
    task, split = build(IMAGES), split_of(IMAGES, 20)
    with torch.no_grad():
        task.model.mean.weight.zero_()
        task.model.log_variance.weight.zero_()
    assert evaluate(task, split, 20).scalars["active_units"] == 0
    with torch.no_grad():
        task.model.mean.weight[1] = 100.0
    result = evaluate(task, split, 20, full=True)
    assert result.scalars["active_units"] == 1
    assert [row[0] for row in result.tables["kl_per_dimension"] if row[3] == 1] == [2]


def test_a_full_report_has_pictures_that_draw() -> None:
    result = evaluate(build(IMAGES, latent=2, samples=2), split_of(IMAGES, 30), 30, full=True)
    expected = {"samples", "reconstructions", "kl_per_dimension", "codes", "traversals", "manifold"}
    assert set(result.pictures) == expected
    originals = np.asarray(result.pictures["reconstructions"].images)[0]
    assert originals == pytest.approx(IMAGES.to_pixels(split_of(IMAGES, 30).inputs[:10]).numpy(), abs=1e-6)
    assert result.details["importance_weighted"]["examples"] == 30
    assert all(to_image(result.pictures[name]).size for name in ("manifold", "codes", "kl_per_dimension"))


def test_a_table_is_seen_at_mean_zero_and_deviation_one_and_made_in_its_own_units() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(400, 2, generator=generator) * torch.tensor([100.0, 0.1]) + torch.tensor([500.0, -3.0])
    split = TensorSplit(inputs, torch.zeros(400, dtype=torch.int64))
    task = build(POINTS)
    task.prepare(Data(POINTS, split, split, split))
    with torch.no_grad():
        for parameter in task.model.parameters():
            parameter.zero_()
    scalars = evaluate(task, split, 100).scalars
    assert scalars["loss"] == pytest.approx(math.log(2 * math.pi) + 1, abs=1e-4)  # the entropy of two standard normals
    with torch.no_grad():
        made = task.make(torch.zeros(4000, 3))
    assert made.mean(0).tolist() == pytest.approx(inputs.mean(0).tolist(), rel=0.02)
    assert made.std(0).tolist() == pytest.approx(inputs.std(0).tolist(), rel=0.05)


def test_the_variance_follows_the_error() -> None:
    task = build(TABLE)
    with torch.no_grad():
        for parameter in task.model.parameters():
            parameter.zero_()
    for _ in range(200):
        task.train_step(Batch(torch.full((4, 3), 0.5), torch.zeros(4, 1)))
    assert task.model.variance.item() == pytest.approx(0.25, rel=1e-3)


def test_samples_are_as_many_as_asked_for() -> None:
    with torch.no_grad():
        sheet = build(IMAGES).sample(SampleRequest(count=11)).pictures["samples"]
        text = build(TABLE).sample(SampleRequest(count=3)).texts["samples"]
    images = np.asarray(sheet.images)
    assert images.shape[:2] == (2, 8) and (images.reshape(16, -1).max(1) > 0).sum() == 11
    assert text.splitlines()[0] == "x1,x2,x3" and len(text.splitlines()) == 4
    with pytest.raises(ConfigError, match="it takes --count"):
        build(IMAGES).sample(SampleRequest(prompt="a"))


def test_the_plane_of_codes_is_that_of_scikit_learn() -> None:
    codes = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)) @ torch.diag(torch.tensor([3.0, 1, 5, 2]))
    plane, shares = principal_plane(codes)
    reference = PCA(2).fit(codes.numpy())
    assert shares == pytest.approx(reference.explained_variance_ratio_, rel=1e-4)
    assert np.abs(plane.numpy()) == pytest.approx(np.abs(reference.transform(codes.numpy())), abs=1e-3)


@pytest.mark.usefixtures("with_pictures")
def test_a_short_training_beats_what_the_prior_alone_explains(lab: Lab) -> None:
    run = lab.train("model=vae", "model.hidden=[64]", "model.latent=4", "trainer.epochs=8", "optimizer.lr=0.01")
    result = report(run)
    assert result["test"]["loss"] < 26 < result["test"]["loss"] + result["test"]["kl"]
    assert result["importance_weighted"]["loss"] < result["test"]["loss"]
    assert (run / "progress" / "samples_0008.png").is_file()
    assert lab.attempt("model=vae", "task=classification") == 2 and "one output for each of the 10 classes" in lab.err
