"""Networks of torchvision: their sizes and names, what their inputs are brought to, and which images they refuse."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn
from torchvision import models
from torchvision.transforms.v2 import functional

from dlcourse.errors import ConfigError, MisfitError
from dlcourse.models.torchvision_model import Torchvision, published
from dlcourse.spec import DataSpec
from dlcourse.training.advice import advised

CLASSES = tuple("0123456789")
COLORED = DataSpec("cifar10", (3, 32, 32), 10, class_names=CLASSES, pixel_mean=(0.5,) * 3, pixel_std=(0.25,) * 3)
GREY = DataSpec("mnist", (1, 28, 28), 10, class_names=CLASSES, pixel_mean=(0.1307,), pixel_std=(0.3081,))


@pytest.mark.parametrize(
    "arch",
    ["resnet18", "squeezenet1_1", "googlenet", "shufflenet_v2_x0_5", "mobilenet_v3_small", "densenet121", "vit_b_32"],
)
def test_a_network_from_scratch_learns_from_images_of_the_datas_own_size(arch: str) -> None:
    torch.manual_seed(0)
    model = Torchvision(COLORED, arch)
    assert all(module.training for module in model.modules())
    outputs = model(torch.randn(4, *COLORED.input_shape))
    assert outputs.shape == (4, 10)
    outputs.square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert {name.partition(".")[0] for name in model.state_dict()} == {"backbone", "head"}


def test_grey_images_and_numbers_to_predict() -> None:
    model = Torchvision(GREY, "shufflenet_v2_x0_5").eval()
    images = torch.randn(2, 1, 28, 28)
    torch.testing.assert_close(model(images), model.head(model.backbone(images.repeat(1, 3, 1, 1))))
    values = replace(GREY, num_outputs=3, target="value", class_names=())
    assert Torchvision(values, "shufflenet_v2_x0_5")(images).shape == (2, 3)


def test_but_for_the_name_of_its_head_it_is_torchvisions_network() -> None:
    theirs, ours = models.resnet18(weights=None, num_classes=10).eval(), Torchvision(COLORED).eval()
    assert ours.head_name == "fc"
    tensors = theirs.state_dict()
    ours.head.load_state_dict({name: tensors.pop(f"fc.{name}") for name in ("weight", "bias")})
    ours.backbone.load_state_dict(tensors)
    images = torch.randn(2, *COLORED.input_shape)
    torch.testing.assert_close(ours(images), theirs(images))
    assert sum(parameter.numel() for parameter in ours.parameters()) == 11_181_642


class Recorder(nn.Module):
    """In the place of a backbone: keeps what it is given."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.inputs = inputs
        return torch.zeros(len(inputs), 1024)


@pytest.mark.parametrize("spec", [COLORED, GREY])
@pytest.mark.parametrize("arch", ["shufflenet_v2_x0_5", "vit_b_32"])
def test_with_weights_inputs_are_as_these_were_trained(spec: DataSpec, arch: str) -> None:
    model = Torchvision(spec, "shufflenet_v2_x0_5", "default")
    model.backbone = Recorder()
    pixels = torch.rand(2, *spec.input_shape)
    model(spec.from_pixels(pixels))
    resized = functional.resize(pixels, [224, 224], antialias=True).expand(-1, 3, -1, -1)
    expected = functional.normalize(resized, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    torch.testing.assert_close(model.backbone.inputs, expected, rtol=1e-4, atol=1e-4)


def test_images_of_the_right_size_are_not_resized() -> None:
    spec = replace(COLORED, input_shape=(3, 224, 224))
    model = Torchvision(spec, "shufflenet_v2_x0_5", "default")
    model.backbone = Recorder()
    pixels = torch.rand(1, 3, 224, 224)
    model(spec.from_pixels(pixels))
    expected = functional.normalize(pixels, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    torch.testing.assert_close(model.backbone.inputs, expected, rtol=1e-4, atol=1e-4)


def test_bicubic_weights_get_pixels_within_black_and_white() -> None:
    model = Torchvision(COLORED, "efficientnet_b0", "default")
    pixels = torch.rand(2, *COLORED.input_shape).round()
    prepared = model.prepare(COLORED.from_pixels(pixels))
    back = prepared * torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1) + torch.tensor([0.485, 0.456, 0.406]).view(
        3, 1, 1
    )
    assert back.min() >= -1e-5 and back.max() <= 1 + 1e-5
    resized = functional.resize(pixels, [224, 224], functional.InterpolationMode.BICUBIC, antialias=True)
    torch.testing.assert_close(back, resized.clamp(0, 1), rtol=1e-3, atol=1e-3)


def test_a_published_file_brings_its_own_size_and_normalization() -> None:
    assert published("resnet50", "default").name == "IMAGENET1K_V2"
    assert published("resnet50", "weights/resnet50-0676ba61.pth").name == "IMAGENET1K_V1"
    assert published("resnet50", "mine.pth").name == "IMAGENET1K_V2"


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        ("resnet81", "model.arch=resnet81: no such architecture; did you mean 'resnet18'?"),
        ("ResNet-18", "model.arch=ResNet-18: no such architecture; did you mean 'resnet18'?"),
        ("fcn_resnet50", "model.arch=fcn_resnet50: no such architecture; there are 8"),
        ("", "model.arch=: no such architecture; there are 8"),
    ],
)
def test_an_architecture_that_is_unknown(arch: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Torchvision(COLORED, arch)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arch", "side"), [("alexnet", 63), ("densenet121", 29), ("vit_b_32", 224), ("maxvit_t", 224), ("inception_v3", 75)]
)
def test_images_that_are_too_small_are_refused_with_a_size_that_is_not(arch: str, side: int) -> None:
    with pytest.raises(MisfitError) as caught:
        Torchvision(GREY, arch)
    message = str(advised(caught.value, GREY))
    assert message.startswith(
        f"model 'torchvision' with model.arch={arch} cannot take the 28x28 images of data 'mnist' ("
    )
    assert message.endswith(f"; write another model.arch, or data.resize={side}") and "\n" not in message
    if arch != "alexnet":  # large
        Torchvision(replace(GREY, input_shape=(1, side, side)), arch)


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="needs images with classes or numbers, and data 'iris' has examples of shape"
    ):
        Torchvision(DataSpec("iris", (4,), 3, class_names=("a", "b", "c")))


def test_torchvision_is_imported_only_where_it_is_chosen() -> None:
    code = (
        "import sys, dlcourse.data, dlcourse.training.session; from dlcourse.models import MODELS; "
        "list(map(MODELS.schema, MODELS)); print('torchvision' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
