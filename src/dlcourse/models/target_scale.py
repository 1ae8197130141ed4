"""The scale of targets that are numbers: their mean and standard deviation on the training set, kept with the weights.

N is a number of examples, O the numbers predicted for each.
"""

import torch
from torch import Tensor, nn

NAMES = ("target_mean", "target_std")
"""The two tensors among a model's weights."""


class TargetScale:
    """Between targets in their own units and targets of mean 0 and standard deviation 1, which a model learns from.

    Mean and deviation `(O,)` are buffers of the model, so that they are in every file of its weights and in every
    checkpoint. Until `fit` they are 0 and 1; with `standardize=False` they stay so, and are not saved.
    """

    def __init__(self, model: nn.Module, num_outputs: int, device: torch.device, *, standardize: bool = True) -> None:
        self.standardize = standardize
        self._model = model
        self._keep(torch.zeros(num_outputs, device=device), torch.ones(num_outputs, device=device))

    def fit(self, targets: Tensor) -> None:
        """Measure the training targets `(N, O)`; a number that never varies keeps deviation 1."""
        if self.standardize:
            mean, std = moments(targets)
            self._keep(mean, std)

    @property
    def mean(self) -> Tensor:
        """What is subtracted from targets, `(O,)`."""
        return self._model.get_buffer(NAMES[0])

    @property
    def std(self) -> Tensor:
        """What they are divided by then, `(O,)`."""
        return self._model.get_buffer(NAMES[1])

    def standardized(self, targets: Tensor) -> Tensor:
        """What a model learns, `(N, O)`, from targets in their own units, of their type."""
        return (targets - self.mean.to(targets.device)) / self.std.to(targets.device)

    def in_units(self, outputs: Tensor) -> Tensor:
        """Predictions `(N, O)` in the targets' own units, float64 on the CPU, from a model's outputs."""
        return outputs.cpu().double() * self.std.cpu().double() + self.mean.cpu().double()

    def _keep(self, mean: Tensor, std: Tensor) -> None:
        for name, value in zip(NAMES, (mean, std), strict=True):
            self._model.register_buffer(name, value, persistent=self.standardize)


def moments(numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each column of `(N, F)`, of its type; the deviation is 1 if nothing varies."""
    std = numbers.std(0, correction=0)
    return numbers.mean(0), torch.where(numbers.amax(0) > numbers.amin(0), std, torch.ones_like(std))
