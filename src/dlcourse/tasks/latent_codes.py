"""What tasks with codes share: what their models see of an example, and the pictures of codes and reconstructions.

N is a number of examples, B a batch size, L the numbers of a code.
"""

import torch
from torch import Tensor

from dlcourse.device import Device
from dlcourse.models.autoencoder import LatentModel
from dlcourse.plots import ImageSheet, LatentScatter, Picture
from dlcourse.spec import DataSpec, Split

PAIRS = 10


class View:
    """What a model with codes sees: pixels in [0, 1] of images, numbers of mean 0 and deviation 1 of tables."""

    def __init__(self, model: LatentModel, spec: DataSpec, device: Device) -> None:
        self._model = model
        self.is_image = spec.is_image
        if spec.is_image:
            self._center = torch.tensor(spec.pixel_mean, device=device.torch_device).view(-1, 1, 1)
            self._scale = torch.tensor(spec.pixel_std, device=device.torch_device).view(-1, 1, 1)

    def __call__(self, inputs: Tensor) -> Tensor:
        """A data set's inputs `(B, *input_shape)` as the model sees them."""
        if self.is_image:
            return torch.addcmul(self._center, inputs, self._scale)
        return (inputs - self._model.center) / self._model.scale

    def back(self, seen: Tensor) -> Tensor:
        """For people, on the CPU: pixels as they are, numbers of a table in its own units."""
        return seen.cpu() if self.is_image else (seen * self._model.scale + self._model.center).cpu()

    def fit(self, split: Split) -> None:
        """Take mean and deviation of a table's numbers from the training set; a number that never varies is only moved."""
        if self.is_image:
            return
        inputs = torch.cat([batch.inputs for batch in split.batches(len(split))]).cpu()  # (N, D)
        deviation = inputs.double().std(0, correction=0)
        self._model.center.copy_(inputs.double().mean(0).float())
        self._model.scale.copy_(torch.where(deviation > 0, deviation, 1.0).float())


def code_picture(codes: Tensor, targets: Tensor, spec: DataSpec) -> Picture | None:
    """Codes `(N, L)` in the plane: their two numbers, or the first two principal components; None for a single number."""
    if codes.shape[1] < 2 or len(codes) < 2:
        return None
    names = ("z1", "z2")
    if codes.shape[1] > 2:
        codes, shares = principal_plane(codes)
        names = (f"first principal component, {shares[0]:.0%}", f"second, {shares[1]:.0%} of the variance")
    colors = targets if targets.ndim == 1 else targets[:, 0]
    return LatentScatter(codes.numpy(), colors.numpy(), spec.class_names, names)


def principal_plane(codes: Tensor) -> tuple[Tensor, list[float]]:
    """The first two principal components `(N, 2)` of codes `(N, L)`, and their shares of the variance."""
    centered = codes.double() - codes.double().mean(0)
    variances, directions = torch.linalg.eigh(centered.T @ centered / len(codes))  # ascending
    shares = variances.flip(0)[:2] / variances.sum().clamp(min=1e-30)
    return (centered @ directions.flip(1)[:, :2]).float(), shares.tolist()


def pair_picture(originals: Tensor, reconstructions: Tensor) -> Picture:
    """Images `(n, channels, height, width)` and below each its reconstruction."""
    pairs = torch.stack([originals, reconstructions])  # (2, n, C, H, W)
    return ImageSheet(pairs.numpy(), "Reconstructions", ("original", "reconstruction"))
