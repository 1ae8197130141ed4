"""Generative adversarial networks: both losses and penalties against closed forms, two optimizers, whole runs."""

import json
import math

import pytest
import torch
from torch import nn

from dlcourse.data.split import TensorSplit
from dlcourse.device import cpu
from dlcourse.errors import ConfigError
from dlcourse.models.gan import GAN
from dlcourse.plots import ImageGrid, SampledPoints
from dlcourse.spec import Batch, DataSpec
from dlcourse.tasks.adversarial import Adversarial
from dlcourse.tasks.generative_task import SampleRequest
from dlcourse.training.evaluate import evaluate
from plain_sgd import plain_sgd

POINTS = DataSpec("toy", (2,), 3, class_names=("a", "b", "c"))
TINY = {"hidden": (8,), "latent": 4}


def images(height, width, channels=1, **changes):
    moments = {"pixel_mean": (0.2,) * channels, "pixel_std": (0.3,) * channels}
    return DataSpec("toy", (channels, height, width), 3, class_names=("a", "b", "c"), **moments, **changes)


def task(model=None, spec=POINTS, make_optimizer=None, **options):
    adversarial = Adversarial(model or GAN(spec, **TINY), spec, cpu(), **options)
    adversarial.start(make_optimizer or plain_sgd())
    return adversarial


def batch(spec, count=6):
    return Batch(torch.randn(count, *spec.input_shape), torch.arange(count) % 3)


def weights(module):
    return [parameter.detach().clone() for parameter in module.parameters()]


def same(first, second):
    return all(torch.equal(one, two) for one, two in zip(first, second, strict=True))


@pytest.mark.parametrize("size", [(8, 8), (9, 12), (28, 28), (32, 32), (17, 33), (48, 48), (64, 64)])
@pytest.mark.parametrize("norm", ["none", "spectral"])
def test_images_of_any_size(size, norm):
    spec = images(*size, channels=3)
    model = GAN(spec, channels=2, latent=5, norm=norm)
    generated, logits = model(torch.randn(4, 3, *size))
    assert generated.shape == (4, 3, *size) and logits.shape == (4,)
    pixels = spec.to_pixels(generated)
    assert pixels.min() >= -1e-6 and pixels.max() <= 1 + 1e-6
    model(spec.zeros(1))
    model.eval()(spec.zeros(1))


def test_the_networks_of_mnist_are_those_of_dcgan():
    model = GAN(images(28, 28), channels=32, latent=64)
    assert sum(weight.numel() for weight in model.generator.parameters()) == (
        64 * 64 * 49 + 2 * 64 + 64 * 32 * 16 + 2 * 32 + 32 * 16 + 1
    )
    assert sum(weight.numel() for weight in model.discriminator.parameters()) == (
        (16 + 1) * 32 + (32 * 16 + 1) * 64 + 64 * 49 + 1
    )


def test_the_discriminator_judges_each_example_alone():
    model = GAN(images(12, 12), channels=4).train()
    inputs = torch.randn(5, 1, 12, 12)
    alone = torch.cat([model.discriminator(one[None]) for one in inputs])
    torch.testing.assert_close(model.discriminator(inputs), alone)


@pytest.mark.parametrize(
    ("spec", "options", "words"),
    [
        (
            DataSpec("wide", (4,), 3),
            {},
            "model 'gan' generates images or points in the plane, and data 'wide' has examples",
        ),
        (DataSpec("words", (9,), 2, vocabulary=("a", "b")), {}, "data 'words' has tokens"),
        (POINTS, {"arch": "conv"}, "model 'gan' with model.arch=conv needs images, and an example of data 'toy'"),
        (DataSpec("line", (2,), 1, "value"), {"conditional": True}, "needs classes, and data 'line' has numbers"),
    ],
)
def test_data_that_a_gan_does_not_take(spec, options, words):
    with pytest.raises(ConfigError, match=words):
        GAN(spec, **options)


