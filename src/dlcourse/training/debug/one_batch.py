"""What `debug=fast` sees of the data: one batch of training, one of validation, and no test set."""

import copy
import dataclasses
from collections.abc import Iterator

import torch
from torch import Tensor

from dlcourse.config.run_config import TrainerConfig
from dlcourse.data.split import TensorSplit
from dlcourse.spec import Batch, Data, Split


class OneBatch:
    """The first batch of a split, as a split of its own. `is_stand_in`: it is of validation, in place of the test set."""

    def __init__(self, split: Split, size: int, *, epoch: int | None = None, is_stand_in: bool = False) -> None:
        self.is_stand_in = is_stand_in
        self._whole, self._is_in_order = split, epoch is None
        self._kept = TensorSplit(*next(iter(split.batches(min(size, len(split)), epoch=epoch))))

    def __len__(self) -> int:
        return len(self._kept)

    def batches(self, batch_size: int, *, epoch: int | None = None, start: int = 0) -> Iterator[Batch]:
        return self._kept.batches(batch_size, epoch=epoch, start=start)

    def fingerprint(self) -> str:
        return self._kept.fingerprint()

    def to(self, device: torch.device) -> "OneBatch":
        moved = copy.copy(self)
        moved._kept = self._kept.to(device)
        return moved

    def pictures(self, indices: Tensor) -> Tensor | None:
        """Those of the whole split, which begins with this batch, unless the batch is in the order of an epoch."""
        return self._whole.pictures(indices) if self._is_in_order else None


def one_batch_of_each(data: Data, config: TrainerConfig) -> Data:
    """One batch for each epoch of training, one for each evaluation, and validation examples in place of the test set."""
    size = len(data.train) if config.batch_size == "full" else config.batch_size
    note = "debug=fast: one batch of each split; validation examples stand in for the test set, which is not read"
    return dataclasses.replace(
        data,
        train=OneBatch(data.train, size, epoch=1),
        val=OneBatch(data.val, config.eval_batch_size),
        test=OneBatch(data.val, config.eval_batch_size, is_stand_in=True),
        notes=(*data.notes, note),
    )


def is_stand_in(split: Split) -> bool:
    """Whether reading it is no look at a test set."""
    return isinstance(split, OneBatch) and split.is_stand_in
