"""Several trained models as one: the mean of what they predict.

B is a batch size, K the number of classes, O the numbers predicted for an example, M the number of models.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dlcourse.errors import ConfigError
from dlcourse.models.convolutions import SeveralModels
from dlcourse.spec import DataSpec
from dlcourse.tasks.classification import Classification
from dlcourse.tasks.regression import Regression
from dlcourse.tasks.task import Task

Member = tuple[Task, DataSpec]
"""A trained task, and what its data announced: images with the normalization that it has learned to see."""


def as_one(members: Sequence[Member], spec: DataSpec) -> Task:
    """A task whose predictions, on data announced by `spec`, are the mean of the members'; raises ConfigError.

    Of classes the probabilities are averaged, not the logits: a deep ensemble (Lakshminarayanan et al. 2017).
    """
    first = members[0][0]
    for task, _ in members:
        if type(task) is not type(first) or not isinstance(task, Classification | Regression):
            raise ConfigError(
                f"an ensemble averages classes or numbers, and these runs have the tasks {_names(members)}; "
                "name runs of task classification alone, or of regression alone"
            )
    if isinstance(first, Classification):
        mean: nn.Module = _MeanOfClasses(members, spec)
        return Classification(mean, spec, first.device, top_k=first.top_k)
    return Regression(_MeanOfValues(members, spec), spec, first.device, standardize=False)


def _names(members: Sequence[Member]) -> str:
    return ", ".join(dict.fromkeys(type(task).__name__ for task, _ in members))


class _Mean(SeveralModels, ABC):
    """Abstract: the mean over the members of what each makes of inputs that are normalized as `spec` says."""

    def __init__(self, members: Sequence[Member], spec: DataSpec) -> None:
        super().__init__()
        self.models = nn.ModuleList(task.model for task, _ in members)
        self._members = members
        self._spec = spec

    def mean(self, inputs: Tensor) -> Tensor:
        """`(B, ...) -> (B, K)` or `(B, O)`."""
        return torch.stack([self.predict(task, self._as_seen_by(own, inputs)) for task, own in self._members]).mean(0)

    @abstractmethod
    def predict(self, task: Task, inputs: Tensor) -> Tensor:
        """What one member says, `(B, K)` or `(B, O)`."""

    def _as_seen_by(self, own: DataSpec, inputs: Tensor) -> Tensor:
        if (own.pixel_mean, own.pixel_std) == (self._spec.pixel_mean, self._spec.pixel_std):
            return inputs
        return own.from_pixels(self._spec.to_pixels(inputs))


class _MeanOfClasses(_Mean):
    """Logits `(B, K)` whose softmax is the mean of the members' probabilities."""

    def forward(self, inputs: Tensor) -> Tensor:
        return self.mean(inputs).clamp(min=torch.finfo(torch.float32).tiny).log()

    def predict(self, task: Task, inputs: Tensor) -> Tensor:
        assert isinstance(task, Classification)
        return task.probabilities(task.model(inputs).float())


class _MeanOfValues(_Mean):
    """The mean of the members' predictions `(B, O)`, in the targets' own units."""

    def forward(self, inputs: Tensor) -> Tensor:
        return self.mean(inputs).float().to(inputs.device)

    def predict(self, task: Task, inputs: Tensor) -> Tensor:
        assert isinstance(task, Regression)
        return task.in_units(task.model(inputs).float())
