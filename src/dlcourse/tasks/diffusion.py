"""Diffusion: a model learns which noise was added to an example, and so to make examples out of noise.

B is a batch size, N a number of examples, T of the steps from data to noise, K of classes.
"""

import math
from collections import deque
from collections.abc import Iterator
from typing import Annotated, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from dlcourse.config.options import Count, Fraction, NonNegative, Probability, Range
from dlcourse.device import Device
from dlcourse.errors import ConfigError
from dlcourse.metrics.generative import SampleScores
from dlcourse.metrics.report import Report
from dlcourse.models.denoiser import Denoiser
from dlcourse.optim.ema import MovingAverage
from dlcourse.optim.step import MakeOptimizer, ScheduledOptimizer
from dlcourse.plots import ImageGrid, Picture, PointStrip, SampledPoints
from dlcourse.spec import Batch, DataSpec, Split
from dlcourse.state_dict import State, load_tensors
from dlcourse.tasks.generative_task import GenerativeTask, SampleRequest
from dlcourse.tasks.noise_schedule import Noising, Sampler, Schedule
from dlcourse.tasks.task import Scalars
from dlcourse.text_table import aligned

Several = Annotated[int, Range(ge=2)]

_GOLDEN = 0.6180339887  # multiples of it, modulo 1, fill the unit interval evenly
_BATCH_SIZE = 250
_POINTS = 1000
_IMAGES_ON_THE_WAY, _STEPS_ON_THE_WAY = 200, 25
_IMAGES_PER_STEPS, _STEPS_COMPARED = 250, (5, 10, 25)
_COLUMNS, _MOST_ROWS = 8, 10
_STRIP = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
_POINT_LIMIT = 4.0


