"""The variational task: a bound on the likelihood of the data, its parts, and what the model generates.

N is a number of examples, B a batch size, D the numbers of one example, L those of its code, K draws of a code.
"""

import math
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from dlcourse.config.options import Count, NonNegative, NonNegativeInt
from dlcourse.device import Device
from dlcourse.errors import ConfigError
from dlcourse.metrics.report import Report
from dlcourse.models.autoencoder import VAE
from dlcourse.plots import ImageSheet, KLPerDimension, SampledPoints
from dlcourse.spec import Batch, Data, DataSpec, Split
from dlcourse.state_dict import State
from dlcourse.tasks.answers import Answer, reconstructions
from dlcourse.tasks.generative_task import SampleRequest
from dlcourse.tasks.latent_codes import PAIRS, View, code_picture, pair_picture
from dlcourse.tasks.task import LossTask, Scalars

ACTIVE_VARIANCE = 0.01
"""A dimension is active if its mean has a larger variance over the examples (Burda 2016)."""

_SIDE = 8  # samples in a row of the picture
_MANIFOLD = 20
_TRAVERSED = 10  # dimensions
_STEPS = 11
_REACH = 3.0  # prior standard deviations
_CHUNK = 2000  # decoded at a time: more does not fit into the processor's cache
_CONV_EXAMPLES = 1000  # a convolutional decoder takes twenty times as long
_FOLLOWED = 0.05


