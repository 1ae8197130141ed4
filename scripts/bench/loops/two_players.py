"""A GAN by hand: two optimizers, the non-saturating loss; the networks are those of `model=gan`."""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from bench import mnist, nets
from bench.contests import Figures, Work
from bench.loops.timing import Timing
from dlcourse.config.registry import Choice
from dlcourse.models import MODELS
from dlcourse.models.gan import GAN
from dlcourse.spec import DataSpec

Players = tuple[torch.optim.Optimizer, torch.optim.Optimizer]


def run(work: Work) -> Figures:
    """Train."""
    images = torch.from_numpy(mnist.read(work)[0])[:, None]  # (N, 1, 28, 28)
    spec = DataSpec("mnist", (1, 28, 28), 10, pixel_mean=(mnist.MEAN,), pixel_std=(mnist.STD,))
    gan = MODELS.build(Choice("gan"), spec=spec)
    assert isinstance(gan, GAN)
    optimizers = (
        torch.optim.Adam(gan.discriminator.parameters(), lr=1e-3),
        torch.optim.Adam(gan.generator.parameters(), lr=1e-3),
    )
    timing = Timing()
    for _ in range(work.epochs):
        timing.begin_epoch()
        running_loss = 0.0
        for chosen in torch.randperm(len(images)).split(work.batch):
            real = (images[chosen].float() / 255 - mnist.MEAN) / mnist.STD
            running_loss += _step(gan, optimizers, real)
            timing.after_step()
        timing.end_epoch()
    return Figures(nets.parameters(gan), timing.speed(len(images)), timing.first_step_at)


def _step(gan: GAN, optimizers: Players, real: Tensor) -> float:
    """One step of the discriminator, one of the generator, whose loss it returns."""
    fake = gan.generator(torch.randn(len(real), gan.latent))
    loss = softplus(-gan.discriminator(real)).mean() + softplus(gan.discriminator(fake.detach())).mean()
    optimizers[0].zero_grad()
    loss.backward()
    optimizers[0].step()
    loss = softplus(-gan.discriminator(fake)).mean()
    optimizers[1].zero_grad()
    loss.backward()
    optimizers[1].step()
    return float(loss.item())
