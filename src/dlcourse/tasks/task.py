"""What the trainer asks of every task, and the convenience for tasks with one loss and one optimizer."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from dlcourse.device import Device
from dlcourse.metrics.means import Means
from dlcourse.metrics.report import Report
from dlcourse.optim.step import MakeOptimizer, ScheduledOptimizer
from dlcourse.spec import Batch, Data, DataSpec, Split
from dlcourse.state_dict import State

Scalars = dict[str, Tensor]


class Task(ABC):
    """Abstract: a model with what its batches mean.

    `monitor` names the validation number that picks the best epoch, `mode` says whether more of it is better.
    """

    monitor: str = "loss"
    mode: Literal["max", "min"] = "min"
    main_metric: str = "loss"
    """The number of an evaluation that is shown beside the loss."""
    measured_in_training: ClassVar[bool] = False
    """Whether `train_step` gives the main metric, too."""
    keeps_frozen: ClassVar[bool] = False
    """Whether `state_dict` has, under `frozen`, other networks that an evaluation needs."""
    updates_per_batch: int = 1
    """The losses that the optimizer learns from in one `train_step`."""
    recordable: ClassVar[tuple[str, ...]] = ()
    """The methods that make all of a step on the device, from a batch to scalars, and do the same each time."""

    loss_tells: ClassVar[bool] = True
    """Whether a lower loss in training means a better model."""
    averages_by: str = ""
    """The option by which the task averages the weights itself, if it does: `task.ema`."""
    needs_full_batch: ClassVar[bool] = False
    """Whether a step must see the whole training set."""

    def __init__(self, model: nn.Module, spec: DataSpec, device: Device) -> None:
        self.model = model
        self.spec = spec
        self.device = device

    @abstractmethod
    def start(self, make_optimizer: MakeOptimizer) -> None:
        """Make the optimizers that training needs; a task that is only evaluated or sampled from does without."""

    @property
    def chance_loss(self) -> float | None:
        """The loss of a model that knows nothing yet: ln K for a choice among K; None if there is no such number."""
        return None

    def prepare(self, data: Data) -> list[str]:
        """Learn from the data what evaluations will need, before training; returns lines for the console.

        It is called after `evaluate` was tried on a batch, which has to work without.
        """
        return []

    def read_frozen(self) -> list[str]:
        """Read from other runs what is kept frozen beside the model; returns lines for the console, raises UserError.

        It is called at the beginning of a run only: what is frozen is part of the state of one that is resumed.
        """
        return []

    def load_frozen_state(self, state: State) -> None:  # noqa: B027
        """Take what is frozen from what `state_dict` has under `frozen`; raises DataError."""

    @property
    @abstractmethod
    def lr(self) -> float:
        """The learning rate of the latest update."""

    @abstractmethod
    def train_step(self, batch: Batch) -> Scalars:
        """Learn from one batch; returns named scalars, `loss` among them, each a mean over the batch."""

    @abstractmethod
    def state_dict(self) -> State:
        """All that the next steps depend on besides the weights of `model` and the global random state."""

    @abstractmethod
    def load_state_dict(self, state: State) -> None:
        """Continue from this state; raises DataError if it is another task's."""

    @abstractmethod
    def evaluate(self, split: Split, batch_size: int, *, full: bool = False) -> Report:
        """Measure the model on a split; a full report has tables, text and pictures besides the numbers."""


class LossTask(Task):
    """Abstract: one loss, one optimizer. Only `losses` has to be written."""

    recordable: ClassVar[tuple[str, ...]] = ("descend",)
    _optimizer: ScheduledOptimizer

    @abstractmethod
    def losses(self, batch: Batch) -> Scalars:
        """The batch's `loss` and whatever else is worth following, each a mean over the batch.

        An `objective` among them is minimized in place of the loss, and not logged: the loss in other units.
        """

    def start(self, make_optimizer: MakeOptimizer) -> None:
        self._optimizer = make_optimizer(self.model)

    @property
    def lr(self) -> float:
        return self._optimizer.lr

    def train_step(self, batch: Batch) -> Scalars:
        self.count()
        return self.descend(batch)

    def count(self) -> None:
        """What changes from step to step besides what is on the device."""
        self._optimizer.count()

    def descend(self, batch: Batch) -> Scalars:
        """The step itself, after it is counted."""
        with self.device.autocast():
            losses = self.losses(batch)
        self._optimizer.descend(losses.pop("objective", losses["loss"]))
        return losses

    def state_dict(self) -> State:
        return {"descent": self._optimizer.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self._optimizer.load_state_dict(state["descent"])

    def evaluate(self, split: Split, batch_size: int, *, full: bool = False) -> Report:
        """The means of `losses` over all examples of the split."""
        means = Means()
        for batch in split.batches(batch_size):
            with self.device.autocast():
                losses = self.losses(batch)
            losses.pop("objective", None)
            means.add({name: value.item() for name, value in losses.items()}, len(batch.targets))
        scalars = means.values()
        return Report(scalars, headline="   ".join(f"{name} {value:.4g}" for name, value in scalars.items()))

    def inputs(self, split: Split, batch_size: int) -> Tensor:
        """The inputs `(N, ...)` of a whole split, in order, on the CPU."""
        return torch.cat([batch.inputs for batch in split.batches(batch_size)]).cpu()


class PredictionTask(LossTask):
    """Abstract: the model predicts the targets from the inputs, before which any feature map may stand."""

    def outputs(self, split: Split, batch_size: int) -> tuple[Tensor, Tensor]:
        """The model's outputs `(N, outputs)` and the targets of a whole split, in order, on the CPU in float32."""
        outputs, targets = _Rows(len(split)), _Rows(len(split))
        for batch in split.batches(batch_size):
            with self.device.autocast():
                outputs.add(self.model(batch.inputs).float())
            targets.add(batch.targets)
        return outputs.all(), targets.all()

    def predict(self, inputs: Tensor, batch_size: int) -> Tensor:
        """The model's outputs for inputs on the CPU, in float32 on the CPU."""
        parts = torch.split(inputs, batch_size)
        return torch.cat([self.model(part.to(self.device.torch_device)).float() for part in parts]).cpu()


class _Rows:
    """At most `size` rows that come part by part, copied into one tensor at once.

    Parts that are kept until the end would lie between the activations of a batch, and those of the next find no hole as
    large: a test of 10,000 images took up to 1.2 GB more.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._filled = 0
        self._tensor = torch.empty(0)

    def add(self, part: Tensor) -> None:
        """Copy in the next rows, `(B, ...)`."""
        if self._filled == 0:
            self._tensor = part.new_empty(self._size, *part.shape[1:])
        self._tensor[self._filled : self._filled + len(part)] = part
        self._filled += len(part)

    def all(self) -> Tensor:
        """All that were added, on the CPU."""
        return self._tensor[: self._filled].cpu()


def output_shape(model: nn.Module, spec: DataSpec, device: Device) -> tuple[int, ...]:
    """The shape of the model's output for one example, found by trying it with zeros."""
    was_training = model.training
    model.eval()
    with torch.no_grad():
        output = model(spec.zeros(1, device.torch_device))
    model.train(was_training)
    output = output if isinstance(output, Tensor) else output[0]  # a vae has several
    return tuple(output.shape[1:])