def test_the_task_needs_a_gan():
    with pytest.raises(ConfigError, match="task 'adversarial' needs a generator and a discriminator; write model=gan"):
        task(nn.Linear(2, 2))
    with pytest.raises(ConfigError, match=r"task\.label_smoothing=0\.1 needs probabilities"):
        task(loss="wasserstein", label_smoothing=0.1)


def test_losses_in_closed_form():
    undecided = torch.zeros(7)
    assert float(task().discriminator_loss(undecided, undecided)) == pytest.approx(2 * math.log(2))
    assert float(task().generator_loss(undecided)) == pytest.approx(math.log(2))
    real, fake = torch.tensor([0.3, 2.0]), torch.tensor([-1.0, 0.5])
    expected = (-real.sigmoid().log() - (1 - fake.sigmoid()).log()).mean()
    assert float(task().discriminator_loss(real, fake)) == pytest.approx(float(expected))
    smooth = (-0.9 * real.sigmoid().log() - 0.1 * (-real).sigmoid().log() - (-fake).sigmoid().log()).mean()
    assert float(task().discriminator_loss(real, fake, real_target=0.9)) == pytest.approx(float(smooth))
    critic = task(loss="wasserstein")
    assert float(critic.discriminator_loss(real, fake)) == pytest.approx(-0.25 - 1.15)
    assert float(critic.generator_loss(fake)) == pytest.approx(0.25)


def test_labels_are_smoothed_while_training_and_not_in_evaluation():
    torch.manual_seed(0)
    split = TensorSplit(torch.randn(40, 2), torch.arange(40) % 3)
    losses = {}
    for smoothing in (0.0, 0.3):
        torch.manual_seed(0)
        trained = task(label_smoothing=smoothing)
        trained.model.discriminator.head.bias.data.fill_(2.0)
        evaluated = evaluate(trained, split, 7).scalars["loss"]
        losses[smoothing] = evaluated, float(trained.train_step(next(split.batches(40)))["loss"])
    assert losses[0.0][0] == losses[0.3][0]
    assert losses[0.3][1] == pytest.approx(losses[0.0][1] + 0.3 * 2.0, abs=0.2)


def linear_critic(loss, weight):
    """The penalty of a critic x -> w x, whose gradient is w everywhere, and w."""
    model = GAN(POINTS, **TINY)
    model.discriminator.features, model.discriminator.head = nn.Identity(), nn.Linear(2, 1)
    with torch.no_grad():
        model.discriminator.head.weight.copy_(torch.tensor([[3.0, 4.0]]))
    found = task(model, loss=loss, gradient_penalty=weight).penalty(torch.randn(5, 2), torch.randn(5, 2))
    return found, model.discriminator.head.weight


def test_penalty_of_a_linear_critic():
    found, weight = linear_critic("wasserstein", 10.0)  # points are stretched by 4: the gradient is 4 w, of length 20
    assert float(found.detach()) == pytest.approx(10 * (20 - 1) ** 2)
    (gradient,) = torch.autograd.grad(found, weight)
    assert gradient[0].tolist() == pytest.approx([10 * 2 * 19 * 4 * 0.6, 10 * 2 * 19 * 4 * 0.8])
    found, weight = linear_critic("nonsaturating", 3.0)
    assert float(found.detach()) == pytest.approx(1.5 * 400)
    (gradient,) = torch.autograd.grad(found, weight)
    assert gradient[0].tolist() == pytest.approx([16 * 9.0, 16 * 12.0])


def test_penalty_against_finite_differences():
    model = GAN(POINTS, conditional=True, **TINY).double()
    real, labels = torch.randn(4, 2, dtype=torch.float64), torch.tensor([0, 1, 2, 0])
    found = task(model, gradient_penalty=2.0).penalty(real, real, labels)
    step = 1e-6 * torch.eye(2, dtype=torch.float64)
    slopes = [
        (model.discriminator(real + move, labels) - model.discriminator(real - move, labels)) / 2e-6 for move in step
    ]
    assert float(found.detach()) == pytest.approx(float(torch.stack(slopes).detach().square().sum(0).mean()), rel=1e-6)


