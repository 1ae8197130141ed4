import pytest
import torch
from torch import nn

from dlcourse.config.registry import Choice
from dlcourse.errors import ConfigError
from dlcourse.models import MODELS
from dlcourse.models.resnet import ResNet, ResNet9
from dlcourse.spec import DataSpec
from lab import Lab, report

CIFAR = DataSpec("cifar10", (3, 32, 32), 10)


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("depth", "published", "exact"),
    [(20, 0.27, 269_722), (32, 0.46, 464_154), (44, 0.66, 658_586), (56, 0.85, 853_018), (110, 1.7, 1_727_962)],
)
def test_parameters_are_the_published_ones_with_and_without_shortcuts(depth: int, published: float, exact: int) -> None:
    """He 2016, table 6, in millions."""
    assert round(exact / 1e6, 1 if depth == 110 else 2) == published
    for skip in (True, False):
        model = ResNet(CIFAR, depth=depth, skip=skip)
        assert parameters(model) == exact
        layers = [module for module in model.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
        assert len(layers) == depth


def test_a_shortcut_is_the_input_thinned_out_with_zeros_around() -> None:
    model = ResNet(DataSpec("x", (1, 5, 7), 1, "value"), width=4).eval()
    block = model.blocks[3]  # the first of the second stage
    nn.init.zeros_(block.norm2.weight)
    inputs = torch.rand(2, 4, 5, 7)
    outputs = block(inputs)
    assert outputs.shape == (2, 8, 3, 4)
    assert torch.equal(outputs[:, 2:6], inputs[:, :, ::2, ::2])
    assert not outputs[:, :2].any() and not outputs[:, 6:].any()


def test_without_shortcuts_nothing_goes_past_the_convolutions() -> None:
    block = ResNet(CIFAR, skip=False).eval().blocks[0]
    nn.init.zeros_(block.norm2.weight)
    assert not block(torch.rand(1, 16, 4, 4)).any()


@pytest.mark.parametrize("spec", [CIFAR, DataSpec("gray", (1, 9, 13), 3), DataSpec("angles", (3, 16, 16), 2, "value")])
@pytest.mark.parametrize("name", ["resnet", "resnet9"])
def test_images_of_any_size_give_an_output_for_each_target(name: str, spec: DataSpec) -> None:
    model = MODELS.build(Choice(name), spec=spec)
    assert model(spec.zeros(2)).shape == (2, spec.num_outputs)


def test_weights_start_normal_with_the_variance_of_he() -> None:
    torch.manual_seed(0)
    weight = ResNet(CIFAR).blocks[-1].conv2.weight  # 64 maps of 3x3
    assert weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)
    kurtosis = (weight / weight.std()).pow(4).mean().item()
    assert kurtosis == pytest.approx(3, abs=0.1)  # of a uniform distribution it is 1.8


def test_the_fast_network_has_the_published_layers() -> None:
    model = ResNet9(CIFAR)
    assert parameters(model) == 6_573_120
    assert sum(isinstance(module, (nn.Conv2d, nn.Linear)) for module in model.modules()) == 9
    with torch.no_grad():
        features = model.eval().layers(CIFAR.zeros(1)).amax((2, 3))
        assert torch.allclose(model(CIFAR.zeros(1)), model.head(features) / 8)


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("resnet", DataSpec("moons", (2,), 2)),
        ("resnet9", DataSpec("series", (9, 2), 1, "value")),
        ("resnet9", DataSpec("tiny", (1, 7, 12), 2)),
    ],
)
def test_what_is_no_image_or_too_small_is_refused(name: str, spec: DataSpec) -> None:
    with pytest.raises(ConfigError, match=f"^model '{name}' needs images .*data '{spec.name}' .*; write "):
        MODELS.build(Choice(name), spec=spec)


def test_a_residual_network_learns_digits(lab: Lab) -> None:
    run = lab.train("model=resnet", "model.width=8", "data.subset=700", "trainer.epochs=2", "optimizer.lr=0.01")
    assert report(run)["test"]["accuracy"] > 0.8
    assert lab.attempt("model=resnet", "model.depth=18") == 2 and "20, 32, 44, 56 or 110" in lab.err
