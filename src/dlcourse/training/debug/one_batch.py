"""What `debug=fast` sees of the data: one batch of training, one of validation, and no test set."""

import dataclasses
from collections.abc import Iterator
from functools import cached_property

import torch
from torch import Tensor

from dlcourse.config.run_config import TrainerConfig
from dlcourse.data.split import TensorSplit
from dlcourse.spec import Batch, Data, Split


@dataclasses.dataclass(frozen=True)
class OneBatch:
    """The first batch of a split as a split of its own, in each epoch the first of that epoch.

    `is_stand_in`: it is of validation, in place of the test set.
    """

    whole: Split
    size: int
    is_stand_in: bool = False

    @cached_property
    def _in_order(self) -> TensorSplit:
        return TensorSplit(*next(iter(self.whole.batches(self.size))))

    def __len__(self) -> int:
        return min(self.size, len(self.whole))

    def batches(self, batch_size: int, *, epoch: int | None = None, start: int = 0) -> Iterator[Batch]:
        if epoch is None:
            return self._in_order.batches(batch_size, start=start)
        inputs, targets = next(iter(self.whole.batches(self.size, epoch=epoch)))
        return TensorSplit(inputs[: self.size], targets[: self.size]).batches(batch_size, start=start)

    def fingerprint(self) -> str:
        return self._in_order.fingerprint()

    def to(self, device: torch.device) -> "OneBatch":
        return dataclasses.replace(self, whole=self.whole.to(device))

    def pictures(self, indices: Tensor) -> Tensor | None:
        return self.whole.pictures(indices)


def one_batch_of_each(data: Data, config: TrainerConfig) -> Data:
    """One batch for each epoch of training, one for each evaluation, and validation examples in place of the test set."""
    size = len(data.train) if config.batch_size == "full" else min(config.batch_size, len(data.train))
    note = "debug=fast: one batch of each split; validation examples stand in for the test set, which is not read"
    return dataclasses.replace(
        data,
        train=OneBatch(data.train, size),
        val=OneBatch(data.val, config.eval_batch_size),
        test=OneBatch(data.val, config.eval_batch_size, is_stand_in=True),
        notes=(*data.notes, note),
    )


def is_stand_in(split: Split) -> bool:
    """Whether it stands in for a test set, so that reading it is no look at one."""
    return isinstance(split, OneBatch) and split.is_stand_in
