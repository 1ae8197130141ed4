"""Diffusion: the schedules of the papers, samplers that meet a known distribution, guidance, and whole runs."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from dlcourse.config.registry import Choice
from dlcourse.data import DATASETS
from dlcourse.data.split import TensorSplit
from dlcourse.device import DEVICES
from dlcourse.errors import ConfigError
from dlcourse.metrics.generative import energy_distance
from dlcourse.models import MODELS
from dlcourse.models.denoiser import Denoiser, sinusoids
from dlcourse.optim.ema import MovingAverage
from dlcourse.plots import ImageGrid, PointStrip, SampledPoints, to_image
from dlcourse.spec import Batch, DataSpec
from dlcourse.tasks import TASKS
from dlcourse.tasks.diffusion import Diffusion
from dlcourse.tasks.generative_task import SampleRequest
from dlcourse.tasks.noise_schedule import Noising
from dlcourse.training.evaluate import evaluate
from lab import Lab, report
from plain_sgd import plain_sgd

POINTS = DataSpec("clouds", (2,), 2, class_names=("left", "right"))
SMALL = {"hidden": (16,), "channels": (8, 16)}


def images(side: int, colors: int = 1) -> DataSpec:
    names = ("round", "square", "bent")
    return DataSpec(
        "shapes", (colors, side, side), 3, class_names=names, pixel_mean=(0.4,) * colors, pixel_std=(0.2,) * colors
    )


def task_for(spec: DataSpec, *, rate: float = 0.05, conditional: bool = False, **options: object) -> Diffusion:
    torch.manual_seed(0)
    device = DEVICES.build(Choice("cpu"))
    task = Diffusion(Denoiser(spec, conditional=conditional, **SMALL), spec, device, **options)
    task.start(plain_sgd(rate, device))
    return task


def test_the_linear_schedule_is_that_of_ho_2020() -> None:
    noising = Noising.named("linear", 1000)
    betas = 1 - noising.alpha_bar[1:] / noising.alpha_bar[:-1]
    assert float(1 - noising.alpha_bar[0]) == pytest.approx(1e-4, rel=1e-3)
    assert float(betas[-1]) == pytest.approx(0.02, rel=1e-4)
    assert float(betas[499]) == pytest.approx(1e-4 + 500 / 999 * 0.0199, rel=1e-3)
    assert float(noising.alpha_bar[-1]) == pytest.approx(4.036e-5, rel=1e-3)


def test_the_cosine_schedule_is_that_of_nichol_2021() -> None:
    noising = Noising.named("cosine", 1000)
    for time in (1, 250, 500, 750, 990):
        level = math.cos((time / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2 / math.cos(0.008 / 1.008 * math.pi / 2) ** 2
        assert float(noising.alpha_bar[time - 1]) == pytest.approx(level, rel=1e-4)
    assert float(1 - noising.alpha_bar[-1] / noising.alpha_bar[-2]) == pytest.approx(0.999, abs=1e-5)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("steps", [10, 100, 4000])
def test_any_number_of_steps_goes_from_almost_data_to_almost_noise(schedule: str, steps: int) -> None:
    levels = Noising.named(schedule, steps).alpha_bar
    assert bool((levels[1:] < levels[:-1]).all()) and bool((levels > 0).all())
    assert levels[0] > 0.85 and levels[-1] < 1e-3


def test_noise_shrinks_the_mean_and_fills_up_the_variance() -> None:
    torch.manual_seed(0)
    noising = Noising.named("cosine", 1000)
    clean = 2 + 0.5 * torch.randn(200_000, 1)
    for time in (0, 300, 700, 999):
        noisy = noising.add_noise(clean, torch.full((len(clean),), time), torch.randn_like(clean))
        level = float(noising.alpha_bar[time])
        assert float(noisy.mean()) == pytest.approx(2 * level**0.5, abs=0.01)
        assert float(noisy.var()) == pytest.approx(0.25 * level + 1 - level, rel=0.02)


def perfect(noising: Noising, mean: Tensor, deviation: float):  # type: ignore[no-untyped-def]
    """The expected noise in x_t for data from N(mean, deviation^2): a linear function of x_t."""

    def predict(noisy: Tensor, times: Tensor) -> Tensor:
        level = noising.alpha_bar[times][:, None]
        variance = level * deviation**2 + 1 - level
        return (1 - level).sqrt() * (noisy - level.sqrt() * mean) / variance

    return predict


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize(("sampler", "steps"), [("ddpm", 1000), ("ddim", 250)])
def test_a_perfect_denoiser_samples_the_right_gaussian(schedule: str, sampler: str, steps: int) -> None:
    torch.manual_seed(0)
    noising = Noising.named(schedule, 1000)
    mean = torch.tensor([1.0, -0.5])
    noise = torch.randn(20_000, 2)
    *_, samples = noising.denoise(perfect(noising, mean, 0.3), noise, steps, sampler=sampler, limit=4.0)
    assert torch.allclose(samples.mean(0), mean, atol=0.03)
    assert torch.allclose(samples.std(0), torch.tensor(0.3), rtol=0.03)
    assert abs(float(torch.corrcoef(samples.T)[0, 1])) < 0.03


def test_ddim_is_a_function_of_the_noise_and_ddpm_is_not() -> None:
    noising = Noising.named("cosine", 100)
    predict, noise = perfect(noising, torch.zeros(2), 1.0), torch.randn(5, 2)

    def end(sampler: str) -> Tensor:
        return list(noising.denoise(predict, noise, 20, sampler=sampler))[-1]

    assert torch.equal(end("ddim"), end("ddim"))
    assert not torch.allclose(end("ddpm"), end("ddpm"))
    angles = noising.alpha_bar[noising.times(20)].sqrt().acos().tolist()
    shrinking = math.prod(math.cos(first - second) for first, second in zip(angles, [*angles[1:], 0.0], strict=True))
    assert torch.allclose(end("ddim"), shrinking * noise, atol=1e-5), "each step turns (data, noise) by an angle"


def test_a_ddpm_step_has_the_mean_and_the_variance_of_the_posterior() -> None:
    """q(x_0 | x_1, data) of Ho 2020, equation 7, where the data are what is left without noise."""
    torch.manual_seed(0)
    noising = Noising(torch.tensor([0.8, 0.5]))
    noisy = torch.ones(100_000, 1)
    beta = 1 - 0.5 / 0.8
    clean = 1 / 0.5**0.5
    mean = 0.8**0.5 * beta / 0.5 * clean + (1 - beta) ** 0.5 * 0.2 / 0.5
    after, _ = noising.denoise(lambda noisy, times: torch.zeros_like(noisy), noisy, 2, sampler="ddpm")
    assert float(after.mean()) == pytest.approx(mean, abs=0.005)
    assert float(after.var()) == pytest.approx(beta * 0.2 / 0.5, rel=0.02)  # beta alone is 2.5 times as much


def test_the_steps_of_sampling_are_distinct_and_end_at_zero() -> None:
    for schedule in ("linear", "cosine"):
        noising = Noising.named(schedule, 100)
        assert noising.times(100) == list(range(99, -1, -1))
        for count in (2, 7, 50, 99):
            times = noising.times(count)
            assert len(set(times)) == count and times == sorted(times, reverse=True) and times[-1] == 0
    with pytest.raises(ConfigError, match="101 steps of sampling are more than the 100"):
        noising.times(101)


def test_estimates_of_the_data_are_cut_off_at_the_limit() -> None:
    noising = Noising.named("cosine", 1000)

    def silent(noisy: Tensor, times: Tensor) -> Tensor:
        return torch.zeros_like(noisy)

    *_, samples = noising.denoise(silent, 5 * torch.randn(100, 2), 10, limit=1.0)
    assert float(samples.abs().max()) == 1


def test_the_moving_average_is_that_of_the_formula() -> None:
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)
    average = MovingAverage(module, 0.5)
    expected = 0.0
    for step, kept in enumerate([2 / 11, 3 / 12, 4 / 13, 5 / 14, 6 / 15, 7 / 16, 8 / 17, 0.5, 0.5], start=1):
        nn.init.constant_(module.weight, float(step))
        average.update()
        expected = kept * expected + (1 - kept) * step
        assert average.model.weight.item() == pytest.approx(expected, rel=1e-6)
    assert module.weight.item() == 9


def test_training_moves_the_average_after_the_network_and_evaluates_the_average() -> None:
    task = task_for(POINTS, rate=1.0, ema=0.9)
    before = copy.deepcopy(task.model.state_dict())
    task.train_step(Batch(torch.randn(8, 2), torch.zeros(8, dtype=torch.int64)))
    for name, weights in task._network.state_dict().items():
        assert torch.allclose(task.model.state_dict()[name], before[name].lerp(weights, 9 / 11), atol=1e-6)
    assert not torch.equal(task.model.state_dict()["network.out.bias"], before["network.out.bias"])


def test_without_an_average_the_network_itself_is_kept() -> None:
    task = task_for(POINTS, ema=0.0)
    assert task.model is task._network


@pytest.mark.parametrize(
    ("spec", "arch"),
    [(POINTS, "mlp"), (images(8), "unet"), (images(28), "unet"), (images(30, 3), "unet"), (images(7), "mlp")],
)
@pytest.mark.parametrize("conditional", [False, True])
def test_a_denoiser_gives_noise_of_the_shape_of_its_input(spec: DataSpec, arch: str, conditional: bool) -> None:
    model = Denoiser(spec, arch=arch, conditional=conditional, **SMALL)
    for parameter in model.parameters():  # many start at zero
        nn.init.normal_(parameter, std=0.2)
    noisy, times, labels = torch.randn(3, *spec.input_shape), torch.tensor([0, 5, 900]), torch.tensor([0, 1, 1])
    outputs = model(noisy, times, labels)
    assert outputs.shape == noisy.shape
    assert torch.allclose(outputs[1:2], model(noisy[1:2], times[1:2], labels[1:2]), atol=1e-4), (
        "an example stands alone"
    )
    assert not torch.allclose(outputs[2], model(noisy, times * 0, labels)[2], atol=1e-4), "the time makes a difference"
    assert torch.equal(model(noisy), model(noisy, times * 0, torch.full((3,), spec.num_outputs)))
    without = model(noisy, times)
    assert torch.allclose(outputs, without, atol=1e-4) is not conditional


def test_times_are_told_apart() -> None:
    embedded = sinusoids(torch.arange(1000))
    assert embedded.shape == (1000, 64)
    assert float(torch.pdist(embedded).min()) > 0.1


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        (
            DataSpec("iris", (4,), 3),
            {},
            "model 'diffusion' generates images or points .* data 'iris' has examples of shape",
        ),
        (DataSpec("text", (8,), 9, vocabulary=("a",)), {}, "model 'diffusion' generates .* data 'text' has tokens"),
        (POINTS, {"arch": "unet"}, "model.arch=unet needs images, and data 'clouds' has points"),
        (POINTS, {"hidden": ()}, "model.hidden must name at least one layer"),
        (
            DataSpec("cloud", (2,), 1, "value"),
            {"conditional": True},
            "conditional=true needs classes, and data 'cloud'",
        ),
    ],
)
def test_what_no_denoiser_can_be_is_refused(spec: DataSpec, options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MODELS.build(Choice("diffusion", options), spec=spec)


def test_the_task_refuses_other_models_and_more_steps_back_than_forth() -> None:
    with pytest.raises(ConfigError, match=r"task 'diffusion' needs .* write model=diffusion"):
        TASKS.build(Choice("diffusion"), model=nn.Linear(2, 2), spec=POINTS, device=None)
    with pytest.raises(ConfigError, match=r"task.sample_steps=50 is more than task.steps=20"):
        task_for(POINTS, steps=20)


def test_labels_are_left_out_at_the_rate_asked_for() -> None:
    labels = torch.arange(20_000) % 2
    dropped = task_for(POINTS, conditional=True, drop_label=0.25).drop_labels(labels)
    assert float((dropped == 2).float().mean()) == pytest.approx(0.25, abs=0.015)
    assert torch.equal(dropped[dropped < 2], labels[dropped < 2])
    assert torch.equal(task_for(POINTS, conditional=True, drop_label=0.0).drop_labels(labels), labels)


def test_guidance_goes_beyond_the_class_away_from_no_class() -> None:
    task = task_for(POINTS, conditional=True)
    noisy, times, labels = torch.randn(6, 2), torch.arange(6) * 100, torch.arange(6) % 2
    with torch.no_grad():
        with_class, without = task.model(noisy, times, labels), task.model(noisy, times)
        assert not torch.allclose(with_class, without)
        assert torch.equal(task.predict_noise(noisy, times, labels, 0.0), with_class)
        guided = task.predict_noise(noisy, times, labels, 2.0)
    assert torch.allclose(guided, 3 * with_class - 2 * without, atol=1e-5)


def test_the_loss_is_that_of_the_noise_and_one_for_a_model_that_says_nothing() -> None:
    data = DATASETS.build(Choice("digits")).build(name="digits", seed=0)
    task = task_for(data.spec)
    with torch.no_grad():  # the U-Net's last layer starts at zero
        assert task.evaluate(data.test, 100).scalars["loss"] == pytest.approx(1, abs=0.02)


def test_a_model_that_knows_classes_is_evaluated_with_them() -> None:
    task = task_for(POINTS, conditional=True)
    points, labels = torch.randn(40, 2).clamp(-3, 3), torch.arange(40) % 2
    right, wrong = (
        evaluate(task, TensorSplit(points, targets), 20).scalars["loss"] for targets in (labels, 1 - labels)
    )
    assert right != pytest.approx(wrong, rel=1e-4)


def test_images_are_scaled_to_the_range_of_the_samples_and_back() -> None:
    spec = images(8)
    task = task_for(spec)
    pixels = torch.rand(4, 1, 8, 8)
    scaled = task._scaled(spec.from_pixels(pixels))
    assert torch.allclose(scaled, 2 * pixels - 1, atol=1e-5)
    with torch.no_grad():
        samples = spec.to_pixels(task.generate(5, steps=3))
    assert samples.shape == (5, 1, 8, 8) and samples.min() > -1e-5 and samples.max() < 1 + 1e-5


@torch.no_grad()
def test_samples_are_made_as_asked() -> None:
    task = task_for(images(8), conditional=True)
    picture = task.sample(SampleRequest(count=4, label="square", steps=2, guidance=0.5)).pictures["samples"]
    assert isinstance(picture, ImageGrid)
    assert list(picture.captions) == ["square"] * 4 and picture.images.shape == (4, 1, 8, 8)
    rows = task.sample(SampleRequest(steps=2)).pictures["samples"]
    assert list(rows.captions) == ["round"] * 8 + ["square"] * 8 + ["bent"] * 8
    with pytest.raises(ConfigError, match="--label: no class 'squares'; did you mean 'square'"):
        task.sample(SampleRequest(label="squares"))
    with pytest.raises(ConfigError, match="--prompt has no meaning"):
        task.sample(SampleRequest(prompt="a"))
    with pytest.raises(ConfigError, match="2000 steps of sampling are more than the 1000"):
        task.sample(SampleRequest(steps=2000))
    with pytest.raises(ConfigError, match="--label has no meaning"):
        task_for(images(8)).sample(SampleRequest(label="square"))


@torch.no_grad()
def test_sampled_points_are_drawn() -> None:
    picture = task_for(POINTS).sample(SampleRequest(count=30, steps=2)).pictures["samples"]
    assert isinstance(picture, PointStrip) and picture.clouds[0].shape == (30, 2)
    assert to_image(picture).std() > 0


def test_a_run_learns_points_and_leaves_its_pictures(lab: Lab, drawn: list) -> None:
    run = lab.train(
        *("model=diffusion", "data=moons", "trainer.epochs=20", "trainer.eval_every=10", "model.hidden=[64,64]"),
        *("optimizer.lr=0.005", "task.ema=0.99", "task.sample_steps=20", "task.samples=300"),
    )
    scalars = report(run)["test"]
    assert scalars["loss"] < 0.6, "saying nothing scores 1"
    assert scalars["energy_distance"] < 0.1, "plain noise scores about 0.4"
    for name in ("samples", "noising", "denoising", "progress/samples_0010", "progress/samples_0020"):
        assert (run / f"{name}.png").exists()
    samples = [picture for picture, _ in drawn if isinstance(picture, SampledPoints)]
    assert [len(picture.generated) for picture in samples] == [300, 300, 300]
    assert energy_distance(*(torch.tensor(cloud) for cloud in (samples[-1].generated, samples[-1].real))) < 0.1
    noising, denoising = (picture for picture, _ in drawn if isinstance(picture, PointStrip))
    for data, noise in ((noising.clouds[0], noising.clouds[-1]), (denoising.clouds[-1], denoising.clouds[0])):
        standard = torch.randn(1000, 2, generator=torch.Generator().manual_seed(0))
        assert energy_distance(torch.tensor(noise), standard) < 0.05
        assert energy_distance(torch.tensor(noise), torch.tensor(samples[-1].real)) > 0.1
        assert energy_distance(torch.tensor(data), torch.tensor(samples[-1].real)) < 0.1
    assert {caption for _, caption in drawn} == {
        *(f"diffusion on moons, validation set, epoch {epoch}" for epoch in (10, 20)),
        *("diffusion on moons, test set", "diffusion on moons"),
    }
    assert (run / "steps.csv").read_text().splitlines()[0] == "steps,energy_distance"


@pytest.mark.usefixtures("with_pictures")
def test_a_run_learns_images_by_class(lab: Lab) -> None:
    run = lab.train(
        *("model=diffusion", "data=digits", "model.conditional=true", "model.channels=[8,16]", "trainer.epochs=1"),
        *("task.samples=20", "task.sample_steps=3", "task.steps=100"),
    )
    assert {"loss", "frechet", "recognized"} <= set(report(run)["test"])
    for name in ("samples", "noising", "denoising", "nearest", "progress/samples_0001"):
        assert (run / f"{name}.png").exists()
