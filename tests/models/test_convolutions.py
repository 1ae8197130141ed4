"""Filters are the weights themselves; Grad-CAM is its closed form where there is one, and finite differences elsewhere."""

import pytest
import torch
from torch import Tensor, nn

from dlcourse.models.cnn import CNN
from dlcourse.models.convolutions import first_filters, grad_cam, heat
from dlcourse.models.linear import SoftmaxRegression
from dlcourse.models.resnet import ResNet, ResNet9
from dlcourse.models.torchvision_model import Torchvision
from dlcourse.spec import DataSpec

COLOR = DataSpec("color", (3, 32, 32), 4, "class", ("a", "b", "c", "d"), pixel_mean=(0.5,) * 3, pixel_std=(0.2,) * 3)
GRAY = DataSpec("gray", (1, 16, 16), 4, "class", ("a", "b", "c", "d"), pixel_mean=(0.5,), pixel_std=(0.2,))


class Pooled(nn.Module):
    """Convolution, ReLU, the mean over the pixels, an affine layer: a network of which the map of a class is known."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Sequential(nn.Conv2d(1, 5, 3, padding=1), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(5, 4)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.pool(self.maps(inputs)).flatten(1))


def logit(index: int):
    return lambda outputs: outputs[:, index]


def test_behind_a_mean_and_an_affine_layer_it_is_the_class_activation_map() -> None:
    """Zhou et al. (2016): each map weighted by the layer's weight of the class, here divided by the number of pixels."""
    torch.manual_seed(0)
    model, images = Pooled().eval(), torch.randn(3, 1, 6, 7)
    found = grad_cam(model, images, logit(2))
    expected = torch.einsum("c,bchw->bhw", model.head.weight[2], model.maps(images)).clamp(min=0) / (6 * 7)
    assert expected.max() > 0 and found.shape == (3, 6, 7)
    torch.testing.assert_close(found, expected)


def test_weights_are_finite_differences_of_the_score() -> None:
    torch.manual_seed(1)
    model = CNN(GRAY, channels=(4, 6), head=(8,)).double().eval()
    images = torch.randn(2, 1, 16, 16, dtype=torch.float64)
    after = model.blocks[:7]  # convolution, norm, ReLU, pooling, convolution, norm, ReLU
    rest = nn.Sequential(model.blocks[7:], model.head)
    maps = after(images)  # (B, 6, 8, 8)
    weights = torch.empty(2, 6, dtype=torch.float64)
    for channel in range(6):
        step = torch.zeros_like(maps)
        step[:, channel] = 1e-6  # of all pixels at once: the score changes by the sum of the gradients
        weights[:, channel] = (rest(maps + step) - rest(maps - step))[:, 3] / 2e-6 / 64
    expected = (weights[:, :, None, None] * maps).sum(1).clamp(min=0)
    assert expected.max() > 0
    torch.testing.assert_close(grad_cam(model, images, logit(3)), expected.detach(), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(
    ("build", "side"),
    [
        (lambda: CNN(COLOR), 8),
        (lambda: ResNet(COLOR), 8),
        (lambda: ResNet9(COLOR), 4),
        (lambda: Torchvision(COLOR, "squeezenet1_1"), 1),
        (lambda: Torchvision(COLOR, "mobilenet_v3_small"), 0),
    ],
    ids=["cnn", "resnet", "resnet9", "squeezenet", "mobilenet"],
)
def test_models_with_convolutions_have_maps_and_nothing_is_left_behind(build, side: int) -> None:
    torch.manual_seed(0)
    model = build().eval()
    for parameter in list(model.parameters())[::2]:
        parameter.requires_grad_(False)  # as if frozen
    images, before = torch.randn(2, 3, 32, 32), {key: value.clone() for key, value in model.state_dict().items()}
    state = torch.random.get_rng_state()
    with torch.no_grad():
        maps = grad_cam(model, images, logit(0))
    assert maps is not None and maps.ndim == 3 and (maps >= 0).all() and not maps.requires_grad
    if side > 1:
        assert maps.shape == (2, side, side)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_all_weights_frozen_still_have_maps() -> None:
    model = Pooled().eval().requires_grad_(False)
    assert grad_cam(model, torch.randn(1, 1, 6, 6), logit(0)) is not None


def test_a_model_without_convolutions_has_no_map_and_no_filters() -> None:
    model = SoftmaxRegression(GRAY)
    assert grad_cam(model, torch.randn(1, 1, 16, 16), logit(0)) is None and first_filters(model) is None


def test_a_model_with_attention_has_no_map_but_filters() -> None:
    model = Torchvision(COLOR, "vit_b_32").eval()
    assert grad_cam(model, torch.randn(1, 3, 32, 32), logit(0)) is None
    assert first_filters(model).shape == (768, 3, 32, 32)


def test_heat_has_the_size_of_the_image_and_one_at_its_hottest() -> None:
    maps = torch.zeros(2, 2, 2)
    maps[0, 1, 0] = 3.0
    found = heat(maps, 8, 6)
    assert found.shape == (2, 8, 6) and found[0].max() == 1 and found[0, -1, 0] == 1 and found[0, 0, -1] == 0
    assert (found[1] == 0).all()


def test_filters_are_those_of_the_first_convolution() -> None:
    model = CNN(COLOR, channels=(5, 7))
    assert torch.equal(first_filters(model), model.blocks[0].weight.detach())
    assert first_filters(nn.Sequential(nn.Conv2d(3, 4, 1))) is None
    assert first_filters(nn.Sequential(nn.Conv2d(16, 4, 3))) is None
