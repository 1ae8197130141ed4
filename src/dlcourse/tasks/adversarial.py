"""Adversarial training: a discriminator learns to tell generated examples from real ones, a generator to fool it.

B is a batch size, N a number of examples, K the number of classes.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from dlcourse.config.options import Count, Fraction, NonNegative, Range
from dlcourse.device import Device
from dlcourse.errors import ConfigError
from dlcourse.metrics.generative import SampleScores
from dlcourse.metrics.report import Report
from dlcourse.models.gan import GAN
from dlcourse.optim.step import MakeOptimizer, ScheduledOptimizer
from dlcourse.plots import ImageGrid, Picture, SampledPoints
from dlcourse.spec import Batch, DataSpec, Split
from dlcourse.state_dict import State
from dlcourse.tasks.generative_task import GenerativeTask, SampleRequest
from dlcourse.tasks.task import Scalars

AdversarialLoss = Literal["nonsaturating", "wasserstein"]
Several = Annotated[int, Range(ge=2)]

_USUAL_PENALTY: dict[AdversarialLoss, float] = {"nonsaturating": 0.0, "wasserstein": 10.0}
_IMAGES, _COLUMNS = 64, 8
_NEAREST = 8
_POINTS = 1000
_BATCH_SIZE = 250


class Adversarial(GenerativeTask):
    """Two losses and two optimizers, one for each network of a GAN.

    `nonsaturating` is Goodfellow's (2014): cross-entropy for the discriminator, and the generator maximizes the logarithm
    of the probability that its examples pass for real. `wasserstein` is the critic of WGAN-GP (Gulrajani 2017). The
    generator learns from the first batch and from every `critic_steps`-th after it.

    `gradient_penalty` weighs (|gradient| - 1)^2 between real and generated examples with `wasserstein`, and half of
    |gradient|^2 at real ones with `nonsaturating` (R1, Mescheder 2018); None is 10 and 0. `label_smoothing` lowers the
    discriminator's target for real examples from 1 (one-sided, Salimans 2016).

    The `loss` that is shown is the discriminator's, without its penalty, and in evaluations without label smoothing. It
    does not fall as the generator gets better: at equilibrium it is 2 ln 2 = 1.386 (nonsaturating), and 0 (wasserstein),
    where its negative estimates a distance. `d_real` and `d_fake` are mean probabilities of being real, and mean scores
    with `wasserstein`.
    """

    model: GAN
    recordable = ("descend_critic", "descend_generator")
    loss_tells: ClassVar[bool] = False
    _optimizer: ScheduledOptimizer
    _critic_optimizer: ScheduledOptimizer
    words: ClassVar[dict[str, str]] = GenerativeTask.words | {
        "frechet": "Frechet {:.4g}",
        "energy_distance": "energy distance {:.3g}",
    }

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        device: Device,
        loss: AdversarialLoss = "nonsaturating",
        critic_steps: Count = 1,
        gradient_penalty: NonNegative | None = None,
        label_smoothing: Fraction = 0.0,
        samples: Several = 2000,
    ) -> None:
        if not isinstance(model, GAN):
            raise ConfigError("task 'adversarial' needs a generator and a discriminator; write model=gan")
        if loss == "wasserstein" and label_smoothing:
            raise ConfigError(
                f"task.label_smoothing={label_smoothing} needs probabilities, and task.loss=wasserstein has none; write "
                "task.label_smoothing=0"
            )
        for name, network in (("generator", model.generator), ("discriminator", model.discriminator)):
            if not any(parameter.requires_grad for parameter in network.parameters()):
                raise ConfigError(f"freeze leaves nothing of the {name} to train, and task 'adversarial' trains both")
        super().__init__(model, spec, device)
        self.monitor = SampleScores.monitor_for(spec)
        self.main_metric = self.monitor
        self._loss = loss
        self._critic_steps = critic_steps
        self._penalty_weight = _USUAL_PENALTY[loss] if gradient_penalty is None else gradient_penalty
        self._real_target = 1.0 - label_smoothing
        self._samples = samples
        self._steps = 0
        self._loss_generator = torch.zeros((), device=device.torch_device)

    def start(self, make_optimizer: MakeOptimizer) -> None:
        self._optimizer = make_optimizer(self.model.generator, every=self._critic_steps)
        self._critic_optimizer = make_optimizer(self.model.discriminator)

    @property
    def lr(self) -> float:
        """The learning rate of the generator's latest update."""
        return self._optimizer.lr

    def train_step(self, batch: Batch) -> Scalars:
        self._critic_optimizer.count()
        scalars = self.descend_critic(batch)
        if self._steps % self._critic_steps == 0:
            self._optimizer.count()
            self._loss_generator = self.descend_generator(batch)["loss_generator"]
        self._steps += 1
        return scalars | {"loss_generator": self._loss_generator}

    def state_dict(self) -> State:
        return {
            "descent": self._optimizer.state_dict(),
            "critic_descent": self._critic_optimizer.state_dict(),
            "steps": self._steps,
            "loss_generator": self._loss_generator,
        }

    def load_state_dict(self, state: State) -> None:
        self._optimizer.load_state_dict(state["descent"])
        self._critic_optimizer.load_state_dict(state["critic_descent"])
        self._steps = int(state["steps"])
        self._loss_generator = state["loss_generator"].to(self.device.torch_device)

    def descend_critic(self, batch: Batch) -> Scalars:
        """The discriminator's step, after it is counted."""
        real, labels = batch.inputs, self._labels_of(batch)
        with self.device.autocast():
            with torch.no_grad():
                fake = self.model.generator(self.model.noise(len(real)), labels)
            real_logits = self.model.discriminator(real, labels)
            fake_logits = self.model.discriminator(fake, labels)
        loss = self.discriminator_loss(real_logits, fake_logits, self._real_target)
        penalty = self.penalty(real, fake, labels) if self._penalty_weight else torch.zeros_like(loss)
        self._critic_optimizer.descend(loss + penalty)
        return self._critic_scalars(loss, real_logits, fake_logits) | {"penalty": penalty.detach()}

    def descend_generator(self, batch: Batch) -> Scalars:
        """The generator's step, after it is counted."""
        noise, labels = self.model.noise(len(batch.inputs)), self._labels_of(batch)
        with _fixed(self.model.discriminator):
            with self.device.autocast():
                logits = self.model.discriminator(self.model.generator(noise, labels), labels)
            loss = self.generator_loss(logits)
            self._optimizer.descend(loss)
        return {"loss_generator": loss.detach()}

    def _labels_of(self, batch: Batch) -> Tensor | None:
        return batch.targets if self.model.is_conditional else None

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor, real_target: float = 1.0) -> Tensor:
        """What the discriminator minimizes, from its logits `(B,)` of real and of generated examples."""
        if self._loss == "wasserstein":
            return fake_logits.float().mean() - real_logits.float().mean()
        return _cross_entropy(real_logits, real_target) + _cross_entropy(fake_logits, 0.0)

    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        """What the generator minimizes, from the discriminator's logits `(B,)` of its examples."""
        if self._loss == "wasserstein":
            return -fake_logits.float().mean()
        return _cross_entropy(fake_logits, 1.0)

    def penalty(self, real: Tensor, fake: Tensor, labels: Tensor | None = None) -> Tensor:
        """The weighted penalty on the gradient of the discriminator at its inputs `(B, ...)`, a mean over the batch."""
        if self._loss == "nonsaturating":
            norms = self._gradient_norms(real, labels)
            return self._penalty_weight / 2 * norms.square().mean()
        share = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device)
        norms = self._gradient_norms(share * real + (1 - share) * fake, labels)
        return self._penalty_weight * (norms - 1).square().mean()

    def _gradient_norms(self, places: Tensor, labels: Tensor | None) -> Tensor:
        """The length `(B,)` of the discriminator's gradient at each of the places `(B, ...)`, to be descended itself."""
        places = places.detach().requires_grad_()
        logits = self.model.discriminator(places, labels)
        (gradients,) = torch.autograd.grad(logits.sum(), places, create_graph=True)
        return gradients.flatten(1).square().sum(1).add(1e-12).sqrt()  # the root has no gradient at 0

    def _critic_scalars(self, loss: Tensor, real_logits: Tensor, fake_logits: Tensor) -> Scalars:
        real, fake = real_logits.detach().float(), fake_logits.detach().float()
        if self._loss == "nonsaturating":
            real, fake = real.sigmoid(), fake.sigmoid()
        loss = loss.detach()
        return {"loss": loss, "loss_discriminator": loss, "d_real": real.mean(), "d_fake": fake.mean()}

    def generate(self, count: int, labels: Tensor | None = None) -> Tensor:
        """That many examples `(count, *input_shape)`, normalized as the data set's, of these classes if conditional."""
        noise = torch.split(self.model.noise(count), _BATCH_SIZE)
        parts = torch.split(labels, _BATCH_SIZE) if labels is not None else [None] * len(noise)
        with self.device.autocast():
            made = [self.model.generator(some, part).float() for some, part in zip(noise, parts, strict=True)]
        return torch.cat(made)

    def evaluate(self, split: Split, batch_size: int, *, full: bool = False) -> Report:
        report = Report(self._losses(split, batch_size))
        if self._scores is None or not math.isfinite(report.scalars["loss"]):
            report.scalars[self.monitor] = 0.0  # nothing is known of the real examples yet
            return report
        labels = self._labels(self._samples)
        samples = self.generate(self._samples, labels)
        report.scalars |= self._scores.scores(samples, labels)
        report.pictures["samples"] = self._picture(samples, labels, self._real_points(split, batch_size))
        if full:
            self._add_details(report, samples)
        return report

    def _losses(self, split: Split, batch_size: int) -> dict[str, float]:
        """Both losses on the split and as many generated examples, means over all of them."""
        real_logits, fake_logits = [], []
        for inputs, targets in split.batches(batch_size):
            labels = targets if self.model.is_conditional else None
            fake = self.generate(len(inputs), labels)
            with self.device.autocast():
                real_logits.append(self.model.discriminator(inputs, labels).float())
                fake_logits.append(self.model.discriminator(fake, labels).float())
        real, fake = torch.cat(real_logits), torch.cat(fake_logits)  # (N,) both
        scalars = self._critic_scalars(self.discriminator_loss(real, fake), real, fake)
        scalars["loss_generator"] = self.generator_loss(fake)
        return {name: float(value) for name, value in scalars.items()}

    def _add_details(self, report: Report, samples: Tensor) -> None:
        assert self._scores is not None
        words = [self.say(name, value) for name, value in report.scalars.items() if name in self.words]
        report.headline = "   ".join([*words, f"loss {report.scalars['loss']:.4g}"])
        report.lines.append(f"{self._samples:,} samples; the discriminator calls real examples real with probability")
        report.lines.append(
            f"{report.scalars['d_real']:.3f} on average, and generated ones with {report.scalars['d_fake']:.3f}"
        )
        if self.spec.is_image:
            made = samples[:_NEAREST]
            pairs = torch.stack([made, self._scores.nearest(made)], dim=1).flatten(0, 1)  # (2 n, C, H, W)
            report.pictures["nearest"] = ImageGrid(
                self.spec.to_pixels(pairs).cpu().numpy(),
                ["generated", "nearest"] * len(made),
                "Samples, each with the training image nearest to it",
                columns=_COLUMNS,
            )

    def sample(self, request: SampleRequest) -> Report:
        request.refuse_all_but("count", *(["label"] if self.model.is_conditional else []))
        count = request.count or (_IMAGES if self.spec.is_image else _POINTS)
        labels = self._labels(count)
        if labels is not None and request.label is not None:
            labels.fill_(self.class_index(request.label))
        samples = self.generate(count, labels)
        return Report({}, pictures={"samples": self._picture(samples, labels, None, limit=count)})

    def _labels(self, count: int) -> Tensor | None:
        """The classes in turn, `(count,)`, if the model is conditional."""
        if not self.model.is_conditional:
            return None
        return self.classes_in_turn(count)

    def _real_points(self, split: Split, batch_size: int) -> Tensor | None:
        if self.spec.is_image:
            return None
        return torch.cat([batch.inputs for batch in split.batches(batch_size)])

    def _picture(self, samples: Tensor, labels: Tensor | None, real: Tensor | None, limit: int = _IMAGES) -> Picture:
        if not self.spec.is_image:
            points = samples.new_empty(0, 2) if real is None else real
            return SampledPoints(points.cpu().numpy(), samples.cpu().numpy(), self.spec.centers)
        captions = [] if labels is None else [self.spec.class_names[label] for label in labels[:limit].tolist()]
        columns = _COLUMNS if labels is None else min(self.model.num_classes, 10)
        images = self.spec.to_pixels(samples[:limit]).cpu().numpy()
        return ImageGrid(images, captions, "Samples", columns=columns)


def _cross_entropy(logits: Tensor, target: float) -> Tensor:
    """The mean binary cross-entropy of logits `(B,)` against one probability."""
    return functional.binary_cross_entropy_with_logits(logits.float(), torch.full_like(logits, target).float())


@contextmanager
def _fixed(module: nn.Module) -> Iterator[None]:
    """Gradients pass through the module and none stay at its parameters."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