class Diffusion(GenerativeTask):
    """Denoising diffusion with a predicted epsilon and the plain squared error (Ho 2020), for images and points.

    Conditional models are steered by classifier-free guidance: while training, `drop_label` of the labels are left out;
    while sampling, epsilon is (1 + w) epsilon(class) - w epsilon(no class) with w = `guidance` (Ho 2022). What is
    evaluated and kept is a moving average of the weights with the decay `ema`, or if that is 0 the weights themselves.
    """

    model: Denoiser
    recordable = ("descend",)
    _optimizer: ScheduledOptimizer
    words: ClassVar[dict[str, str]] = GenerativeTask.words | {
        "loss": "loss {:.4f}",
        "frechet": "Frechet {:.3g}",
        "energy_distance": "energy distance {:.2g}",
    }

    def __init__(
        self,
        model: Denoiser,
        spec: DataSpec,
        device: Device,
        steps: Count = 1000,
        schedule: Schedule = "cosine",
        sampler: Sampler = "ddim",
        sample_steps: Count = 50,
        guidance: NonNegative = 1.0,
        drop_label: Probability = 0.1,
        ema: Fraction = 0.999,
        samples: Several = 1000,
    ) -> None:
        if not isinstance(model, Denoiser):
            raise ConfigError("task 'diffusion' needs a model that predicts noise; write model=diffusion")
        if sample_steps > steps:
            raise ConfigError(
                f"task.sample_steps={sample_steps} is more than task.steps={steps}; write task.sample_steps={steps} or less"
            )
        self.main_metric = SampleScores.monitor_for(spec)
        self._network = model
        self._average = MovingAverage(model, ema) if ema else None
        self.averages_by = "task.ema" if ema else ""
        super().__init__(self._average.model if self._average else model, spec, device)
        self._noising = Noising.named(schedule, steps).to(device.torch_device)
        self._sampler = sampler
        self._sample_steps = sample_steps
        self._guidance = guidance
        self._drop_label = drop_label
        self._samples = samples

    def start(self, make_optimizer: MakeOptimizer) -> None:
        self._optimizer = make_optimizer(self._network)

    @property
    def lr(self) -> float:
        return self._optimizer.lr

    def train_step(self, batch: Batch) -> Scalars:
        updates = self._optimizer.count()
        scalars = self.descend(batch)
        if updates and self._average is not None:
            self._average.update()
        return scalars

    def descend(self, batch: Batch) -> Scalars:
        """The step itself, after it is counted."""
        clean = self._scaled(batch.inputs)
        times = torch.randint(self._noising.steps, (len(clean),), device=clean.device)
        noise = torch.randn_like(clean)
        labels = self.drop_labels(batch.targets) if self._network.is_conditional else None
        with self.device.autocast():
            predicted = self._network(self._noising.add_noise(clean, times, noise), times, labels)
        loss = functional.mse_loss(predicted.float(), noise)
        self._optimizer.descend(loss)
        return {"loss": loss}

    def state_dict(self) -> State:
        state: State = {"descent": self._optimizer.state_dict()}
        if self._average is not None:  # `model` is the average; the network that learns is another one
            state |= {"network": self._network.state_dict(), "average": self._average.state_dict()}
        return state

    def load_state_dict(self, state: State) -> None:
        self._optimizer.load_state_dict(state["descent"])
        if self._average is not None:
            tensors = load_tensors(self._network.state_dict(), state["network"], "the network that learns")
            self._network.load_state_dict(tensors)
            self._average.load_state_dict(state["average"])

    def drop_labels(self, labels: Tensor) -> Tensor:
        """The classes `(B,)`, a share `drop_label` of them replaced by K, which stands for no class."""
        is_dropped = torch.rand(len(labels), device=labels.device) < self._drop_label
        return labels.masked_fill(is_dropped, len(self.spec.class_names))

    def evaluate(self, split: Split, batch_size: int, *, full: bool = False) -> Report:
        report = Report({"loss": self._loss(split, batch_size)})
        if self._scores is None or not math.isfinite(report.scalars["loss"]):
            return report
        on_the_way = (_IMAGES_ON_THE_WAY, min(_STEPS_ON_THE_WAY, self._sample_steps))
        is_short = self.spec.is_image and not full
        count, steps = on_the_way if is_short else (self._samples, self._sample_steps)
        labels = self._labels(count)
        samples = self.generate(count, labels, steps=steps)
        report.scalars |= self._scores.scores(samples, labels)
        report.pictures["samples"] = self._samples_picture(samples, labels, split)
        if full:
            report.headline = "   ".join(self.say(name, value) for name, value in report.scalars.items())
            report.tables["steps"] = self._steps_table()
            report.lines += _steps_lines(report.tables["steps"])
            report.pictures["noising"] = self.noising_picture(split)
            report.pictures["denoising"] = self.denoising_picture()
            if self.spec.is_image:
                report.pictures["nearest"] = self._nearest_picture(samples[:_COLUMNS])
        return report

    def sample(self, request: SampleRequest) -> Report:
        is_conditional = self.model.is_conditional
        request.refuse_all_but("count", "steps", *(("label", "guidance") if is_conditional else ()))
        classes = len(self.spec.class_names)
        usual = (_COLUMNS * min(classes, _MOST_ROWS) if is_conditional else 64) if self.spec.is_image else _POINTS
        count = request.count or usual
        labels = self._labels(count)
        if request.label is not None:
            labels = torch.full((count,), self.class_index(request.label), device=self.device.torch_device)
        samples = self.generate(count, labels, steps=request.steps, guidance=request.guidance)
        what = f" of class {request.label}" if request.label is not None else ""
        if self.spec.is_image:
            order = torch.arange(count) if labels is None else labels.argsort(stable=True).cpu()
            names = [] if labels is None else [self.spec.class_names[label] for label in labels[order].tolist()]
            return Report({}, pictures={"samples": ImageGrid(self._pixels(samples)[order], names, "Samples", _COLUMNS)})
        strip = PointStrip([samples.cpu().numpy()], [f"{count:,} samples{what}"])
        return Report({}, pictures={"samples": strip})

    def generate(
        self, count: int, labels: Tensor | None = None, *, steps: int | None = None, guidance: float | None = None
    ) -> Tensor:
        """Samples `(count, *input_shape)` as the data's inputs are, of classes `(count,)` or of any; under no_grad.

        Steps and guidance are those of the task if they are not given.
        """
        guidance = self._guidance if guidance is None else guidance
        parts = []
        for chosen in torch.split(torch.arange(count, device=self.device.torch_device), _BATCH_SIZE):
            noise = torch.randn(len(chosen), *self.spec.input_shape, device=chosen.device)
            part_labels = None if labels is None else labels[chosen]
            way = self._trajectory(noise, part_labels, steps or self._sample_steps, guidance)
            parts.append(deque(way, maxlen=1)[0])
        return self._unscaled(torch.cat(parts))

    def predict_noise(self, noisy: Tensor, times: Tensor, labels: Tensor | None, guidance: float) -> Tensor:
        """Epsilon `(B, ...)` with guidance towards the labels, both predictions in one batch of twice the size."""
        with self.device.autocast():
            if labels is None or guidance == 0:
                return self.model(noisy, times, labels).float()
            nothing = torch.full_like(labels, len(self.spec.class_names))
            both: Tensor = self.model(
                noisy.repeat(2, *[1] * (noisy.ndim - 1)), times.repeat(2), torch.cat([labels, nothing])
            ).float()
        with_class, without = both.chunk(2)
        return (1 + guidance) * with_class - guidance * without

    def _trajectory(self, noise: Tensor, labels: Tensor | None, steps: int, guidance: float) -> Iterator[Tensor]:
        def predict(noisy: Tensor, times: Tensor) -> Tensor:
            return self.predict_noise(noisy, times, labels, guidance)

        return self._noising.denoise(predict, noise, steps, sampler=self._sampler, limit=self._limit)

    @property
    def _limit(self) -> float:
        """No coordinate of the scaled data is larger."""
        if self.spec.is_image:
            return 1.0
        return max([_POINT_LIMIT, *(1.5 * abs(value) for center in self.spec.centers for value in center)])

    def _scaled(self, inputs: Tensor) -> Tensor:
        """Images in [-1, 1]; points as they are."""
        return 2 * self.spec.to_pixels(inputs) - 1 if self.spec.is_image else inputs

    def _unscaled(self, scaled: Tensor) -> Tensor:
        return self.spec.from_pixels((scaled + 1) / 2) if self.spec.is_image else scaled

    def _pixels(self, samples: Tensor) -> Tensor:
        return self.spec.to_pixels(samples).clamp(0, 1).cpu()

    def _labels(self, count: int) -> Tensor | None:
        """Each class in turn, if the model is conditional."""
        if not self.model.is_conditional:
            return None
        return self.classes_in_turn(count)

    def _loss(self, split: Split, batch_size: int) -> float:
        """The mean over the examples, at times that are spread evenly over them and the same in every evaluation."""
        total, seen = 0.0, 0
        for batch in split.batches(batch_size):
            clean = self._scaled(batch.inputs)
            self._require_unit_size(clean)
            places = torch.arange(seen, seen + len(clean), dtype=torch.float64)
            times = ((places * _GOLDEN) % 1 * self._noising.steps).long().to(clean.device)  # (B,)
            noise = torch.randn_like(clean)
            labels = batch.targets if self.model.is_conditional else None
            predicted = self.predict_noise(self._noising.add_noise(clean, times, noise), times, labels, 0.0)
            total += float((predicted - noise).square().flatten(1).mean(1).sum())
            seen += len(clean)
        return total / seen

    def _require_unit_size(self, points: Tensor) -> None:
        """Sampling cuts coordinates off at a limit, which no real point may exceed."""
        largest = float(points.abs().max())
        if not self.spec.is_image and largest > self._limit:
            raise ConfigError(
                f"task 'diffusion' takes points with coordinates within {self._limit:g}, and data '{self.spec.name}' has "
                f"{largest:.4g}; scale the columns to about unit size"
            )

    def _steps_table(self) -> list[list[object]]:
        """Scores by the number of sampling steps, each for the same noise."""
        assert self._scores is not None
        count = min(self._samples, _IMAGES_PER_STEPS) if self.spec.is_image else self._samples
        rows: list[list[object]] = []
        for steps in sorted({*(few for few in _STEPS_COMPARED if few < self._sample_steps), self._sample_steps}):
            with self.device.forked_random_state():
                samples = self.generate(count, self._labels(count), steps=steps)
            scores = self._scores.scores(samples, self._labels(count))
            rows = rows or [["steps", *scores]]
            rows.append([steps, *scores.values()])
        return rows

    def _samples_picture(self, samples: Tensor, labels: Tensor | None, split: Split) -> Picture:
        if not self.spec.is_image:
            real = torch.cat([batch.inputs for batch in split.batches(_POINTS)])[:_POINTS].cpu()
            return SampledPoints(real.numpy(), samples[:_POINTS].cpu().numpy(), self.spec.centers)
        if labels is None:
            return ImageGrid(self._pixels(samples[: _COLUMNS**2]), title="Samples", columns=_COLUMNS)
        shown = [
            found[:_COLUMNS]
            for found in (samples[labels == index] for index in range(min(len(self.spec.class_names), _MOST_ROWS)))
        ]
        shown = [row for row in shown if len(row)]
        columns = min(len(row) for row in shown)
        images = torch.cat([row[:columns] for row in shown])
        return ImageGrid(self._pixels(images), title="Samples, a class in each row", columns=columns)

    def noising_picture(self, split: Split) -> Picture:
        """The way from data to noise, of the first examples of a split."""
        few = _COLUMNS if self.spec.is_image else _POINTS
        clean = self._scaled(next(split.batches(few)).inputs)
        noise = torch.randn_like(clean)
        times = [round(part * (self._noising.steps - 1)) for part in _STRIP]
        states = [self._noising.add_noise(clean, torch.full((len(clean),), time), noise) for time in times]
        return self._strip(states, [f"t = {time}" for time in times], "From data to noise")

    def denoising_picture(self) -> Picture:
        """The way from noise to samples; under no_grad."""
        few = _COLUMNS if self.spec.is_image else _POINTS
        noise = torch.randn(few, *self.spec.input_shape, device=self.device.torch_device)
        states = [noise, *self._trajectory(noise, self._labels(few), self._sample_steps, self._guidance)]
        chosen = [round(part * self._sample_steps) for part in _STRIP]
        return self._strip([states[step] for step in chosen], [f"step {step}" for step in chosen], "From noise to data")

    def _strip(self, states: list[Tensor], captions: list[str], title: str) -> Picture:
        """Images: a row for each example, a column for each state. Points: a panel for each state."""
        if not self.spec.is_image:
            return PointStrip([state.cpu().numpy() for state in states], captions, title)
        images = torch.stack(states, dim=1).flatten(0, 1)  # (n, states, C, H, W) -> (n * states, C, H, W)
        pixels = ((images + 1) / 2).clamp(0, 1).cpu()
        return ImageGrid(pixels, title=f"{title}: {', '.join(captions)}", columns=len(states))

    def _nearest_picture(self, samples: Tensor) -> Picture:
        assert self._scores is not None
        images = torch.cat([self._pixels(samples), self._pixels(self._scores.nearest(samples))])
        return ImageGrid(images, title="Samples, and below each the nearest training image", columns=len(samples))


def _steps_lines(table: list[list[object]]) -> list[str]:
    names = [str(name) for name in table[0]]
    rows = [[f"{value:.4g}" for value in row if isinstance(value, (int, float))] for row in table[1:]]
    return ["Scores by the number of sampling steps", *aligned([names, *rows], left=())]