def test_a_critics_penalty_is_taken_at_random_places_between_real_and_made_up_examples():
    class Paraboloid(nn.Module):
        """x -> |x|^2, whose gradient is 2 x; keeps where it was asked."""

        def forward(self, inputs, labels=None):
            self.places = inputs.detach()
            return inputs.square().sum(1)

    torch.manual_seed(0)
    critic = task(loss="wasserstein", gradient_penalty=10.0)
    critic.model.discriminator = Paraboloid()
    real, fake = torch.randn(50, 2), torch.randn(50, 2) + 5
    found = critic.penalty(real, fake)
    places = critic.model.discriminator.places
    shares = (places - fake) / (real - fake)  # the same in both coordinates
    torch.testing.assert_close(shares[:, 0], shares[:, 1], rtol=1e-3, atol=1e-3)
    assert 0 <= shares.min() < 0.2 and 0.8 < shares.max() <= 1
    assert float(found.detach()) == pytest.approx(float(10 * (2 * places.norm(dim=1) - 1).square().mean()), rel=1e-5)


def test_usual_penalties():
    assert float(task().train_step(batch(POINTS))["penalty"]) == 0
    assert float(task(loss="wasserstein").train_step(batch(POINTS))["penalty"]) > 0


@pytest.mark.parametrize("accumulate", [1, 2])
def test_each_optimizer_moves_its_own_network_by_its_own_gradient(accumulate):
    torch.manual_seed(0)
    adversarial = task(make_optimizer=plain_sgd(accumulate=accumulate))
    model = adversarial.model
    examples = batch(POINTS)
    real = examples.inputs

    def move_generator():
        adversarial._optimizer.count()
        adversarial.descend_generator(examples)

    generator, discriminator = weights(model.generator), weights(model.discriminator)
    total = [torch.zeros_like(weight) for weight in discriminator]
    for _ in range(accumulate):
        state = torch.get_rng_state()
        with torch.no_grad():
            fake = model.generator(model.noise(6))
        loss = adversarial.discriminator_loss(model.discriminator(real), model.discriminator(fake))
        parts = torch.autograd.grad(loss, list(model.discriminator.parameters()))
        total = [one + two / accumulate for one, two in zip(total, parts, strict=True)]
        torch.set_rng_state(state)
        adversarial._critic_optimizer.count()
        adversarial.descend_critic(examples)
        if accumulate == 2:
            move_generator()
    for old, gradient, new in zip(discriminator, total, weights(model.discriminator), strict=True):
        torch.testing.assert_close(new, old - 0.01 * gradient)
    assert same(generator, weights(model.generator)) == (accumulate == 1)
    discriminator = weights(model.discriminator)
    for _ in range(accumulate):
        move_generator()
    assert not same(generator, weights(model.generator)) and same(discriminator, weights(model.discriminator))
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_the_generator_learns_nothing_from_the_discriminators_loss():
    """The average of two gradients of its own loss moves it, where gradients are kept from step to step."""
    torch.manual_seed(0)
    model = GAN(POINTS, **TINY)
    lrs = {model.generator: 0.01, model.discriminator: 0.0}
    adversarial = task(
        model, make_optimizer=lambda module, every=1, times=1: plain_sgd(lrs[module], accumulate=2)(module)
    )
    generator, real = weights(model.generator), batch(POINTS)
    total = [torch.zeros_like(weight) for weight in generator]
    for _ in range(2):
        state = torch.get_rng_state()
        model.noise(6)  # for the discriminator
        loss = adversarial.generator_loss(model.discriminator(model.generator(model.noise(6))))
        parts = torch.autograd.grad(loss, list(model.generator.parameters()))
        total = [one + two / 2 for one, two in zip(total, parts, strict=True)]
        torch.set_rng_state(state)
        adversarial.train_step(real)
    for old, gradient, new in zip(generator, total, weights(model.generator), strict=True):
        torch.testing.assert_close(new, old - 0.01 * gradient)