class Variational(LossTask):
    """A variational autoencoder: reconstruction plus `beta` times the divergence from the prior, in nats per example.

    Under `bernoulli` a pixel is the probability of white, under `gaussian` the output is the mean of a normal
    distribution with one variance for all, which follows the mean squared error (Rybkin 2021); `auto` is bernoulli for
    images, gaussian for tables, whose numbers it sees at mean 0 and deviation 1. `beta` rises from 0 over `kl_warmup`
    steps (Bowman 2016). Evaluations always count the divergence once, so that `loss` is the negative evidence lower
    bound whatever `beta` is (Higgins 2017).
    """

    main_metric = "kl"
    measured_in_training: ClassVar[bool] = True
    monitor = "loss"
    mode = "min"
    model: VAE

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        device: Device,
        beta: NonNegative = 1.0,
        kl_warmup: NonNegativeInt = 0,
        likelihood: Literal["auto", "bernoulli", "gaussian"] = "auto",
        samples: Count = 50,
    ) -> None:
        if not isinstance(model, VAE):
            raise ConfigError("task 'variational' needs a variational autoencoder; write model=vae")
        if likelihood == "bernoulli" and not spec.is_image:
            raise ConfigError(
                f"task 'variational' needs images for task.likelihood=bernoulli, and an example of data '{spec.name}' has "
                f"shape {spec.input_shape}; write task.likelihood=gaussian"
            )
        super().__init__(model, spec, device)
        self.beta = beta
        self.kl_warmup = kl_warmup
        self.is_bernoulli = spec.is_image and likelihood != "gaussian"
        self.samples = samples
        self._view = View(model, spec, device)
        self._steps = 0
        self._weight = torch.full((), beta, device=device.torch_device)
        self._fixed = torch.randn(_SIDE**2, model.latent, generator=torch.Generator().manual_seed(0))

    def prepare(self, data: Data) -> list[str]:
        self._view.fit(data.train)
        return []

    def count(self) -> None:
        super().count()
        if self.kl_warmup:
            self._weight.fill_(self.beta * min(1.0, self._steps / self.kl_warmup))
        self._steps += 1

    def losses(self, batch: Batch) -> Scalars:
        seen = self._view(batch.inputs)
        outputs, mean, log_variance = self.model(seen)
        if not self.is_bernoulli:
            self._follow_error(outputs, seen)
        reconstruction = self.surprise(outputs, seen).mean()
        kl = kl_per_dimension(mean, log_variance).sum() / len(seen)
        loss = reconstruction + self._weight * kl
        return {"loss": loss, "reconstruction": reconstruction, "kl": kl}

    def state_dict(self) -> State:
        return super().state_dict() | {"steps": self._steps}

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self._steps = int(state["steps"])

    @torch.no_grad()
    def _follow_error(self, outputs: Tensor, seen: Tensor) -> None:
        error = functional.mse_loss(outputs.float(), seen).clamp(min=1e-6)
        self.model.variance.lerp_(error, _FOLLOWED)

    def surprise(self, outputs: Tensor, seen: Tensor) -> Tensor:
        """-log p(x|z) `(...)` in nats, summed over an example's numbers; outputs and examples are `(..., *input_shape)`."""
        size = self.spec.num_features
        outputs = outputs.float().flatten(-len(self.spec.input_shape))  # (..., D)
        seen = seen.flatten(-len(self.spec.input_shape))
        if self.is_bernoulli:
            return functional.softplus(outputs).sum(-1) - (outputs * seen).sum(-1)
        variance = self.model.variance
        squared = (outputs - seen).square().sum(-1)
        return 0.5 * (squared / variance + size * torch.log(2 * math.pi * variance))

    def answer(self, inputs: Tensor) -> list[Answer]:
        """The squared error of each input's reconstruction from the mean of its code, and of images the reconstruction."""
        seen = self._view(inputs)
        mean = self.model.represent(seen)
        outputs = self.model.decode(mean).float()
        return reconstructions(seen, outputs.sigmoid() if self.is_bernoulli else outputs)

    def evaluate(self, split: Split, batch_size: int, *, full: bool = False) -> Report:
        total, divergences = 0.0, torch.zeros(self.model.latent, dtype=torch.float64)
        codes, targets = [], []
        for batch in split.batches(batch_size):
            seen = self._view(batch.inputs)
            with self.device.autocast():
                outputs, mean, log_variance = self.model(seen)
            total += float(self.surprise(outputs, seen).cpu().double().sum())
            divergences += kl_per_dimension(mean, log_variance).cpu().double().sum(0)
            codes.append(mean.float().cpu())
            targets.append(batch.targets.cpu())
        means = torch.cat(codes)  # (N, L)
        divergences /= len(means)
        active = means.double().var(0, correction=0) > ACTIVE_VARIANCE
        report = Report(self._scalars(total / len(means), float(divergences.sum()), int(active.sum())))
        if self.spec.is_image:
            self._add_images(report, split)
        elif self.spec.is_points:
            real = self.inputs(split, batch_size)
            generated = self.make(torch.randn(len(real), self.model.latent))
            report.pictures["samples"] = SampledPoints(real.numpy(), generated.numpy(), self.spec.centers)
        if full:
            self._add_bound(report, split, len(means))
            self._add_codes(report, means, torch.cat(targets), divergences, active)
        return report

    def _scalars(self, reconstruction: float, kl: float, active: int) -> dict[str, float]:
        """`bits_per_dim` takes gray pixels as probabilities of white, and bounds the bits of images drawn from them.

        Under `gaussian` there is none: without noise on the 256 levels of a pixel, a density bounds no number of bits
        (Theis 2016).
        """
        scalars = {"loss": reconstruction + kl, "reconstruction": reconstruction, "kl": kl}
        if self.is_bernoulli:
            scalars["bits_per_dim"] = scalars["loss"] / (math.log(2) * self.spec.num_features)
        return scalars | {"active_units": float(active)}

    def _add_images(self, report: Report, split: Split) -> None:
        report.pictures["samples"] = self._sheet(self.make(self._fixed), "Samples from the prior")
        seen = self._view(next(iter(split.batches(PAIRS))).inputs)
        report.pictures["reconstructions"] = pair_picture(seen.cpu(), self.make(self.model.represent(seen)))

    def make(self, codes: Tensor) -> Tensor:
        """Examples of codes `(n, L)`, on the CPU: the mean of each pixel, or draws of a table's numbers in their own units.

        Draws of single pixels would only add noise that no picture has.
        """
        outputs = self.model.decode(codes.to(self.device.torch_device)).float()
        if self.is_bernoulli:
            outputs = outputs.sigmoid()
        elif not self.spec.is_image:
            outputs = outputs + self.model.variance.sqrt() * torch.randn_like(outputs)
        return self._view.back(outputs)

    def _sheet(self, images: Tensor, title: str) -> ImageSheet:
        """Images `(n, C, H, W)` in rows, the last of them filled with black."""
        columns = min(len(images), _SIDE)
        rows = -(-len(images) // columns)
        filled = images.new_zeros(rows * columns, *images.shape[1:])
        filled[: len(images)] = images
        return ImageSheet(filled.reshape(rows, columns, *images.shape[1:]).numpy(), title)

    def _add_bound(self, report: Report, split: Split, count: int) -> None:
        """The importance-weighted bound, of a convolutional model on examples at equal distances."""
        step = max(1, count // _CONV_EXAMPLES) if self.model.arch == "conv" else 1
        seen_before, examples, total = 0, 0, 0.0
        for batch in split.batches(max(1, _CHUNK // self.samples) * step):
            chosen = self._view(batch.inputs[-seen_before % step :: step])
            total += float(self.importance_bound(chosen, self.samples).cpu().double().sum())
            examples += len(chosen)
            seen_before += len(batch.inputs)
        bound, scalars = total / examples, report.scalars
        report.details["importance_weighted"] = {"loss": bound, "samples": self.samples, "examples": examples}
        report.headline = (
            f"-ELBO {scalars['loss']:.2f} nats   reconstruction {scalars['reconstruction']:.2f}   "
            f"KL {scalars['kl']:.2f}   importance-weighted ({self.samples}) {bound:.2f}"
        )
        if examples < count:
            report.highlights.append(f"importance-weighted bound on {examples:,} of the {count:,} examples")

    def importance_bound(self, seen: Tensor, samples: int) -> Tensor:
        """An upper bound `(B,)` of -log p(x) that falls towards it with the number of samples K (Burda 2016)."""
        mean, log_variance = (part.float() for part in self.model.encode(seen))  # (B, L)
        noise = torch.randn(samples, *mean.shape, device=mean.device)
        codes = mean + noise * torch.exp(0.5 * log_variance)  # (K, B, L)
        with self.device.autocast():
            outputs = self.model.decode(codes.flatten(0, 1)).reshape(samples, *seen.shape)  # (K, B, *input_shape)
        log_ratio = 0.5 * (noise.square() - codes.square() + log_variance).sum(-1)  # log p(z) - log q(z|x), (K, B)
        return math.log(samples) - torch.logsumexp(log_ratio - self.surprise(outputs, seen), dim=0)

    def _add_codes(self, report: Report, means: Tensor, targets: Tensor, kl: Tensor, active: Tensor) -> None:
        report.highlights.insert(0, f"{int(active.sum())} of {len(kl)} dimensions of the code are active")
        order = kl.argsort(descending=True, stable=True).tolist()
        variances = means.double().var(0, correction=0).tolist()
        rows = [[index + 1, float(kl[index]), variances[index], int(active[index])] for index in order]
        report.tables["kl_per_dimension"] = [["dimension", "kl", "variance_of_mean", "active"], *rows]
        report.lines += ["dimension        KL  variance of mean"]
        report.lines += [f"{row[0]:>9}  {row[1]:8.4f}  {row[2]:16.4f}" for row in rows]
        report.pictures["kl_per_dimension"] = KLPerDimension(kl.numpy(), active.numpy())
        scatter = code_picture(means, targets, self.spec)
        if scatter is not None:
            report.pictures["codes"] = scatter
        if self.spec.is_image:
            report.pictures["traversals"] = self._traversals(order[:_TRAVERSED])
            if self.model.latent == 2:
                report.pictures["manifold"] = self._manifold()

    def _traversals(self, dimensions: list[int]) -> ImageSheet:
        """The decoder's images as one number of the code goes through its prior, the others at zero."""
        places = _REACH * torch.linspace(-1, 1, _STEPS).round(decimals=3).add(0.0)  # zero without a sign
        codes = torch.zeros(len(dimensions), _STEPS, self.model.latent)
        codes[torch.arange(len(dimensions)), :, torch.tensor(dimensions)] = places
        images = self.make(codes.flatten(0, 1)).reshape(*codes.shape[:2], *self.spec.input_shape)
        rows = [f"z{index + 1}" for index in dimensions]
        columns = [f"{place:.1f}" for place in places.tolist()]
        return ImageSheet(images.numpy(), "One number of the code varied", rows, columns)

    def _manifold(self) -> ImageSheet:
        """Images of codes at equal distances of the prior's cumulative probability (Kingma 2014, figure 4)."""
        shares = (torch.arange(_MANIFOLD) + 0.5) / _MANIFOLD
        places = torch.special.ndtri(shares)  # ascending
        codes = torch.cartesian_prod(places.flip(0), places).flip(1)  # z1 to the right, z2 upwards
        return ImageSheet(
            self.make(codes).reshape(_MANIFOLD, _MANIFOLD, *self.spec.input_shape).numpy(), "The plane of codes"
        )

    def sample(self, request: SampleRequest) -> Report:
        request.refuse_all_but("count")
        count = request.count or _SIDE**2
        made = self.make(torch.randn(count, self.model.latent))
        if self.spec.is_image:
            return Report({}, pictures={"samples": self._sheet(made, f"{count} samples from the prior")})
        rows = [
            ",".join(self.spec.feature_labels),
            *(",".join(f"{value:.6g}" for value in row) for row in made.tolist()),
        ]
        return Report({}, texts={"samples": "\n".join(rows)})


def kl_per_dimension(mean: Tensor, log_variance: Tensor) -> Tensor:
    """The divergence `(B, L)` of normal distributions from the standard one, in nats (Kingma 2014, appendix B)."""
    mean, log_variance = mean.float(), log_variance.float()
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
