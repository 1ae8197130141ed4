"""Augmentation policies of torchvision for single images, as functions of seed, epoch and example alone.

torchvision is imported only when a policy is chosen.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch
from torch import Tensor

from dlcourse.data.split import seeded_generator
from dlcourse.data.transforms import Augment

Policy = Literal["autoaugment", "randaugment", "trivial"]


@dataclass(frozen=True)
class PolicyAugment(Augment):
    """The same, after a policy has changed each image on its own as it was decoded.

    `autoaugment` is the policy that Cubuk et al. 2018 found for ImageNet (arXiv:1805.09501), `randaugment` applies two
    random changes of magnitude 9 of 30 (Cubuk et al. 2019, arXiv:1909.13719), `trivial` one of random magnitude (Müller and
    Hutter 2021, TrivialAugment, arXiv:2103.10158); all as torchvision has them.
    """

    policy: Policy | None = None


@dataclass(frozen=True)
class DrawnPolicy:
    """What a policy makes of images in one epoch, whichever process asks for whichever example first."""

    transform: Callable[[Tensor], Tensor]
    seed: int
    epoch: int

    def __call__(self, image: Tensor, example: int) -> Tensor:
        """The uint8 image `(C, H, W)` changed; torchvision draws from torch's global state, which is put back."""
        with torch.random.fork_rng(devices=()):
            torch.set_rng_state(seeded_generator("policy", self.seed, self.epoch, example).get_state())
            return self.transform(image)


def drawn(policy: Policy, seed: int, epoch: int) -> DrawnPolicy:
    """The policy for an epoch of a run."""
    return DrawnPolicy(_transform(policy), seed, epoch)


@cache
def _transform(policy: Policy) -> Callable[[Tensor], Tensor]:
    from torchvision.transforms import v2

    transforms: dict[Policy, Callable[[], Callable[[Tensor], Tensor]]] = {
        "autoaugment": v2.AutoAugment,
        "randaugment": v2.RandAugment,
        "trivial": v2.TrivialAugmentWide,
    }
    return transforms[policy]()