def test_frozen_weights_stay_frozen():
    model = GAN(POINTS, **TINY)
    model.discriminator.head.requires_grad_(False)
    adversarial = task(model)
    adversarial.train_step(batch(POINTS))
    assert not model.discriminator.head.weight.requires_grad
    assert model.discriminator.features[1].weight.requires_grad


def test_the_generator_waits_for_the_critic():
    adversarial = task(loss="wasserstein", critic_steps=3)
    changed = []
    for _ in range(6):
        before = weights(adversarial.model.generator)
        scalars = adversarial.train_step(batch(POINTS))
        changed.append(not same(before, weights(adversarial.model.generator)))
        assert all(value.ndim == 0 and not value.requires_grad for value in scalars.values())
    assert changed == [True, False, False, True, False, False]
    assert set(scalars) == {"loss", "loss_discriminator", "loss_generator", "d_real", "d_fake", "penalty"}


@pytest.mark.parametrize("spec", [POINTS, images(8, 8)])
def test_conditional_networks_hear_the_class(spec):
    model = GAN(spec, conditional=True, hidden=(8,), channels=4, latent=4).eval()
    inputs = torch.randn(1, *spec.input_shape).repeat(3, *[1] * len(spec.input_shape))
    logits = model.discriminator(inputs, torch.arange(3))
    assert len(set(logits.tolist())) == 3
    made = model.generator(torch.zeros(3, 4), torch.arange(3)).flatten(1)
    assert torch.pdist(made).min() > 0


def test_samples_that_are_asked_for():
    spec = images(8, 8)
    plain = task(GAN(spec, channels=4).eval(), spec)
    conditional = task(GAN(spec, channels=4, conditional=True).eval(), spec)
    with torch.no_grad():
        grid = plain.sample(SampleRequest()).pictures["samples"]
        assert isinstance(grid, ImageGrid) and len(grid.images) == 64
        grid = conditional.sample(SampleRequest(count=5)).pictures["samples"]
        assert isinstance(grid, ImageGrid) and grid.captions == ["a", "b", "c", "a", "b"]
        grid = conditional.sample(SampleRequest(count=2, label="c")).pictures["samples"]
        assert isinstance(grid, ImageGrid) and grid.captions == ["c", "c"]
        points = task().sample(SampleRequest(count=70)).pictures["samples"]
        assert isinstance(points, SampledPoints) and len(points.generated) == 70
    with pytest.raises(ConfigError, match=r"--label has no meaning for this run; it takes --count$"):
        plain.sample(SampleRequest(label="a"))
    with pytest.raises(ConfigError, match=r"--steps has no meaning for this run; it takes --count, --label$"):
        conditional.sample(SampleRequest(steps=3))
    with pytest.raises(ConfigError, match=r"--label: no class 'd'; there are: a, b, c"):
        conditional.sample(SampleRequest(label="d"))


def metrics(run, name):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [row[name] for row in rows if name in row]


def test_a_run_on_points(lab):
    run = lab.train(
        *("model=gan", "data=ring", "data.size=400", "task.samples=200", "model.hidden=[16]"),
        *("trainer.epochs=2", "trainer.batch_size=64", "task.gradient_penalty=1"),
    )
    assert "energy distance" in lab.out and "modes" in lab.out
    assert len(metrics(run, "val/energy_distance")) == 2
    for name in ("val/modes", "val/good", "val/d_fake", "train/d_real", "train/loss_generator", "train/penalty"):
        assert metrics(run, name), name


@pytest.mark.usefixtures("with_pictures")
def test_a_run_on_images(lab):
    run = lab.train(
        *("model=gan", "data=digits", "data.subset=300", "task.samples=60", "model.channels=4", "trainer.epochs=1"),
        *("model.conditional=true", "task.loss=wasserstein", "task.critic_steps=2"),
    )
    assert "reference classifier" in lab.out and "Frechet" in lab.out
    assert 0 <= metrics(run, "test/recognized")[0] <= 1
    assert list(run.rglob("*samples*.png")) and list(run.rglob("*nearest*.png"))
