"""A few examples of a split to look at: some of each class, plain and augmented.

n is the number of examples that are chosen.
"""

import dataclasses

import torch
from torch import Tensor

from dlcourse.data.image_folder import FileSplit
from dlcourse.data.split import TensorSplit, order_of_epoch
from dlcourse.spec import DataSpec, Split


def spread(targets: Tensor, num_classes: int, count: int) -> Tensor:
    """Indices `(n,)` of about `count` examples: equally many of each class, in the order of the classes.

    With more classes than `count`, or without classes, they are evenly spread over all examples.
    """
    if not 0 < num_classes <= count or targets.ndim != 1:
        return torch.linspace(0, len(targets) - 1, min(count, len(targets))).long()
    each = count // num_classes
    return torch.cat([(targets == label).nonzero().flatten()[:each] for label in range(num_classes)])


def augmented(split: Split, indices: Tensor, spec: DataSpec) -> Tensor | None:
    """The chosen images as the first epoch changes them, `(n, C, H, W)` in [0, 1]; None if nothing changes them."""
    if isinstance(split, FileSplit):
        changes = split.transform.augments or split.policy is not None
        chosen: Split = dataclasses.replace(
            split, files=split.files[indices], targets=split.targets[indices], workers=0
        )
    elif isinstance(split, TensorSplit):
        changes = split.transform is not None and split.transform.augments
        chosen = dataclasses.replace(split, inputs=split.inputs[indices], targets=split.targets[indices])
    else:
        return None
    if not changes or len(indices) == 0:
        return None
    batch = next(iter(chosen.batches(len(indices), epoch=1)))
    plain = torch.empty_like(batch.inputs)
    plain[order_of_epoch(len(indices), split.seed, 1)] = batch.inputs
    return spec.to_pixels(plain).clamp(0, 1)
