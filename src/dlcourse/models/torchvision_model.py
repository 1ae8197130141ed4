"""Any classification network of torchvision, with a head for the data at hand and inputs as its weights expect them.

B is the batch size, C channels, H and W the height and width of an image, F the features before the head, K outputs.
torchvision is imported only when one of its networks is built.
"""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dlcourse.config.options import hint
from dlcourse.errors import ConfigError, MisfitError, is_out_of_memory
from dlcourse.models.layers import require_images
from dlcourse.spec import DataSpec

FROM_SCRATCH = "none"
PUBLISHED = "default"

_AUXILIARY = ("googlenet", "inception_v3")  # have further classifiers for training, which are left out here


class Torchvision(nn.Module):
    """A network of torchvision (`backbone`) without its last layer, and an affine layer (`head`) in its place.

    With `weights=none` it starts from random weights and takes images in the data's own size and normalization. With
    other weights, images are brought to the size and normalization that those were trained with; the tensors
    themselves are read by `dlcourse.training.pretrained`. Gray images are repeated to three channels in any case.

    GoogLeNet and Inception v3 come without their auxiliary classifiers (Szegedy 2015). SqueezeNet's last layer, a
    convolution before the mean over all pixels, becomes an affine layer after it.

    Raises ConfigError for an unknown `arch`, and if a network cannot take images of this size.
    """

    def __init__(self, spec: DataSpec, arch: str = "resnet18", weights: str = FROM_SCRATCH) -> None:
        super().__init__()
        require_images(spec, "torchvision")
        _require_arch(arch)
        self.arch, self.weights = arch, weights
        if weights == FROM_SCRATCH:
            self.prepare: nn.Module = _ThreeChannels()
            network = _untrained(arch, spec)
        else:
            transforms = published(arch, weights).transforms()
            self.prepare = _AsTrained(spec, transforms)
            network = _network(arch, transforms.crop_size[0], normalized_again=True)
        self.head_name, features = _remove_head(network)
        """What torchvision calls the layer that `head` replaces, such as `fc`."""
        self.backbone = network
        self.head = nn.Linear(features, spec.num_outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.backbone(self.prepare(inputs)))  # (B, C, H, W) -> (B, 3, H', W') -> (B, F) -> (B, K)


class _ThreeChannels(nn.Module):
    """Gray images repeated to three channels, which share memory; colored ones as they are."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.expand(-1, 3, -1, -1)


class _AsTrained(nn.Module):
    """From images normalized as the data set's are to those that published weights were trained with.

    Back to pixels in [0, 1], resized to `crop_size` on both sides (antialiased), three channels, normalized.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, spec: DataSpec, transforms: Any) -> None:
        super().__init__()
        self._spec = spec
        self._side = int(transforms.crop_size[0])
        self._mode: str = transforms.interpolation.value
        for name in ("mean", "std"):
            values = torch.tensor(getattr(transforms, name)).view(-1, 1, 1)
            self.register_buffer(name, values, persistent=False)  # facts of the weights, not found by training

    def forward(self, inputs: Tensor) -> Tensor:
        pixels = self._spec.to_pixels(inputs)  # (B, C, H, W)
        if pixels.shape[2:] != (self._side, self._side):
            pixels = functional.interpolate(pixels, size=(self._side,) * 2, mode=self._mode, antialias=True)
            pixels = pixels.clamp(0, 1)  # bicubic interpolation overshoots
        return (pixels.expand(-1, 3, -1, -1) - self.mean) / self.std  # (B, 3, side, side)


def published(arch: str, weights: str) -> Any:
    """Torchvision's entry for these weights: the one whose file has that name, or else the default of the architecture.

    It knows the URL of its file, and the size and normalization of its inputs.
    """
    from torchvision.models import get_model_weights

    entries: Any = get_model_weights(arch)
    named = (entry for entry in entries if Path(weights).name == entry.url.rpartition("/")[2])
    return next(named, entries.DEFAULT)


def _require_arch(arch: str) -> None:
    from torchvision import models

    known = models.list_models(module=models)
    if arch not in known:
        otherwise = (
            f"; there are {len(known)}, such as resnet50, mobilenet_v3_small and vit_b_16: dlcourse list torchvision"
        )
        raise ConfigError(f"model.arch={arch}: no such architecture{hint(arch, known) or otherwise}")


def _network(arch: str, side: int, *, normalized_again: bool = False) -> Any:
    """The network with random weights, for images of that side if it must know.

    Some normalize their inputs once more if asked to, which their published weights need.
    """
    from torchvision.models import get_model

    options: dict[str, object] = {}
    if arch in _AUXILIARY:
        options = {"aux_logits": False, "init_weights": True, "transform_input": normalized_again}
    elif arch.startswith("vit_"):
        options = {"image_size": side}
    with torch.device("cpu") if arch.startswith("regnet_") else nullcontext():  # reads its widths off tensors
        network = get_model(arch, weights=None, **options)
    return network.to(torch.get_default_device())


def _untrained(arch: str, spec: DataSpec) -> Any:
    """The network for images of the data's own size; raises ConfigError if it cannot take them."""
    height, width = spec.input_shape[1:]
    try:
        network = _network(arch, width)
        with torch.no_grad():
            network.eval()(torch.zeros(1, 3, height, width))
    except (RuntimeError, ValueError, AssertionError) as error:
        if is_out_of_memory(error):
            raise
        side = max(published(arch, FROM_SCRATCH).meta["min_size"])
        raise MisfitError(
            f"model 'torchvision' with model.arch={arch} cannot take the {height}x{width} images of data '{spec.name}' "
            f"({(str(error).splitlines() or [''])[0]})",
            needs="pixels",
            otherwise="another model.arch",
            side=side,
        ) from None
    return network.train()


def _remove_head(network: Any) -> tuple[str, int]:
    """Put nothing in place of the last layer with weights; returns its name and the number of features it took."""
    name, head = [
        pair for pair in network.named_modules() if next(pair[1].parameters(recurse=False), None) is not None
    ][-1]
    network.set_submodule(name, nn.Identity())
    return name, head.in_channels if isinstance(head, nn.Conv2d) else head.in_features
