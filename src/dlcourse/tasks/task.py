"""What the trainer asks of every task, and the convenience for tasks with one loss and one optimizer."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from dlcourse.device import Device
from dlcourse.errors import ConfigError
from dlcourse.metrics.report import Report
from dlcourse.optim.step import Descent, DescentMaker
from dlcourse.spec import Batch, Data, DataSpec, Split, Target
from dlcourse.state_dict import State

Scalars = dict[str, Tensor]


@dataclass(frozen=True)
class SampleRequest:
    """What `dlcourse sample` asks for; None leaves the choice to the task, which refuses what it has no use for.

    `label` is the name of a class, `guidance` the strength of its pull, `steps` those of a reverse diffusion; `prompt`
    is the text to go on from for `length` tokens, at a `temperature`, among the `top_k` likeliest.
    """

    count: int | None = None
    label: str | None = None
    guidance: float | None = None
    steps: int | None = None
    prompt: str | None = None
    length: int | None = None
    temperature: float | None = None
    top_k: int | None = None

    def refuse_all_but(self, *taken: str) -> None:
        """Raise ConfigError where something is asked for that is not among the `taken`."""
        for name, value in vars(self).items():
            if value is not None and name not in taken:
                flags = ", ".join(f"--{known.replace('_', '-')}" for known in taken)
                raise ConfigError(f"--{name.replace('_', '-')} has no meaning for this run; it takes {flags}")


class Task(ABC):
    """Abstract: a model with what its batches mean.

    `monitor` names the validation number that picks the best epoch, `mode` says whether more of it is better.
    """

    model: nn.Module
    monitor: str
    mode: Literal["max", "min"]
    main_metric: str
    """The number of an evaluation that is shown beside the loss."""
    measured_in_training: ClassVar[bool] = False
    """Whether `train_step` gives the main metric, too."""

    takes_features: ClassVar[bool] = False
    """Whether the model may stand behind a feature map."""

    def prepare(self, data: Data) -> list[str]:
        """Learn from the data what evaluations will need, before training; returns lines for the console.

        It is called after `evaluate` was tried on a batch, which has to work without.
        """
        return []

    def sample(self, request: SampleRequest) -> Report:
        """What the trained model makes up: a report with pictures or texts. Raises ConfigError."""
        raise ConfigError(
            "the model of this run makes nothing up; dlcourse sample takes runs of a vae, gan, diffusion model or a "
            "language model (data=text)"
        )

    @property
    @abstractmethod
    def rate(self) -> float:
        """The learning rate of the latest update."""

    @abstractmethod
    def train_step(self, batch: Batch) -> Scalars:
        """Learn from one batch; returns named scalars, `loss` among them, each a mean over the batch."""

    @abstractmethod
    def state_dict(self) -> State:
        """All that the next steps depend on besides the weights of `model` and the global random state."""

    @abstractmethod
    def load_state_dict(self, state: State) -> None:
        """Go on as the task did that gave this state; raises DataError where it was another one's."""

    @abstractmethod
    def evaluate(self, split: Split, batch_size: int, *, full: bool = False) -> Report:
        """Measure the model on a split; a full report has tables, text and pictures besides the numbers."""


class LossTask(Task):
    """Abstract: one loss, one optimizer."""

    def __init__(self, model: nn.Module, device: Device, descend: DescentMaker) -> None:
        self.model = model
        self.device = device
        self._descent: Descent = descend(model)

    @property
    def rate(self) -> float:
        return self._descent.rate

    @abstractmethod
    def losses(self, batch: Batch) -> Scalars:
        """The batch's `loss` and whatever else is worth following, each a mean over the batch.

        An `objective` among them is minimized in place of the loss, and not logged: the loss in other units.
        """

    def train_step(self, batch: Batch) -> Scalars:
        with self.device.autocast():
            losses = self.losses(batch)
        self._descent.step(losses.pop("objective", losses["loss"]))
        return losses

    def state_dict(self) -> State:
        return {"descent": self._descent.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self._descent.load_state_dict(state["descent"])

    def outputs(self, split: Split, batch_size: int) -> tuple[Tensor, Tensor]:
        """The model's outputs `(N, outputs)` and the targets of a whole split, in order, on the CPU in float32."""
        outputs, targets = [], []
        for batch in split.batches(batch_size):
            with self.device.autocast():
                outputs.append(self.model(batch.inputs).float())
            targets.append(batch.targets)
        return torch.cat(outputs).cpu(), torch.cat(targets).cpu()

    def inputs(self, split: Split, batch_size: int) -> Tensor:
        """The inputs `(N, ...)` of a whole split, in order, on the CPU."""
        return torch.cat([batch.inputs for batch in split.batches(batch_size)]).cpu()

    def predict(self, inputs: Tensor, batch_size: int) -> Tensor:
        """The model's outputs for inputs on the CPU, in float32 on the CPU."""
        parts = torch.split(inputs, batch_size)
        return torch.cat([self.model(part.to(self.device.torch_device)).float() for part in parts]).cpu()


def output_shape(model: nn.Module, spec: DataSpec, device: Device) -> tuple[int, ...]:
    """The shape of the model's output for one example, found by trying it with zeros."""
    was_training = model.training
    model.eval()
    with torch.no_grad():
        output = model(spec.zeros(1, device.torch_device))
    model.train(was_training)
    output = output if isinstance(output, Tensor) else output[0]  # a vae has several
    return tuple(output.shape[1:])


_TARGETS = {
    "class": ("classes for targets", "classification"),
    "value": ("numbers for targets", "regression"),
    "next": ("text to continue", "language"),
    "sequence": ("sequences for targets", "seq2seq"),
}


def target_words(spec: DataSpec) -> str:
    """What a data set's targets are, in words."""
    return _TARGETS[spec.target][0]


def usual_task(spec: DataSpec) -> str:
    """The task that goes with a data set's targets."""
    return _TARGETS[spec.target][1]


def other_task(spec: DataSpec, wanted: Target) -> str:
    """What to type where a task needs targets of the kind `wanted` and the data set has another."""
    return f"use task={usual_task(spec)}" + (f", or data.kind={wanted}" if spec.has_kind else "")
