"""What convolutions have learned: the filters of a model's first, and the pixels that speak for an output (Grad-CAM).

B is the batch size, C channels, H and W the height and width of images, h and w those of feature maps.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

_MOST_CHANNELS = 4


class SeveralModels(nn.Module):
    """Abstract: several models as one, of which no convolution speaks for all."""


def first_filters(model: nn.Module) -> Tensor | None:
    """The weights `(filters, C, height, width)` of the first convolution, on the CPU; None unless it is on images.

    A convolution of single pixels has no filters to look at.
    """
    first = next((module for module in model.modules() if isinstance(module, nn.Conv2d)), None)
    if (
        first is None
        or isinstance(model, SeveralModels)
        or first.weight.shape[1] > _MOST_CHANNELS
        or first.weight[0, 0].numel() == 1
    ):
        return None
    return first.weight.detach().float().cpu()


def grad_cam(model: nn.Module, images: Tensor, score: Callable[[Tensor], Tensor]) -> Tensor | None:
    """Where images `(B, C, H, W)` speak for a score `(B,)` of the model's outputs: `(B, h, w)`, 0 where they do not.

    The feature maps that the last convolution leads to, each weighted by the mean gradient of the score by it, summed,
    and cut off at 0 (Selvaraju et al. 2017, "Grad-CAM", equations 1 and 2). Norm, activation and addition after that
    convolution belong to it, as long as the maps keep their shape; pooling does not.

    No gradient is left anywhere. None for a model without such maps, or with attention, which looks elsewhere.
    """
    if isinstance(model, SeveralModels) or any("attention" in type(each).__name__.lower() for each in model.modules()):
        return None
    maps = _LastMaps()
    hooks = [module.register_forward_hook(maps.take) for module in model.modules() if module is not model]
    try:
        with torch.enable_grad():
            outputs = type(model).forward(model, images.detach().requires_grad_())  # a compiled one calls no hooks
            if maps.found is None:
                return None
            (gradients,) = torch.autograd.grad(score(outputs).sum(), maps.found, allow_unused=True)
    except RuntimeError as error:
        if "deterministic" not in str(error):
            raise
        return None  # some gradients on CUDA have no deterministic form, which device.deterministic asks for
    finally:
        for hook in hooks:
            hook.remove()
    if gradients is None:
        return None
    weights = gradients.mean((2, 3), keepdim=True)  # (B, channels, 1, 1)
    return (weights * maps.found.detach()).sum(1).clamp(min=0)  # (B, channels, h, w) -> (B, h, w)


def heat(maps: Tensor, height: int, width: int) -> Tensor:
    """Maps `(B, h, w)` brought to the size of the images, bilinearly, each divided by its largest value: `(B, H, W)`."""
    large = functional.interpolate(maps[:, None].float(), (height, width), mode="bilinear")[:, 0]
    return large / large.amax((1, 2), keepdim=True).clamp(min=torch.finfo(large.dtype).tiny)


class _LastMaps:
    """The latest output that has the shape of the last convolution's, of more than one pixel."""

    def __init__(self) -> None:
        self.found: Tensor | None = None

    def take(self, module: nn.Module, inputs: object, outputs: object) -> None:
        """A forward hook."""
        if not isinstance(outputs, Tensor) or outputs.ndim != 4:
            return
        is_convolution = isinstance(module, nn.Conv2d) and outputs[0, 0].numel() > 1
        if is_convolution or (self.found is not None and outputs.shape == self.found.shape):
            self.found = outputs
