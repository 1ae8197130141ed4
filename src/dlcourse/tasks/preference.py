"""Reward models: a number for each text, such that of two texts the preferred one has more.

B is a batch size, T the length of a text.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from dlcourse.device import Device
from dlcourse.errors import ConfigError
from dlcourse.metrics.report import Report
from dlcourse.metrics.taste import liking
from dlcourse.spec import Batch, DataSpec, Split
from dlcourse.tasks.answers import Answer
from dlcourse.tasks.task import LossTask, Scalars, output_shape


class Preference(LossTask):
    """A reward for each text (Bradley and Terry 1952; Ouyang 2022, equation 1): -log s(r_preferred - r_other).

    `accuracy` is the share of the pairs whose preferred text has the larger reward, `knowing_the_taste` what who knows the
    labeller's taste reaches on the same pairs.
    """

    main_metric = "accuracy"
    monitor = "accuracy"
    mode = "max"
    measured_in_training = True

    def __init__(self, model: nn.Module, spec: DataSpec, device: Device) -> None:
        if spec.target != "preference":
            raise ConfigError(
                f"task 'preference' needs preferences between texts, and data '{spec.name}' has "
                f"{spec.target_kind.words}; write task={spec.target_kind.task}, or data=preferences"
            )
        if output_shape(model, spec, device) != (1,):
            raise ConfigError(
                "task 'preference' needs one number for each text; write model=transformer, model=lstm or model=bag"
            )
        super().__init__(model, spec, device)

    @property
    def chance_loss(self) -> float | None:
        return math.log(2)

    def losses(self, batch: Batch) -> Scalars:
        margins = self._margins(batch)
        return {"loss": _loss(margins).mean(), "accuracy": (margins > 0).float().mean().detach()}

    def evaluate(self, split: Split, batch_size: int, *, full: bool = False) -> Report:
        margins, known = [], []
        for batch in split.batches(batch_size):
            with self.device.autocast():
                margins.append(self._margins(batch).float())
            gap = _preferred(liking(_texts(batch.inputs), self.spec), batch.targets)
            known.append((gap > 0).float() + 0.5 * (gap == 0).float())  # who knows nothing better tosses a coin
        margin, knowing = torch.cat(margins), float(torch.cat(known).mean())
        accuracy = float((margin > 0).float().mean())
        report = Report(
            {"loss": float(_loss(margin).mean()), "accuracy": accuracy, "knowing_the_taste": knowing},
        )
        if full:
            agrees, ceiling = (f"{share:.1%}".replace("%", " %") for share in (accuracy, knowing))
            report.headline = f"agrees with {agrees} of the preferences   knowing the taste {ceiling}"
        return report

    def answer(self, inputs: Tensor) -> list[Answer]:
        """The reward of each text `(B, T)`."""
        with self.device.autocast():
            rewards = self.model(inputs).float()
        return [Answer(values={"reward": reward}) for reward in rewards[:, 0].tolist()]

    def _margins(self, batch: Batch) -> Tensor:
        """By how much the preferred text of each pair has the larger reward, `(B,)`."""
        return _preferred(self.model(_texts(batch.inputs))[:, 0], batch.targets)


def _texts(pairs: Tensor) -> Tensor:
    """The first texts, then the second ones: `(B, 2 T) -> (2 B, T)`."""
    return torch.cat(pairs.chunk(2, dim=1))


def _preferred(values: Tensor, prefers_second: Tensor) -> Tensor:
    """What the preferred text of each pair has more than the other, of values `(2 B,)`: `(B,)`."""
    first, second = values.chunk(2)
    return (second - first) * (2 * prefers_second - 1)


def _loss(margins: Tensor) -> Tensor:
    return functional.softplus(-margins)
