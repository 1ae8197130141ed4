"""A split held in memory as tensors: batches are gathered by index, then normalized and augmented as a whole."""

import dataclasses
import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dlcourse.data.transforms import ImageTransform
from dlcourse.spec import Batch, Split

_READ_AT_ONCE = 1000


@dataclass(frozen=True)
class TensorSplit:
    """Inputs `(N, ...)` (uint8 images or float32 features) with targets `(N,)` classes or `(N, outputs)` values.

    The order and augmentation of an epoch are pure functions of `(seed, epoch)`, so nothing about them needs saving.
    """

    inputs: Tensor
    targets: Tensor
    seed: int = 0
    transform: ImageTransform | None = None

    def __len__(self) -> int:
        return len(self.targets)

    def batches(self, batch_size: int, *, epoch: int | None = None, start: int = 0) -> Iterator[Batch]:
        """Every example once; shuffled and augmented if an epoch is given. The last batch may be shorter."""
        if epoch is None:
            for first in range(start * batch_size, len(self), batch_size):
                chosen = slice(first, first + batch_size)
                yield Batch(self._prepare(self.inputs[chosen], None), self.targets[chosen])
            return
        order = order_of_epoch(len(self), self.seed, epoch).to(self.inputs.device)
        for step, indices in list(enumerate(chunks(order, batch_size)))[start:]:
            inputs = self.inputs.index_select(0, indices)
            yield Batch(self._prepare(inputs, (epoch, step)), self.targets.index_select(0, indices))

    def fingerprint(self) -> str:
        """A checksum over inputs and targets."""
        return checksum(self.inputs, self.targets)

    def to(self, device: torch.device) -> "TensorSplit":
        transform = self.transform.to(device) if self.transform else None
        return dataclasses.replace(
            self, inputs=self.inputs.to(device), targets=self.targets.to(device), transform=transform
        )

    def pictures(self, indices: Tensor) -> Tensor | None:
        """The chosen images as `(n, channels, height, width)` in [0, 1], on the CPU; None for what is no image."""
        if self.inputs.ndim != 4:
            return None
        return self.inputs[indices.to(self.inputs.device)].cpu().float() / 255

    def _prepare(self, inputs: Tensor, epoch_and_step: tuple[int, int] | None) -> Tensor:
        if self.transform is None:
            return inputs
        if epoch_and_step is None or not self.transform.augments:
            return self.transform(inputs, None)
        return self.transform(inputs, seeded_generator("augment", self.seed, *epoch_and_step))


def targets_of(split: Split) -> Tensor:
    """All targets of a split, on the CPU: those that it holds or, if it holds none, those of its batches."""
    held = getattr(split, "targets", None)  # reading batches may mean to decode every image
    if isinstance(held, Tensor):
        return held.cpu()
    return torch.cat([batch.targets for batch in split.batches(_READ_AT_ONCE)]).cpu()


def order_of_epoch(count: int, seed: int, epoch: int) -> Tensor:
    """The order in which an epoch takes the examples of a split, `(N,)`."""
    return torch.randperm(count, generator=seeded_generator("order", seed, epoch))


def chunks(order: Tensor, size: int) -> list[Tensor]:
    """Pieces of `size`; a last piece of one example joins the one before, as batch norm cannot average over one."""
    pieces = list(torch.split(order, size))
    if size > 1 and len(pieces) > 1 and len(pieces[-1]) == 1:
        last = pieces.pop()
        pieces[-1] = torch.cat([pieces[-1], last])
    return pieces


def checksum(*tensors: Tensor, text: str = "") -> str:
    """sha256 over the text and over types, shapes and bytes of the tensors."""
    digest = hashlib.sha256(text.encode())
    for tensor in tensors:
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.cpu().contiguous().numpy().data)
    return digest.hexdigest()


def seeded_generator(purpose: str, *seeds: int) -> torch.Generator:
    """A generator on the CPU whose state is a well-mixed function of what it is for and of non-negative integers."""
    mixed = np.random.SeedSequence([zlib.crc32(purpose.encode()), *seeds])
    return torch.Generator().manual_seed(int(mixed.generate_state(1, np.uint64)[0]) >> 1)
